"""One site's throttle: how much it may be sent right now, learnt from what it says.

Additive increase, multiplicative decrease: every message it takes earns a share of one more
conversation, every request to slow down halves them.  Ten conversations that are cut off together
say one thing once: only those begun after the last decrease count for the next.

Three such requests with nothing taken between them, or one that names a time, suspend the site:
nothing is sent until the time named, or for 30 s, then a minute, doubling up to 15 minutes.  Then
one conversation probes.  Below half of where it was the limit recovers by one for each message.

Where several nodes send to the site, `hold` says what part of it is this one's: of its connections,
and of its rate (`sender.pacing_shares`).  The limit is that of all nodes together, and `cut`, what
one of them was told, goes round.

Pure: no I/O, no clock.  Times are seconds of whatever clock the caller uses throughout.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sender.allowances import Allowance
from sender.pacing_shares import Cut, Share

STRIKES = 3
"""Requests to slow down, or silences, in a row that suspend a site."""
FIRST, LONGEST = 30.0, 900.0
"""Seconds of the first suspension, and of the longest that no hint asked for."""
MOST_HINT = 3_600.0
AFTER = 5.0
"""Seconds that a node waits longer which only heard of a suspension: the one that was told probes,
and its answer goes round before."""
BURST = 10.0
"""Seconds of a rate that may be sent at once after a pause."""


@dataclass(slots=True)
class Throttle:
    allowance: Allowance
    limit: float = field(init=False)  # conversations; 1 to the allowance
    under_way: int = 0
    ease: float = 1.0  # what is left of the allowance while there is trouble with the provider
    until: float = 0.0  # suspended until
    why: str = ""  # what suspended it
    share: Share | None = None  # this node's; None: all of it
    cut_at: float = 0.0  # when it last asked for less, here or at another node
    began: int = 0  # conversations, since `usage` was asked
    peak: int = 0  # most under way at once, since then
    _quick: float = 0.0  # below this the limit recovers by one for each message
    _wave: int = 0  # decreases so far: tells conversations begun before one from those after
    _strikes: int = 0
    _suspensions: int = 0  # in a row
    _tokens: float = field(init=False)
    _filled_at: float = 0.0

    def __post_init__(self) -> None:
        self.limit = float(self.allowance.connections)
        self._tokens = self._most if self.share is None else min(1.0, self._most)

    def suspended(self, now: float) -> bool:
        return now < self.until

    @property
    def places(self) -> int:
        """Conversations at once: what was learnt, eased; one is always left, to hear of the end.

        None only where other nodes have all that there are.
        """
        held = self.held
        return min(held, max(1, int(self.limit * self.ease * held / self.allowance.connections)))

    @property
    def held(self) -> int:
        """Conversations at once that are ours, whatever was learnt."""
        return self.allowance.connections if self.share is None else self.share.connections

    @property
    def part(self) -> float:
        """Of the rate."""
        return 1.0 if self.share is None else self.share.rate

    def room(self, now: float) -> int:
        """Conversations that may begin now."""
        if self.suspended(now):
            return 0
        return max(0, int(min(self.places - self.under_way, self.tokens(now))))

    def tokens(self, now: float) -> float:
        """Messages that the rate allows now; may be less than none."""
        rate = self.allowance.rate
        if rate is None:
            return self._most
        earned = max(0.0, now - self._filled_at) * rate.count / rate.seconds
        return min(self._most, self._tokens + earned * self.ease * self.part)

    def next_token(self, now: float) -> float:
        """Seconds until the rate allows another message; infinite without a part of it."""
        rate, lack = self.allowance.rate, 1.0 - self.tokens(now)
        if rate is None or lack <= 0:
            return 0.0
        speed = rate.count / rate.seconds * self.ease * self.part
        return lack / speed if speed else float("inf")

    def begin(self, now: float) -> int:
        """Take a place; returns the wave it belongs to, for `slower` and `silent`."""
        self._tokens = self.tokens(now) - 1.0
        self._filled_at = now
        self.under_way += 1
        self.began += 1
        self.peak = max(self.peak, self.under_way)
        return self._wave

    def end(self) -> None:
        self.under_way -= 1

    def hold(self, now: float, share: Share | None) -> None:
        """From now on this much is ours; what was earned of a larger part lapses."""
        had, self._filled_at = self.tokens(now), now
        burst = 1.0 if self.share is None and share is not None else float("inf")
        self.share = share
        self._tokens = min(had, self._most, burst)

    def usage(self) -> tuple[int, int]:
        """Conversations that began, and how many were under way at most, since this was asked."""
        found = self.began, self.peak
        self.began, self.peak = 0, self.under_way
        return found

    def told(self, now: float, cut: Cut) -> None:
        """Another node was asked for less, or to be silent."""
        if cut.at <= self.cut_at:
            return
        self.cut_at = cut.at
        self._wave += 1
        self.limit = min(self.limit, max(1.0, cut.limit))
        self._quick = max(self._quick, self.limit)
        if cut.until > now:
            self.until = max(self.until, cut.until + AFTER)
            self._silenced(cut.why)

    def taken(self) -> None:
        """The site did its work: it may have more."""
        self._strikes = 0
        step = 1.0 if self.limit < self._quick else 1.0 / self.limit
        self.limit = min(self.limit + step, float(self.allowance.connections))
        if self.limit >= self._quick:
            self._suspensions = 0

    def slower(self, now: float, wave: int, why: str, *, hint: float | None = None) -> None:
        """The site asked for less, and maybe for how long."""
        if wave == self._wave:
            self.cut_at = now
            self._decrease()
        elif hint is None:
            return
        if hint is not None or self._strikes >= STRIKES:
            self._suspend(now, why, hint)

    def silent(self, now: float, wave: int, why: str) -> None:
        """The site did not answer.  One host that hangs is no reason to slow down yet."""
        if wave != self._wave:
            return
        self._wave += 1
        self._strikes += 1
        if self._strikes >= STRIKES:
            self._suspend(now, why, None)

    def _decrease(self) -> None:
        self._wave += 1
        self._strikes += 1
        self._quick = self.limit / 2
        self.limit = max(1.0, self.limit / 2)

    def _suspend(self, now: float, why: str, hint: float | None) -> None:
        wait = min(FIRST * 2.0 ** min(self._suspensions, 10), LONGEST)
        if hint is not None:
            wait = min(hint, MOST_HINT)
        self.until = max(self.until, now + wait)
        self.cut_at = now
        self._silenced(why)

    def _silenced(self, why: str) -> None:
        self.why = why
        self._quick = max(self._quick, self.allowance.connections / 2)
        self.limit = 1.0
        self._suspensions += 1
        self._strikes = STRIKES - 1  # the probe decides

    @property
    def _most(self) -> float:
        rate = self.allowance.rate
        if rate is None:
            return float("inf")
        burst = min(float(rate.count), rate.count / rate.seconds * BURST)
        return max(1.0, burst * self.part)

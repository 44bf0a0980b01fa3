"""One site's throttle: how much it may be sent right now, learnt from what it says.

Additive increase, multiplicative decrease: every message it takes earns a share of one more
conversation, every request to slow down halves them.  Ten conversations that are cut off together
say one thing once: only those begun after the last decrease count for the next.

Three such requests with nothing taken between them, or one that names a time, suspend the site:
nothing is sent until the time named, or for 30 s, then a minute, doubling up to 15 minutes.  Then
one conversation probes.  Below half of where it was the limit recovers by one for each message.

Pure: no I/O, no clock.  Times are seconds of whatever clock the caller uses throughout.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sender.allowances import Allowance

STRIKES = 3
"""Requests to slow down, or silences, in a row that suspend a site."""
FIRST, LONGEST = 30.0, 900.0
"""Seconds of the first suspension, and of the longest that no hint asked for."""
MOST_HINT = 3_600.0
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
    _quick: float = 0.0  # below this the limit recovers by one for each message
    _wave: int = 0  # decreases so far: tells conversations begun before one from those after
    _strikes: int = 0
    _suspensions: int = 0  # in a row
    _tokens: float = field(init=False)
    _filled_at: float = 0.0

    def __post_init__(self) -> None:
        self.limit = float(self.allowance.connections)
        self._tokens = self._most

    def suspended(self, now: float) -> bool:
        return now < self.until

    @property
    def places(self) -> int:
        """Conversations at once: what was learnt, eased; one is always left, to hear of the end."""
        return max(1, int(self.limit * self.ease))

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
        earned = max(0.0, now - self._filled_at) * rate.count * self.ease / rate.seconds
        return min(self._most, self._tokens + earned)

    def next_token(self, now: float) -> float:
        """Seconds until the rate allows another message."""
        rate, lack = self.allowance.rate, 1.0 - self.tokens(now)
        return 0.0 if rate is None or lack <= 0 else lack * rate.seconds / rate.count / self.ease

    def begin(self, now: float) -> int:
        """Take a place; returns the wave it belongs to, for `slower` and `silent`."""
        self._tokens = self.tokens(now) - 1.0
        self._filled_at = now
        self.under_way += 1
        return self._wave

    def end(self) -> None:
        self.under_way -= 1

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
        return max(1.0, min(float(rate.count), rate.count / rate.seconds * BURST))

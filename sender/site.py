"""One site as a node sees it: its throttle, who waits for a turn, how much of it is used.

`wanted` says what this node could use of it, for `sender.pacing_shares`.  A node that comes up
against its share wants all there is; otherwise half as much again as it used, so that it can grow.
What was not used for `LEFT` seconds is wanted no more.  Use within one event loop, except `asked`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from analysis.verdict import Category, Fault, Severity, Verdict
from sender.pacing_shares import Cut, Wanted
from sender.places import Held
from sender.throttle import Throttle

LEFT = 10.0
"""Seconds after which a site that was not written to is left to other nodes."""
TOLD = 10.0
"""Seconds for which others hear that a site asked for less; of a suspension, while it lasts."""
BOUND = 0.75
"""Of its share that a node uses when it may want more: the rest goes with the rounding."""
SMOOTH = 0.8
"""Of what was used lately that counts as what is used."""
LITTLE = 0.01
"""Of a rate that a node with little to send wants all the same."""


@dataclass(slots=True, eq=False)
class Site:
    name: str  # said to people: the provider, or else the domain
    provider: str
    throttle: Throttle
    held_by: Category = Category.RATE_LIMIT  # what suspended it
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    refused: bool = False  # somebody had to wait for want of a share, since `wanted` was asked
    _used: float = 0.0  # of the rate, smoothed
    _used_at: float = float("-inf")
    _looked_at: float = float("-inf")

    def wake(self, now: float) -> None:
        """Let in as many as may begin; all of them while nobody may, to hear so."""
        places = self.throttle.room(now)
        if self.throttle.suspended(now) or not self.throttle.places:
            places = len(self.waiting)
        while self.waiting and places > 0:
            turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                places -= 1

    def held(self, now: float) -> Held | None:
        """Whether everything to this site waits, and until when."""
        if not self.throttle.suspended(now):
            return None
        rule = "unreachable" if self.held_by is Category.NETWORK else "suspended"
        return held_back(self.throttle.until, self.held_by, rule, self.throttle.why)

    def asked(self, now: float) -> int | Held:
        """Deliveries that may be under way; from any thread."""
        if (held := self.held(now)) is not None:
            return held
        throttle = self.throttle
        most = int(min(2 * throttle.places, throttle.under_way + throttle.tokens(now)))
        if most <= throttle.under_way:
            self.refused = True
        return most

    def wanted(self, now: float) -> Wanted | None:
        """What this node could use, by what it has used since the last time; None: nothing."""
        throttle, allowance = self.throttle, self.throttle.allowance
        refused, self.refused = self.refused or bool(self.waiting), False
        began, peak = throttle.usage()
        if began or peak or refused:
            self._used_at = now
        rate = allowance.rate
        if rate is not None:
            passed = max(now - self._looked_at, 0.001)
            full = rate.count / rate.seconds * throttle.ease * passed
            self._used += SMOOTH * (min(began / full, 1.0) - self._used)
        self._looked_at = now
        if now - self._used_at >= LEFT:
            return None
        bound = refused or self._used >= BOUND * throttle.part
        return Wanted(
            None if bound else 1.5 * self._used + LITTLE,
            None if refused or peak >= throttle.places else peak + 1,
            allowance.connections,
            rate is not None,
            throttle.under_way,
        )

    def cut(self, now: float) -> Cut | None:
        """What others are to be told of it."""
        throttle = self.throttle
        if now - throttle.cut_at >= TOLD and not throttle.suspended(now):
            return None
        return Cut(throttle.cut_at, throttle.limit, throttle.until, throttle.why, self.held_by)

    def told(self, now: float, cut: Cut) -> None:
        """Another node was told to send less."""
        before = self.throttle.cut_at
        self.throttle.told(now, cut)
        if self.throttle.cut_at != before and cut.until > now:
            self.held_by = Category(cut.by)


def held_back(until: float, category: Category, rule: str, why: str) -> Held:
    fault = Fault.NETWORK if category is Category.NETWORK else Fault.SENDER
    text = f"held back: {why}"
    return Held(until, Verdict(category, fault, Severity.SOFT, False, f"pacing/{rule}", text, 1.0))

"""Whether a route works: one that fails is taken out, probed, and comes back.

Failures in a row within a window take a route out.  Out, it is given one delivery, the probe, after
a back-off; a probe that fails doubles the back-off, one that gets through brings the route back.
What was under way when the route went out changes nothing any more.  Who is not let in is told
until when, and why: that is no attempt and burns no retry.

Only what stands between us and a relay counts (`own_trouble`): no connection, no greeting, TLS
that fails, a sign-in refused.  What a relay says of a message is the message's matter.  Everything
is in the memory of one process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import TracebackType

import structlog

from analysis.reply import Reply, Stage
from analysis.verdict import Category, Fault, Severity, Verdict
from sender.places import Held
from sender.smtp import Outcome, Result, Route

log = structlog.get_logger()

PROBE_SECONDS = 5.0
"""After which a delivery asks again that found a probe under way."""

_BEFORE_MAIL = frozenset({Stage.CONNECT, Stage.BANNER, Stage.EHLO, Stage.STARTTLS, Stage.AUTH})
_SIGN_IN = frozenset({530, 534, 535, 538})
"""RFC 4954 section 6: codes about our sign-in, whatever command they answer."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a route is out.  Times in seconds."""

    failures: int = 3  # in a row ...
    window: float = 60.0  # ... within this time
    first: float = 30.0  # until the first probe
    longest: float = 300.0


def own_trouble(result: str, reply: Reply) -> bool:
    """Whether an answer on a relay's route is about the route and not about the message."""
    if result != Result.DEFERRED:
        return False
    return reply.stage in _BEFORE_MAIL or reply.code in _SIGN_IN


def as_deferred(outcome: Outcome, route: Route) -> Outcome:
    """A relay that wants another sign-in refuses us, not the message: never a bounce."""
    refused = outcome.result is Result.REFUSED and outcome.reply.code in _SIGN_IN
    return replace(outcome, result=Result.DEFERRED) if refused and route.by_relay else outcome


class Use:
    """One delivery on its way along a route, for the length of a `with` block."""

    __slots__ = ("_health", "probe")

    def __init__(self, health: RouteHealth, *, probe: bool) -> None:
        self._health = health
        self.probe = probe

    def worked(self) -> None:
        self._health.worked(self.probe)

    def failed(self, why: str) -> None:
        self._health.failed(self.probe, why)

    def __enter__(self) -> Use:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.probe:
            self._health.probed()


@dataclass(slots=True, eq=False)
class RouteHealth:
    """One route's.  `clock` is Unix seconds: what is held back is put off to a time others read."""

    name: str
    clock: Callable[[], float]
    bounds: Bounds = field(default_factory=Bounds)
    out: bool = False
    until: float = 0.0  # the next probe, while out
    why: str = ""
    _back_off: float = 0.0
    _probing: bool = False
    _failures: deque[float] = field(default_factory=deque)

    def enter(self) -> Use | Held:
        """The right to use the route, to be given back by `with`; or until when it is out."""
        if (held := self.held()) is not None:
            return held
        self._probing = self.out
        return Use(self, probe=self.out)

    def held(self) -> Held | None:
        """Until when the route takes nothing; None while it may be used."""
        now = self.clock()
        if not self.out or (now >= self.until and not self._probing):
            return None
        return waiting(
            now + min(PROBE_SECONDS, self._back_off) if self._probing else self.until,
            f"the route {self.name} is out: {self.why}",
            "out",
            Category.NETWORK,
        )

    def worked(self, probe: bool) -> None:
        self._failures.clear()
        if probe:
            self.out, self._back_off = False, 0.0
            log.info("route.back", route=self.name)

    def failed(self, probe: bool, why: str) -> None:
        if self.out and not probe:
            return
        now = self.clock()
        self._failures.append(now)
        while len(self._failures) > self.bounds.failures or (
            self._failures[0] < now - self.bounds.window
        ):
            self._failures.popleft()
        if probe or len(self._failures) >= self.bounds.failures:
            self._take_out(now, why)

    def probed(self) -> None:
        """The probe has ended, whatever came of it."""
        self._probing = False

    def _take_out(self, now: float, why: str) -> None:
        self._back_off = min(2 * self._back_off, self.bounds.longest) or self.bounds.first
        self.out, self.until, self.why = True, now + self._back_off, why[:300]
        self._failures.clear()
        log.warning("route.out", route=self.name, why=self.why, probe_in=self._back_off)


def waiting(until: float, why: str, rule: str, category: Category) -> Held:
    """Nothing goes this way before `until`, and that is nobody's fault but ours."""
    fault = Fault.NETWORK if category is Category.NETWORK else Fault.SENDER
    text = f"held back: {why}"
    return Held(until, Verdict(category, fault, Severity.SOFT, False, f"routes/{rule}", text, 1.0))

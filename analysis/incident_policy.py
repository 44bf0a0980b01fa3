"""The judgement of incidents: when answers of a provider make one, and when it is over.

Pure: counts over windows and the last incident go in, what is to be done comes out.  The numbers
stand in incident_policy.toml with the reason beside each.  An incident opens where two windows
agree (the long one that it is no accident, the short one that it goes on); it closes when the
receiver accepts again for a while, at less than what opened it; if it comes back soon it is the
same one, which then takes longer to close.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from types import MappingProxyType
from typing import Any

from analysis.tallies import Key, Outcome

ALL = "all"
"""In place of a provider: trouble that is not one provider's."""
ANSWERED = frozenset({Outcome.ACCEPTED, Outcome.REFUSED, Outcome.DEFERRED})
"""Outcomes of attempts; what a report says later is counted against, but is no attempt."""


@dataclass(frozen=True, slots=True)
class Window:
    """How one provider answered within some time."""

    answered: int = 0
    accepted: int = 0
    against: int = 0  # answers of the kind that is judged

    @property
    def share(self) -> float:
        """Of all answers; the bounce of what had been accepted is one of them."""
        return self.against / max(self.answered, self.against, 1)


Seen = Mapping[float, Window]
"""By the length of the window in seconds."""


@dataclass(frozen=True, slots=True)
class Look:
    """Shares and least volume in two windows that make an incident."""

    name: str
    short: float
    long: float
    least: int
    short_share: float
    long_share: float

    def shows(self, seen: Seen, stricter: float = 1.0) -> bool:
        short, long = seen[self.short], seen[self.long]
        return (
            short.against >= self.least
            and short.share >= min(1.0, self.short_share * stricter)
            and long.share >= min(1.0, self.long_share * stricter)
        )


@dataclass(frozen=True, slots=True)
class Calm:
    """What must have been accepted, and how little refused, for an incident to be over."""

    window: float
    accepted: int
    share: float

    def shows(self, seen: Seen) -> bool:
        window = seen[self.window]
        return window.accepted >= self.accepted and window.share <= self.share


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds."""

    settle: float
    settle_most: float
    reopen: float
    silence: float
    mute: float


@dataclass(frozen=True, slots=True)
class IncidentKind:
    name: str
    fault: str
    ease: float  # what is left of the allowance while it is open
    faults: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    stricter: float = 1.0
    everywhere: bool = False  # of all providers together

    def counts(self, key: Key) -> bool:
        return (
            key.fault in self.faults
            and key.category in self.categories
            and key.outcome in (Outcome.REFUSED, Outcome.DEFERRED, Outcome.REPORTED)
        )


@dataclass(frozen=True, slots=True)
class Policy:
    looks: tuple[Look, ...]
    calms: tuple[Calm, ...]
    times: Times
    recovery: tuple[tuple[float, float], ...]  # seconds, factor
    kinds: Mapping[str, IncidentKind]

    @property
    def judged(self) -> Iterable[IncidentKind]:
        """Kinds that answers make; the others are found by other means."""
        return (kind for kind in self.kinds.values() if kind.categories)

    @property
    def windows(self) -> tuple[float, ...]:
        """Every window that a judgement asks for."""
        asked = {w for look in self.looks for w in (look.short, look.long)}
        return tuple(sorted(asked | {calm.window for calm in self.calms} | {self.times.silence}))


class Do(Enum):
    OPEN = auto()
    REOPEN = auto()
    CLOSE = auto()


@dataclass(frozen=True, slots=True)
class Last:
    """What a judgement has to know of the newest incident of a kind at a provider."""

    open: bool
    since: float  # opened last
    closed_at: float | None = None
    reopened: int = 0
    muted_until: float | None = None


def judge(
    policy: Policy, kind: IncidentKind, now: float, seen: Seen, last: Last | None
) -> Do | None:
    """What is to be done about a kind of trouble at a provider; None: nothing changes."""
    if last is not None and last.open:
        return Do.CLOSE if _over(policy, now, seen, last) else None
    if last is not None and last.muted_until is not None and now < last.muted_until:
        return None
    looks = (look for look in policy.looks if _all_since(look, now, last))
    if not any(look.shows(seen, kind.stricter) for look in looks):
        return None
    return again(policy, now, last)


def _all_since(look: Look, now: float, last: Last | None) -> bool:
    """Whether what the look sees came after the last end: the same refusals open nothing twice."""
    return last is None or last.closed_at is None or now - last.closed_at >= look.short


def again(policy: Policy, now: float, last: Last | None) -> Do:
    """Whether it is a new one, or one that had been closed too early."""
    recent = (
        last is not None
        and last.closed_at is not None
        and now - last.closed_at < policy.times.reopen
    )
    return Do.REOPEN if recent else Do.OPEN


def settled(policy: Policy, now: float, last: Last) -> bool:
    """Whether it has been open for as long as it must; longer each time that it came back."""
    times = policy.times
    wait = min(times.settle * 2.0 ** min(last.reopened, 10), times.settle_most)
    return now - last.since >= wait


def _over(policy: Policy, now: float, seen: Seen, last: Last) -> bool:
    if not settled(policy, now, last):
        return False
    if any(calm.shows(seen) for calm in policy.calms):
        return True
    silent = now - last.since >= policy.times.silence
    return silent and seen[policy.times.silence].against == 0


def windows_of(
    kind: IncidentKind, totals: Mapping[float, Counter[Key]]
) -> dict[str, dict[float, Window]]:
    """By provider, or for `ALL`, what a kind of trouble looks like in every window."""
    found: dict[str, dict[float, Window]] = {}
    for length, counter in totals.items():
        for provider, window in _window_of(kind, counter).items():
            found.setdefault(provider, {})[length] = window
    return {
        provider: {length: seen.get(length, Window()) for length in totals}
        for provider, seen in found.items()
    }


def _window_of(kind: IncidentKind, counter: Counter[Key]) -> dict[str, Window]:
    found: dict[str, list[int]] = {}
    for key, count in counter.items():
        sums = found.setdefault(ALL if kind.everywhere else key.provider, [0, 0, 0])
        sums[0] += count * (key.outcome in ANSWERED)
        sums[1] += count * (key.outcome is Outcome.ACCEPTED)
        sums[2] += count * kind.counts(key)
    return {provider: Window(*sums) for provider, sums in found.items()}


def allowance_factor(policy: Policy, kind: str, now: float, last: Last) -> float:
    """What is left of a provider's allowance for the sake of one incident; 1.0: all of it."""
    ease = policy.kinds[kind].ease if kind in policy.kinds else 1.0
    if last.open or last.closed_at is None:
        return ease
    passed = now - last.closed_at
    for seconds, factor in policy.recovery:
        if passed < seconds:
            return max(ease, factor)
        passed -= seconds
    return 1.0


def recovery_time(policy: Policy) -> float:
    """Seconds after which a closed incident eases nothing any more."""
    return sum(seconds for seconds, _ in policy.recovery)


def shipped() -> Policy:
    """The policy of incident_policy.toml."""
    text = Path(__file__).with_name("incident_policy.toml").read_text(encoding="utf-8")
    return read_policy(tomllib.loads(text))


def read_policy(raw: Mapping[str, Any]) -> Policy:
    kinds = {
        name: IncidentKind(
            name,
            row["fault"],
            float(row["ease"]),
            frozenset(row.get("faults", ())),
            frozenset(row.get("categories", ())),
            float(row.get("stricter", 1.0)),
            bool(row.get("everywhere", False)),
        )
        for name, row in raw["kinds"].items()
    }
    return Policy(
        tuple(Look(**look) for look in raw["looks"]),
        tuple(Calm(**calm) for calm in raw["calms"]),
        Times(**raw["times"]),
        tuple((stage["seconds"], stage["factor"]) for stage in raw["recovery"]),
        MappingProxyType(kinds),
    )

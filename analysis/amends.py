"""The words of a replay: what a fact was taken for, what it is taken for today, what follows.

Plain values, shown by `carom replay` and written into the audit.  `Memory` is what one run carries
from one piece of work to the next: without it two facts of one wrong rule would hold each other's
suppression up, and a rehearsal, which rolls everything back, would tell the same effect twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from analysis.suppression import Reason, Suppression

ACTOR = "carom replay"


@dataclass(frozen=True, slots=True)
class Judged:
    """What a fact was or is taken for; words of the contract, None where they do not apply."""

    kind: str
    category: str | None
    fault: str | None
    severity: str | None
    rule: str | None
    address: str | None = None

    @classmethod
    def of(cls, row: Any, kind: str | None = None) -> Judged:
        """From a row of `reports` or (with its kind given) of `attempts`."""
        named = row.address if kind is None else None
        return cls(kind or row.kind, row.category, row.fault, row.severity, row.rule, named)


@dataclass(frozen=True, slots=True)
class Effect:
    """What changes outside the fact: `lifted` or `suppressed` (a reason), `state` (a state)."""

    what: str
    to: str
    entry: Suppression | None = None  # lifted or made
    before: str | None = None  # the state


@dataclass(frozen=True, slots=True)
class Change:
    """A fact that is judged otherwise today, and what follows."""

    at: float
    source: str  # report | smtp
    raw_id: str | None
    delivery_id: str | None
    recipient: str | None
    old: Judged | None  # None: had not been read, or not as this
    new: Judged | None  # None: is no longer seen
    effects: tuple[Effect, ...] = ()
    entered: bytes | None = None  # the identity of a report that is new


@dataclass(slots=True)
class Memory:
    """What one replay has to remember from one piece of work to the next."""

    held: dict[str, Reason | None] = field(default_factory=dict)  # today, where rows say otherwise
    entered: set[bytes] = field(default_factory=set)  # identities new in a rehearsal
    told: set[tuple[str, ...]] = field(default_factory=set)  # effects of a rehearsal

    def rehearsed(self, changes: Sequence[Change]) -> list[Change]:
        """Changes that were rolled back, without effects that earlier ones have had already."""
        for change in changes:
            if change.entered is not None:
                self.entered.add(change.entered)
        return [replace(change, effects=self._untold(change)) for change in changes]

    def _untold(self, change: Change) -> tuple[Effect, ...]:
        about = {
            effect: (effect.what, effect.to, _subject(change, effect)) for effect in change.effects
        }
        fresh = tuple(effect for effect, told in about.items() if told not in self.told)
        self.told.update(about.values())
        return fresh


def _subject(change: Change, effect: Effect) -> str:
    if effect.entry is None:
        return change.delivery_id or ""
    return f"{effect.entry.address_hash.hex()} {effect.entry.stream}"


def audit_row(change: Change, now: float) -> dict[str, Any]:
    """The audit of a fact judged anew; what follows is audited by those who do it."""
    return {
        "at": now,
        "actor": ACTOR,
        "action": "replay.rejudge",
        "subject": change.delivery_id or change.raw_id or "",
        "reason": f"{named(change.old)} -> {named(change.new)}",
        "data": {"source": change.source, "raw_id": change.raw_id},
    }


def named(judged: Judged | None) -> str:
    """`bad_mailbox (no-such-user/unknown)`; the kind where there is no category."""
    if judged is None:
        return "nothing"
    if judged.category is None:
        return judged.kind
    return f"{judged.category} ({judged.rule})"

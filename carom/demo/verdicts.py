"""Did Carom find out the truth?  The demo's books: what was sent, what became of it.

Reads the database as anybody may, and compares each delivery with its role in the cast.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from analysis.lifecycle import PENDING, State
from analysis.schema import deliveries, suppressions
from carom.demo.cast import CAST, Role, role_of


@dataclass(frozen=True, slots=True)
class Line:
    """One role: how many, in which states they ended, how many as they should."""

    role: Role
    sent: int
    states: dict[str, int]
    suppressed: int
    right: int


@dataclass(frozen=True, slots=True)
class Books:
    accepted: int
    states: dict[str, int]
    lines: tuple[Line, ...]
    waits: tuple[float, ...]  # seconds from our promise to the next host's, sorted
    reasons: dict[str, int]  # suppressions by reason
    wrongly_suppressed: int
    wrong: tuple[str, ...] = field(default=())  # recipients that did not end as they should

    @property
    def settled(self) -> int:
        return sum(n for state, n in self.states.items() if State(state) not in PENDING)

    @property
    def balanced(self) -> bool:
        """accepted = the sum over all states, and nothing waits any more."""
        return self.accepted == sum(self.states.values()) == self.settled

    @property
    def fine(self) -> bool:
        return self.balanced and not self.wrong and not self.wrongly_suppressed

    def wait(self, share: float) -> float:
        """The time within which this share was accepted; 0 if nothing was."""
        if not self.waits:
            return 0.0
        return self.waits[min(len(self.waits) - 1, int(share * len(self.waits)))]


def draw_up(tx: Connection, accepted: int) -> Books:
    """The books of this moment; `accepted` is what submission promised."""
    rows = tx.execute(
        select(
            deliveries.c.recipient,
            deliveries.c.address_hash,
            deliveries.c.state,
            deliveries.c.created_at,
            deliveries.c.accepted_at,
        )
    ).all()
    reasons = _reasons(tx)
    lines: dict[str, list[tuple[str, str, str | None]]] = {}
    for row in rows:
        role = role_of(row.recipient)
        found = reasons.get(bytes(row.address_hash))
        lines.setdefault(role.name, []).append((row.recipient, row.state, found))
    return Books(
        accepted=accepted,
        states=dict(Counter(row.state for row in rows)),
        lines=tuple(_line(role, lines[role.name]) for role in CAST if role.name in lines),
        waits=tuple(sorted(r.accepted_at - r.created_at for r in rows if r.accepted_at)),
        reasons=dict(Counter(reasons.values())),
        wrongly_suppressed=sum(
            reason is not None and role_of(recipient).reason is None
            for entries in lines.values()
            for recipient, _, reason in entries
        ),
        wrong=tuple(
            recipient
            for entries in lines.values()
            for recipient, state, reason in entries
            if not _right(role_of(recipient), state, reason)
        ),
    )


def _reasons(tx: Connection) -> dict[bytes, str]:
    rows = tx.execute(select(suppressions.c.address_hash, suppressions.c.reason))
    return {bytes(address): reason for address, reason in rows}


def _line(role: Role, entries: list[tuple[str, str, str | None]]) -> Line:
    return Line(
        role,
        sent=len(entries),
        states=dict(Counter(state for _, state, _ in entries)),
        suppressed=sum(reason is not None for _, _, reason in entries),
        right=sum(_right(role, state, reason) for _, state, reason in entries),
    )


def _right(role: Role, state: str, reason: str | None) -> bool:
    return state == role.ends.value and reason == (role.reason and role.reason.value)

"""The account equation, which holds after every fault:

accepted = delivered + complained + bounced + expired + suppressed + cancelled + queued + sending
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, func, select

from analysis.lifecycle import FINAL, State
from analysis.lookup import accounts
from analysis.schema import attempts, deliveries, events, suppressions

_ENDINGS = {
    State.DELIVERED: "delivered",
    State.BOUNCED: "bounced",
    State.EXPIRED: "expired",
    State.CANCELLED: "cancelled",
    State.COMPLAINED: "complained",
    State.SUPPRESSED: "withheld",
}


def balanced(tx: Connection, accepted: Collection[str], *, settled: bool = True) -> dict[str, int]:
    """The accounts, after proof that they add up; `accepted` are the ids of deliveries promised.

    Nothing promised is missing, what is here unpromised was written by a commit whose answer was
    lost, every end was announced once, and nothing is held once everything has settled.
    """
    books = accounts(tx)
    here = set(tx.execute(select(deliveries.c.id)).scalars())
    missing = set(accepted) - here
    assert not missing, f"{len(missing)} acknowledged and missing"
    assert sum(books.values()) == len(here)
    _told_once(tx)
    if settled:
        assert books["queued"] == books["sending"] == 0, books
        open_ = select(func.count()).where(attempts.c.ended_at.is_(None))
        assert tx.execute(open_).scalar_one() == 0, "an attempt is open and nobody holds it"
    return books


def _told_once(tx: Connection) -> None:
    """Each delivery that ended has one event of its end, and none has two of a kind."""
    told = select(events.c.delivery_id, events.c.kind, func.count().label("times"))
    told = told.where(events.c.kind.in_(_ENDINGS.values())).group_by(
        events.c.delivery_id, events.c.kind
    )
    seen = {(row.delivery_id, row.kind): int(row.times) for row in tx.execute(told)}
    assert not {what: times for what, times in seen.items() if times > 1}, "told twice"
    ends = select(deliveries.c.id, deliveries.c.state).where(
        deliveries.c.state.in_([state.value for state in (State.DELIVERED, *FINAL)]),
        deliveries.c.probe.is_(None),  # a canary's end is nobody's news
    )
    silent = [row for row in tx.execute(ends) if (row.id, _ENDINGS[State(row.state)]) not in seen]
    assert not silent, f"{len(silent)} ended and nobody was told: {silent[:3]}"


def nobody_suppressed(tx: Connection) -> None:
    """No fault of ours, of a network or of a receiver may close an address."""
    found = tx.execute(select(suppressions.c.address, suppressions.c.reason)).all()
    assert not found, f"suppressed: {found[:3]}"

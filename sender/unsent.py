"""What ends in the queue, unsent: its deadline has passed, or its sender called it back.

What is on the wire is out of reach: it ends by what comes of it (`sender.record`).  Both are safe
to run anywhere, at any time and again.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from analysis import cohorts
from analysis.events import announce, event
from analysis.lifecycle import Fact, State, advance
from analysis.schema import deliveries, messages
from analysis.store import IN_LIMIT, chunks


@dataclass(frozen=True, slots=True)
class Expired:
    """A delivery that its deadline overtook while it waited."""

    stream: str
    provider: str
    probe: str | None = None
    waited: float = 0.0  # seconds since it could first be sent


_SEND_AT = (
    select(messages.c.send_at).where(messages.c.id == deliveries.c.message_id).scalar_subquery()
)


def expire(tx: Connection, *, now: float, limit: int = 1000) -> list[Expired]:
    """End queued deliveries whose deadline has passed.  Safe to run anywhere, at any time."""
    rows = tx.execute(
        select(
            deliveries.c.id,
            deliveries.c.message_id,
            deliveries.c.recipient,
            deliveries.c.stream,
            deliveries.c.provider,
            deliveries.c.category,
            deliveries.c.probe,
            func.coalesce(_SEND_AT, deliveries.c.created_at).label("promised_at"),
        )
        .where(deliveries.c.state == State.QUEUED.value, deliveries.c.deadline <= now)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for chunk in chunks(list(rows), IN_LIMIT):
        tx.execute(
            update(deliveries)
            .where(deliveries.c.id.in_([row.id for row in chunk]))
            .values(state=advance(State.QUEUED, Fact.SPENT).value, settled_at=now)
        )
    cohorts.count(tx, [row.id for row in rows])
    announce(
        tx,
        [
            event(
                "expired",
                at=now,
                message_id=row.message_id,
                delivery_id=row.id,
                data={
                    "recipient": row.recipient,
                    "stream": row.stream,
                    "category": row.category,
                },
            )
            for row in rows
            if row.probe is None
        ],
    )
    return [Expired(r.stream, r.provider, r.probe, now - r.promised_at) for r in rows]


def cancel(tx: Connection, message_id: str, *, now: float) -> int:
    """Cancel what of a message is still queued; what is on the wire cannot be called back."""
    rows = tx.execute(
        update(deliveries)
        .where(deliveries.c.message_id == message_id, deliveries.c.state == State.QUEUED.value)
        .values(state=advance(State.QUEUED, Fact.CANCELLED).value, settled_at=now)
        .returning(deliveries.c.id, deliveries.c.recipient, deliveries.c.stream)
    ).all()
    cohorts.count(tx, [row.id for row in rows])
    announce(
        tx,
        [
            event(
                "cancelled",
                at=now,
                message_id=message_id,
                delivery_id=row.id,
                data={"recipient": row.recipient, "stream": row.stream},
            )
            for row in rows
        ],
    )
    return len(rows)

"""Leases: for how long a node holds what it claimed, and how it comes back to the queue.

`renew` keeps what is under way, `release` gives up what its holder cannot go on with, `reclaim`
takes back what its holder no longer keeps: the lease ran out, or the process is known to be dead.
Whatever comes back is due again; its open attempt is closed as `lost`, and no step of its schedule
is used up.  A pair of delivery and epoch that somebody else holds by now is left alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, and_, bindparam, select, update

from analysis.lifecycle import Fact, State, advance
from analysis.schema import attempts, deliveries
from analysis.store import IN_LIMIT, chunks

Held = tuple[str, int]
"""A delivery id and the epoch under which it is held."""


def renew(tx: Connection, *, held: Sequence[Held], until: float) -> set[Held]:
    """Keep holding what is under way, and say what that is; what was taken from us stays lost."""
    if not held:
        return set()
    tx.execute(_RENEW, [_pair(one) | {"until": until} for one in held])
    kept: set[Held] = set()
    for chunk in chunks(sorted(delivery_id for delivery_id, _ in held), IN_LIMIT):
        mine = select(deliveries.c.id, deliveries.c.epoch).where(
            deliveries.c.id.in_(chunk), deliveries.c.state == State.SENDING.value
        )
        kept.update((row.id, row.epoch) for row in tx.execute(mine))
    return kept.intersection(held)


def release(tx: Connection, *, held: Sequence[Held], now: float, due_at: float) -> None:
    """Give up what we hold and cannot bring to an end; it is due again at `due_at`."""
    if held:
        tx.execute(_REQUEUE, [_pair(one) | {"due": due_at} for one in held])
        tx.execute(_CLOSE, [_pair(one) | {"ended": now} for one in held])


def holders(tx: Connection) -> list[str]:
    """The nodes that hold deliveries now."""
    held = select(deliveries.c.node).where(deliveries.c.state == State.SENDING.value).distinct()
    return [node for node in tx.execute(held).scalars() if node is not None]


def reclaim(
    tx: Connection, *, now: float, nodes: Collection[str] | None = None, limit: int = 1000
) -> int:
    """Take back deliveries whose lease ran out, or all that `nodes`, known to be gone, held."""
    lost = and_(
        deliveries.c.state == State.SENDING.value,
        deliveries.c.lease_until <= now if nodes is None else deliveries.c.node.in_(sorted(nodes)),
    )
    rows = tx.execute(
        select(deliveries.c.id, deliveries.c.epoch)
        .where(lost)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    release(tx, held=[(row.id, row.epoch) for row in rows], now=now, due_at=now)
    return len(rows)


def _pair(held: Held) -> dict[str, Any]:
    return {"of_delivery": held[0], "of_epoch": held[1]}


_OURS = (
    deliveries.c.id == bindparam("of_delivery"),
    deliveries.c.epoch == bindparam("of_epoch"),
    deliveries.c.state == State.SENDING.value,
)
_RENEW = update(deliveries).where(*_OURS).values(lease_until=bindparam("until"))
_REQUEUE = (
    update(deliveries)
    .where(*_OURS)
    .values(
        state=advance(State.SENDING, Fact.LEASE_LOST).value,
        lease_until=None,
        next_at=bindparam("due"),
    )
)
_CLOSE = (
    update(attempts)
    .where(
        attempts.c.delivery_id == bindparam("of_delivery"),
        attempts.c.epoch == bindparam("of_epoch"),
        attempts.c.ended_at.is_(None),
    )
    .values(ended_at=bindparam("ended"), result="lost")
)

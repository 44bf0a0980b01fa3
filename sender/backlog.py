"""How much waits in the queue, by class: counted by an index, however long it is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, literal_column, select, union_all

from analysis.lifecycle import State
from analysis.schema import canaries, deliveries, placements
from sender.submit import RANKS

_QUEUED: Any = literal_column(f"'{State.QUEUED.value}'")  # as SQLite needs it to count by the index


def depth(tx: Connection, now: float) -> dict[str, tuple[int, float]]:
    """Class -> how many wait, and for how many seconds the oldest due one has waited.

    Probes of our own are nobody's mail and not counted.  They are few and known by name, so they
    are taken off what an index alone can count: a queue of a million is not read for them.
    """
    d = deliveries.c
    rows = tx.execute(
        select(d.rank, func.count(), func.min(d.next_at)).where(d.state == _QUEUED).group_by(d.rank)
    )
    names = {rank: name for name, rank in RANKS.items()}
    ours = _probes_waiting(tx, now)
    found = {}
    for rank, count, oldest in rows:
        if rank in ours:
            count, oldest = count - ours[rank], _oldest(tx, rank, now)
        found[names[rank]] = (int(count), max(0.0, now - oldest))
    return {name: found.get(name, (0, 0.0)) for name in RANKS}


_PROBES_WAIT = 86_400.0
"""Seconds after which a probe that still waits is as good as lost."""


def _probes_waiting(tx: Connection, now: float) -> dict[int, int]:
    """Rank -> how many probes of our own are queued."""
    since = now - _PROBES_WAIT
    sent = union_all(
        select(canaries.c.delivery_id).where(canaries.c.sent_at > since),
        select(placements.c.delivery_id).where(placements.c.sent_at > since),
    )
    of_them = select(deliveries.c.rank, func.count()).where(
        deliveries.c.id.in_(sent),
        deliveries.c.state == State.QUEUED,
        deliveries.c.probe.is_not(None),
    )
    return {rank: int(count) for rank, count in tx.execute(of_them.group_by(deliveries.c.rank))}


def _oldest(tx: Connection, rank: int, now: float) -> float:
    """When the first one that is no probe was due; now if there is none."""
    d = deliveries.c
    due = select(d.next_at).where(d.state == _QUEUED, d.rank == rank, d.probe.is_(None))
    found = tx.execute(due.order_by(d.next_at).limit(1)).scalar()
    return now if found is None else float(found)

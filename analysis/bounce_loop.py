"""The bounce loop: do bounces come back to us at all?

A canary is a message of ours that must bounce.  Its bounce takes the way of any other: to the MX
of the bounce domain, through listener, inbox and reader, into the ledger.  Once the ledger has
recorded it, the loop has been seen to work; when none came back for too long, bounces are being
lost, and with them every late failure.

A row each in `canaries`, kept for `KEPT`.  All steps may be done twice, on any node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from analysis.events import announce, event
from analysis.facts import Kind
from analysis.schema import canaries, reports

MARK = "canary"
KEPT = 7 * 86_400.0
AWAITED = 86_400.0
"""Seconds after which a canary is given up."""


def begin(tx: Connection, canary_id: str, now: float) -> None:
    """Note a canary before it is handed in: nothing comes back for one that is not known."""
    tx.execute(insert(canaries), {"id": canary_id, "sent_at": now})


def hand_in(tx: Connection, canary_id: str, delivery_id: str) -> None:
    """Note the delivery whose bounce is awaited."""
    tx.execute(update(canaries).where(canaries.c.id == canary_id).values(delivery_id=delivery_id))


def take_turn(tx: Connection, canary_id: str, now: float) -> bool:
    """Whether this canary's bounce is still owed; it is owed once."""
    taken = tx.execute(
        update(canaries)
        .where(canaries.c.id == canary_id, canaries.c.reflected_at.is_(None))
        .values(reflected_at=now)
    )
    return taken.rowcount == 1


def last_return(tx: Connection, now: float) -> float | None:
    """When a canary's bounce was recorded last, in Unix seconds."""
    known = tx.execute(select(func.max(canaries.c.returned_at))).scalar()
    fresh = max((at for _, at in _returned(tx, now)), default=None)
    return max((at for at in (known, fresh) if at is not None), default=None)


def silence(tx: Connection, now: float, started: float) -> float:
    """Seconds since a bounce came back last; since the first canary, or our start, if none has."""
    since = last_return(tx, now)
    if since is None:
        since = tx.execute(select(func.min(canaries.c.sent_at))).scalar()
    return max(0.0, now - (started if since is None else since))


def settle(tx: Connection, *, now: float, late: float) -> None:
    """Note what came back, and announce when the loop has broken or is mended.

    Broken: a canary was sent more than `late` seconds ago and since then none has come back.
    """
    returned = _returned(tx, now)
    for canary_id, at in returned:
        tx.execute(update(canaries).where(canaries.c.id == canary_id).values(returned_at=at))
    last = last_return(tx, now)
    alarmed = tx.execute(select(func.min(canaries.c.alarmed_at))).scalar()
    if alarmed is None:
        _raise_alarm(tx, last, now, late)
    elif last is not None and last > alarmed:
        tx.execute(update(canaries).values(alarmed_at=None))
        _tell(tx, "bounce_loop_mended", now, {"broken_for": round(last - alarmed)})


def forget(tx: Connection, now: float) -> int:
    """Forget canaries of more than a week ago; how many."""
    return tx.execute(delete(canaries).where(canaries.c.sent_at < now - KEPT)).rowcount


def _returned(tx: Connection, now: float) -> Sequence[tuple[str, float]]:
    """Canaries whose bounce is recorded and not noted yet: id, and when it came."""
    rows = tx.execute(
        select(canaries.c.id, func.min(reports.c.at))
        .join(reports, reports.c.delivery_id == canaries.c.delivery_id)
        .where(
            canaries.c.returned_at.is_(None),
            canaries.c.sent_at > now - AWAITED,
            reports.c.kind == Kind.BOUNCE.value,
        )
        .group_by(canaries.c.id)
    )
    return [(row[0], float(row[1])) for row in rows]


def _raise_alarm(tx: Connection, last: float | None, now: float, late: float) -> None:
    waiting = tx.execute(
        select(canaries.c.id, canaries.c.sent_at)
        .where(canaries.c.returned_at.is_(None), canaries.c.sent_at > now - AWAITED)
        .order_by(canaries.c.sent_at)
    ).all()
    lost = [row for row in waiting if last is None or row.sent_at > last]
    if lost and lost[0].sent_at + late <= now:
        tx.execute(update(canaries).where(canaries.c.id == lost[0].id).values(alarmed_at=now))
        _tell(tx, "bounce_loop_broken", now, {"silent_for": round(now - (last or lost[0].sent_at))})


def _tell(tx: Connection, kind: str, now: float, data: dict[str, Any]) -> None:
    announce(tx, [event(kind, at=now, data=data)])

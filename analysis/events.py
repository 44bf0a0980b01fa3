"""Events: what happened, in an order that a reader's cursor can trust.

`seq` is given out when a row is inserted and becomes visible when its transaction commits, so on
PostgreSQL a slow writer could commit a lower number after a reader has passed it.  Writers
therefore share an advisory lock until they commit, and a reader waits for those under way before it
looks: nothing below its cursor can appear any more.  SQLite has one writer and needs none of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select, text

from analysis.schema import events

LOCK = 0x6361_726F_6D65  # "carome"

_EARLIER = events.alias()
NUMBERED = select(
    events,
    select(func.count())
    .select_from(_EARLIER)
    .where(_EARLIER.c.message_id == events.c.message_id, _EARLIER.c.seq <= events.c.seq)
    .scalar_subquery()
    .label("sequence"),
)
"""Events with their number among those of their message, from 1; 0 for those of no message."""

_SHARE = text("SELECT pg_advisory_xact_lock_shared(:lock)")
_WAIT = text("SELECT pg_advisory_xact_lock(:lock)")


def event(
    kind: str,
    *,
    at: float,
    message_id: str | None = None,
    delivery_id: str | None = None,
    data: dict[str, Any],
) -> dict[str, Any]:
    """One event as a row."""
    return {
        "at": at,
        "kind": kind,
        "message_id": message_id,
        "delivery_id": delivery_id,
        "data": data,
    }


def announce(tx: Connection, happened: Sequence[dict[str, Any]]) -> None:
    """Write events; they are seen, in order, once `tx` commits."""
    if happened:
        share(tx)
        tx.execute(insert(events), list(happened))


def share(tx: Connection) -> None:
    """Take the place of a writer now, for who will take another lock before it announces."""
    _lock(tx, _SHARE)


def after(tx: Connection, cursor: int, limit: int) -> list[Any]:
    """Rows after `cursor`, in order, with no gap that could be filled later."""
    _lock(tx, _WAIT)
    query = NUMBERED.where(events.c.seq > cursor).order_by(events.c.seq)
    return list(tx.execute(query.limit(limit)))


def _lock(tx: Connection, statement: Any) -> None:
    if tx.dialect.name == "postgresql":
        tx.execute(statement, {"lock": LOCK})

"""Whose link it is, for as long as the link works: longer than its delivery is kept.

An unsubscribe link lives for a year (mail is read late, and RFC 8058 asks for links that work), a
delivery for the days of `[retention]`.  When retention takes a delivery whose mail carried a link,
the hash of its address and its stream stay, without the address: enough to withhold by.  They go
once the link itself is too old, or with the person who is erased.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from analysis.ids import first_id
from analysis.schema import deliveries, unsubscribe_links
from analysis.store import insert_once

LIFETIME = 365 * 86_400.0
"""Seconds that an unsubscribe link works, from the promise to send on."""
MARGIN = 32 * 86_400.0
"""Seconds that a promise may lie after the making of the id: mail can be sent later."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Who a link is for.  Its fields are those of a delivery that rules of withholding ask for."""

    id: str  # of the delivery
    message_id: str | None  # None: the delivery is no longer kept
    recipient: str | None
    address_hash: bytes
    stream: str
    provider: str = "other"
    state: str = "delivered"
    accepted_at: float | None = None
    attempts: int = 1
    probe: str | None = None


def subject(tx: Connection, delivery_id: str) -> Subject | None:
    """Whom a genuine token of this delivery speaks for; None where nothing is left of it."""
    c = deliveries.c
    wanted = select(c.message_id, c.recipient, c.address_hash, c.stream).where(c.id == delivery_id)
    if row := tx.execute(wanted).one_or_none():
        message_id, recipient, hashed, stream = row
        return Subject(delivery_id, message_id, recipient, bytes(hashed), stream)
    return left(tx, delivery_id)


def left(tx: Connection, delivery_id: str) -> Subject | None:
    """What retention has left of a delivery."""
    found = select(unsubscribe_links).where(unsubscribe_links.c.delivery_id == delivery_id)
    row = tx.execute(found).one_or_none()
    if row is None:
        return None
    return Subject(delivery_id, None, None, bytes(row.address_hash), row.stream)


def keep(tx: Connection, message_ids: Collection[str], streams: Collection[str]) -> None:
    """Leave what their links need, before the deliveries of these messages go."""
    if not streams:
        return
    rows = tx.execute(
        select(deliveries.c.id, deliveries.c.address_hash, deliveries.c.stream).where(
            deliveries.c.message_id.in_(message_ids),
            deliveries.c.stream.in_(streams),
            deliveries.c.probe.is_(None),
            deliveries.c.recipient != "erased",
        )
    )
    kept = [
        {"delivery_id": row.id, "address_hash": bytes(row.address_hash), "stream": row.stream}
        for row in rows
    ]
    insert_once(tx, unsubscribe_links, kept)


def forget(tx: Connection, now: float, most: int) -> int:
    """Forget links that work no longer; how many."""
    oldest = first_id(now - LIFETIME - MARGIN)
    old = select(unsubscribe_links.c.delivery_id).where(unsubscribe_links.c.delivery_id < oldest)
    ids = list(tx.execute(old.limit(most)).scalars())
    if ids:
        tx.execute(delete(unsubscribe_links).where(unsubscribe_links.c.delivery_id.in_(ids)))
    return len(ids)

"""Engagement: that somebody or something opened or clicked a delivery; once a kind and class.

What is kept is the delivery, open or click, a class and the first time.  Never an address, a user
agent or the target of a click, which may hold a secret of the recipient's.  A machine's fetch
counts beside a person's and never for it: rates of people are over `human` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, func, select

from analysis.events import announce, event
from analysis.schema import deliveries, engagements
from analysis.store import insert_once


class What(StrEnum):
    OPEN = "open"
    CLICK = "click"


class Who(StrEnum):
    """What fetched it, as far as the evidence goes."""

    HUMAN = "human"
    MACHINE = "machine"
    UNKNOWN = "unknown"


_EVENTS = {What.OPEN: "opened", What.CLICK: "clicked"}


@dataclass(frozen=True, slots=True)
class Delivered:
    """What is asked of a delivery before a fetch is judged."""

    stream: str
    accepted_at: float | None
    noted: frozenset[tuple[str, str]]  # kinds and classes


def known(tx: Connection, delivery_id: str) -> Delivered | None:
    """The delivery, or None if it is no longer kept."""
    row = tx.execute(
        select(deliveries.c.stream, deliveries.c.accepted_at).where(deliveries.c.id == delivery_id)
    ).one_or_none()
    if row is None:
        return None
    noted = tx.execute(
        select(engagements.c.kind, engagements.c["class"]).where(
            engagements.c.delivery_id == delivery_id
        )
    )
    return Delivered(row.stream, row.accepted_at, frozenset((kind, who) for kind, who in noted))


def note(tx: Connection, delivery_id: str, what: What, who: Who, now: float) -> bool:
    """Record it and say so in an event; False if it was noted before or nobody knows of it."""
    row = tx.execute(
        select(deliveries.c.stream, deliveries.c.message_id).where(deliveries.c.id == delivery_id)
    ).one_or_none()
    if row is None:
        return False
    fresh: dict[str, Any] = {
        "delivery_id": delivery_id,
        "kind": what.value,
        "class": who.value,
        "stream": row.stream,
        "at": now,
    }
    if not insert_once(tx, engagements, [fresh], returning="delivery_id"):
        return False
    told = event(
        _EVENTS[what],
        at=now,
        message_id=row.message_id,
        delivery_id=delivery_id,
        data={"stream": row.stream, "class": who.value},
    )
    announce(tx, [told])
    return True


def counts(tx: Connection, since: float, until: float) -> Sequence[tuple[str, str, str, int]]:
    """Stream, kind, class and how many deliveries, first opened or clicked in `since <= t < until`.

    A rate is these over the deliveries of the stream that were accepted in the same time.
    """
    at, who = engagements.c.at, engagements.c["class"]
    rows = tx.execute(
        select(engagements.c.stream, engagements.c.kind, who, func.count())
        .where(at >= since, at < until)
        .group_by(engagements.c.stream, engagements.c.kind, who)
        .order_by(engagements.c.stream, engagements.c.kind, who)
    )
    return [(stream, kind, class_, int(count)) for stream, kind, class_, count in rows]


def forget(tx: Connection, before: float, most: int) -> int:
    """Drop at most `most` rows older than `before`; how many."""
    old = list(
        tx.execute(
            select(engagements.c.delivery_id).where(engagements.c.at < before).limit(most)
        ).scalars()
    )
    if not old:
        return 0
    gone = delete(engagements).where(engagements.c.delivery_id.in_(old), engagements.c.at < before)
    return max(0, int(tx.execute(gone).rowcount))

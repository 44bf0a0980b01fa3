"""Engagement: that somebody or something opened or clicked a delivery; once a kind and class.

What is kept is the delivery, open or click, a class and the first time.  Never an address, a user
agent or the target of a click, which may hold a secret of the recipient's.  A machine's fetch
counts beside a person's and never for it: rates of people are over `human` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, func, select
from ulid import ULID

from analysis.cohorts import Span
from analysis.events import announce, event
from analysis.ids import first_id
from analysis.schema import deliveries, engagements
from analysis.store import insert_once

SKEW = 60.0
"""Seconds by which an id may be older or newer than its row says."""


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


@dataclass(frozen=True, slots=True)
class Engaged:
    """Deliveries of a stream that were opened, or clicked, by the classes that did.

    One that a person and a machine opened counts in both.
    """

    stream: str
    what: What
    by: Mapping[str, int]


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


def of_cohort(tx: Connection, span: Span) -> list[Engaged]:
    """What became, by today, of the deliveries sent in a span; by stream and kind.

    A late click counts for the day that its mail was sent on, as a late bounce does.
    """
    at, who = deliveries.c.created_at, engagements.c["class"]
    query = (
        select(engagements.c.stream, engagements.c.kind, who, func.count())
        .join(deliveries, deliveries.c.id == engagements.c.delivery_id)
        .where(
            # ids sort by time: the span of the key is what is read
            engagements.c.delivery_id >= first_id(span.since - SKEW),
            engagements.c.delivery_id < first_id(span.until + SKEW),
            at >= span.since,
            at < span.until,
        )
        .group_by(engagements.c.stream, engagements.c.kind, who)
    )
    if span.stream is not None:
        query = query.where(deliveries.c.stream == span.stream)
    if span.provider is not None:
        query = query.where(deliveries.c.provider == span.provider)
    found: dict[tuple[str, str], dict[str, int]] = {}
    for stream, kind, class_, count in tx.execute(query):
        found.setdefault((stream, kind), {})[class_] = int(count)
    return [Engaged(stream, What(kind), by) for (stream, kind), by in sorted(found.items())]


def people(tx: Connection, since: float, until: float) -> int:
    """How many deliveries made in `since <= t < until` a person has opened or clicked since.

    The id of a delivery tells when it was made, so that old mail read late counts for its own time.
    """
    e = engagements.c
    human = e["class"] == Who.HUMAN.value
    made = (e.delivery_id >= _first_id(since)) & (e.delivery_id < _first_id(until))
    query = select(func.count(e.delivery_id.distinct())).where(human, made)
    return int(tx.execute(query).scalar_one())


def _first_id(at: float) -> str:
    """What comes before every id of this millisecond and after all earlier ones."""
    return str(ULID.from_timestamp(max(0.0, at))).lower()[:10]


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

"""Retention: what is old enough is forgotten, a little at a time.

Bodies go first, then raw reports, then whole messages with all that hangs on them; what still
waits to be sent is never touched, however old.  The suppression list is not retained by age but by
its own limits.  Every sweep is one short transaction; a sweep that took its fill says so, and the
caller comes again.  Idempotent and safe on any number of nodes.

On PostgreSQL bodies and raw reports go by whole days where they can (`drop_day`, `analysis.days`),
up to a day later than the settings say; less than a day is kept to the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, func, select

from analysis import (
    aggregate_ledger,
    audit,
    bounce_loop,
    cohorts,
    days,
    engagement,
    feedback,
    incidents,
    links,
    placement,
    sessions,
    webhooks,
)
from analysis.days import DAY
from analysis.ids import first_id
from analysis.lifecycle import PENDING
from analysis.schema import (
    attempts,
    bodies,
    deliveries,
    events,
    idempotency,
    messages,
    raw_inbound,
    reports,
    soft_bounces,
    suppressions,
)

_PENDING = [state.value for state in PENDING]


@dataclass(frozen=True, slots=True)
class Keep:
    """How long each class of data is kept, in seconds."""

    content: float = 7 * DAY  # after the last delivery of the message ended
    messages: float = 90 * DAY
    inbound: float = 30 * DAY
    events: float = 90 * DAY
    audit: float = 730 * DAY
    idempotency: float = DAY
    lapsed: float = 90 * DAY  # suppressions that have run out, for those who ask why
    cohorts: float = 400 * DAY  # counts by hour of what was sent, without a trace of whom
    aggregates: float = 400 * DAY  # reports of receivers: small, and worth a year's comparison
    linked: frozenset[str] = frozenset()  # streams whose mail carries links that outlive it


TOLD = 3
"""Events of a message, or a little more than there are."""


def sweep(tx: Connection, keep: Keep, *, now: float, most: int = 1_000) -> int:
    """Forget at most `most` rows of each class; how many in all, 0 when nothing is left to do.

    Of events `TOLD` times as many, or their table would grow where messages keep up.
    """
    gone = _bodies(tx, _cut(tx, keep.content, now), now - keep.content, most)
    gone += _messages(tx, now - keep.messages, most, keep.linked)
    old = raw_inbound.c.id < first_id(_cut(tx, keep.inbound, now))
    gone += _by(tx, raw_inbound, raw_inbound.c.id, old & (raw_inbound.c.state != "new"), most)
    gone += _by(tx, events, events.c.seq, events.c.at < now - keep.events, TOLD * most)
    gone += audit.forget(tx, now - keep.audit, most)
    unproven = reports.c.delivery_id.is_(None) & (reports.c.at < now - keep.messages)
    gone += _by(tx, reports, reports.c.id, unproven, most)
    old = idempotency.c.created_at < now - keep.idempotency
    gone += _by(tx, idempotency, idempotency.c.key_hash, old, most)
    gone += aggregate_ledger.forget(tx, now - keep.aggregates, most)
    gone += engagement.forget(tx, now - keep.messages, most)
    gone += placement.forget(tx, now - keep.messages, most)
    gone += bounce_loop.forget(tx, now)
    gone += sessions.forget_ended(tx, now)
    gone += webhooks.forget(tx, now, most)
    gone += links.forget(tx, now, most)
    gone += feedback.forget(tx, now - keep.messages)
    gone += cohorts.forget(tx, now - keep.cohorts, most=most)
    gone += incidents.forget(tx, now - keep.audit, now - keep.inbound)
    lapsed = suppressions.c.until < now - keep.lapsed
    gone += _count(tx.execute(delete(suppressions).where(lapsed)))
    day = int((now - keep.messages) // DAY)
    return gone + _count(tx.execute(delete(soft_bounces).where(soft_bounces.c.day < day)))


def drop_day(tx: Connection, keep: Keep, *, now: float) -> str | None:
    """Drop one day of bodies or of raw reports that is over; its name, None when there is none.

    In a transaction of its own, since it shuts the others out until it ends.
    """
    content = now - keep.content

    def bodies_held(start: str, end: str) -> Select[Any]:
        m = deliveries.c.message_id
        return select(m).distinct().where(m >= start, m < end, _recent(content))

    def raw_held(start: str, end: str) -> Select[Any]:
        r = raw_inbound.c
        return select(r.id).where(r.id >= start, r.id < end, r.state == "new")

    dropped = None
    if keep.content >= DAY:
        dropped = days.drop(tx, bodies.c.message_id, bodies_held, at=content)
    if keep.inbound >= DAY and dropped is None:
        dropped = days.drop(tx, raw_inbound.c.id, raw_held, at=now - keep.inbound)
    return dropped


def _cut(tx: Connection, kept: float, now: float) -> float:
    """Rows from before this go by themselves."""
    return days.whole(tx, now - kept) if kept >= DAY else now - kept


def _recent(at: float) -> ColumnElement[bool]:
    """Of deliveries that have not ended before `at`."""
    ended = func.coalesce(deliveries.c.settled_at, 0.0)
    return deliveries.c.state.in_(_PENDING) | (ended >= at)


def _bodies(tx: Connection, made: float, at: float, most: int) -> int:
    """Bodies made before `made`, of messages all of whose deliveries ended before `at`."""
    recent = select(deliveries.c.id).where(
        deliveries.c.message_id == bodies.c.message_id, _recent(at)
    )
    old = (bodies.c.message_id < first_id(made)) & ~recent.exists()
    return _by(tx, bodies, bodies.c.message_id, old, most)


def _messages(tx: Connection, at: float, most: int, linked: frozenset[str]) -> int:
    """Whole messages accepted before `at` of which nothing waits, children first."""
    waits = select(deliveries.c.id).where(
        deliveries.c.message_id == messages.c.id, deliveries.c.state.in_(_PENDING)
    )
    old = list(
        tx.execute(
            select(messages.c.id).where(messages.c.id < first_id(at), ~waits.exists()).limit(most)
        ).scalars()
    )
    if not old:
        return 0
    theirs = select(deliveries.c.id).where(deliveries.c.message_id.in_(old))
    tx.execute(delete(attempts).where(attempts.c.delivery_id.in_(theirs)))
    tx.execute(delete(reports).where(reports.c.delivery_id.in_(theirs)))
    links.keep(tx, old, linked)
    tx.execute(delete(deliveries).where(deliveries.c.message_id.in_(old)))
    tx.execute(delete(bodies).where(bodies.c.message_id.in_(old)))
    return _count(tx.execute(delete(messages).where(messages.c.id.in_(old))))


def _by(tx: Connection, table: Table, key: Any, which: ColumnElement[bool], most: int) -> int:
    return _take(tx, table, key, select(key).where(which).limit(most))


def _take(tx: Connection, table: Table, key: Any, found: Any) -> int:
    ids = list(tx.execute(found).scalars())
    return _count(tx.execute(delete(table).where(key.in_(ids)))) if ids else 0


def _count(result: Any) -> int:
    return max(0, int(result.rowcount))

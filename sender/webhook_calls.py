"""The queue of webhooks: events handed over to endpoints, claimed, tried, settled.

One row an endpoint and event.  Handing over moves the endpoint's cursor in the same transaction
and only from where it was read, so that of two nodes one does it; it stops while `BACKLOG` events
wait, since the table of events is the better queue.  A claim holds a row by a lease and an epoch;
what a stale node brings back changes nothing.  An endpoint's row is locked while its calls are
claimed: no more than `places` of one endpoint are under way on all nodes together.

At least once, and the same id each time: a node that dies after the endpoint's answer leaves the
row to the next one.  An event that is spent disables its endpoint if nothing was taken meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from analysis import events as events_log
from analysis.lookup import Json, event_view
from analysis.retry import Schedule
from analysis.schema import events, webhook_calls, webhooks
from analysis.webhooks import Answer, Endpoint, Result, State, disable, newest, read

BACKLOG = 1_000
"""Events handed over to one endpoint that may wait."""
LOT = 200
"""Events handed over to one endpoint in one transaction."""
OUTAGE = 300.0
"""Seconds without a success that make failures an outage, not the fault of single events."""

_WAITING = webhook_calls.c.state == "waiting"


@dataclass(frozen=True, slots=True)
class Portion:
    """Events that an endpoint's cursor passes, and those of them that it wants."""

    endpoint: Endpoint
    upto: int
    wanted: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One event for one endpoint, held by us.  `payload` None: the event is no longer kept."""

    endpoint: Endpoint
    seq: int
    epoch: int
    tries: int
    handed_at: float
    payload: Json | None


@dataclass(frozen=True, slots=True)
class Ended:
    """A try and what is to follow, decided before it is written.  `next_at` None: it was the
    last."""

    call: Call
    answer: Answer
    result: Result
    at: float
    next_at: float | None


def portions(tx: Connection) -> list[Portion]:
    """What there is to hand over: read only, so that writers of events wait for a moment at most.

    Where nothing is new this is two cheap questions.
    """
    active = select(webhooks).where(webhooks.c.state == State.ACTIVE.value)
    endpoints = [read(row) for row in tx.execute(active)]
    if not endpoints:
        return []
    last = newest(tx)
    found = []
    for endpoint in endpoints:
        if endpoint.cursor < last and _backlog(tx, endpoint.id) < BACKLOG:
            rows = events_log.after(tx, endpoint.cursor, LOT)
            wanted = tuple(row.seq for row in rows if endpoint.wants(row.kind))
            if rows:
                found.append(Portion(endpoint, rows[-1].seq, wanted))
    return found


def _backlog(tx: Connection, webhook_id: str) -> int:
    of_it = (webhook_calls.c.webhook_id == webhook_id) & _WAITING
    return int(
        tx.execute(select(func.count()).select_from(webhook_calls).where(of_it)).scalar_one()
    )


def hand_over(tx: Connection, found: Sequence[Portion], now: float) -> int:
    """Let them wait for their endpoints; how many.  An event that had ended is sent once more."""
    count = 0
    for portion in found:
        endpoint = portion.endpoint
        moved = tx.execute(
            update(webhooks)
            .where(
                webhooks.c.id == endpoint.id,
                webhooks.c.cursor == endpoint.cursor,
                webhooks.c.state == State.ACTIVE.value,
            )
            .values(cursor=portion.upto)
        )
        if moved.rowcount == 1 and portion.wanted:
            _put(tx, endpoint.id, portion.wanted, now)
            count += len(portion.wanted)
    return count


def _put(tx: Connection, webhook_id: str, seqs: Sequence[int], now: float) -> None:
    fresh = {"state": "waiting", "handed_at": now, "next_at": now, "tries": 0}
    rows = [{"webhook_id": webhook_id, "seq": seq, "epoch": 0, **fresh} for seq in seqs]
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    tx.execute(
        dialect.insert(webhook_calls).on_conflict_do_update(
            index_elements=["webhook_id", "seq"], set_=fresh, where=~_WAITING
        ),
        rows,
    )


def due(tx: Connection, now: float) -> bool:
    """Whether there may be something to claim: asked without taking the writer's turn."""
    there = select(webhook_calls.c.seq).where(_WAITING, webhook_calls.c.next_at <= now, _free(now))
    return tx.execute(there.limit(1)).first() is not None


def claim(tx: Connection, *, now: float, lease: float, places: int) -> list[Call]:
    """What is due of every active endpoint, in the order of events, as far as it has places."""
    busy = webhook_calls.c.lease_until > now
    ripe = _WAITING & (webhook_calls.c.next_at <= now)
    for_it = webhook_calls.c.webhook_id == webhooks.c.id
    waits = select(webhook_calls.c.seq).where(for_it, ripe, _free(now)).exists()
    ready = (
        select(webhooks)
        .where(webhooks.c.state == State.ACTIVE.value, waits)
        .with_for_update(skip_locked=True)
    )
    calls: list[Call] = []
    for row in tx.execute(ready).all():
        endpoint = read(row)
        of_it = webhook_calls.c.webhook_id == endpoint.id
        under_way = select(func.count()).select_from(webhook_calls).where(of_it, _WAITING, busy)
        if (left := places - tx.execute(under_way).scalar_one()) > 0:
            calls += _claim(tx, endpoint, of_it & ripe & _free(now), now + lease, left)
    return calls


def _free(now: float) -> ColumnElement[bool]:
    return or_(webhook_calls.c.lease_until.is_(None), webhook_calls.c.lease_until <= now)


def _claim(
    tx: Connection, endpoint: Endpoint, free: ColumnElement[bool], until: float, limit: int
) -> list[Call]:
    found = select(webhook_calls).where(free).order_by(webhook_calls.c.seq).limit(limit)
    rows = tx.execute(found).all()
    seqs = [row.seq for row in rows]
    tx.execute(
        update(webhook_calls)
        .where(webhook_calls.c.webhook_id == endpoint.id, webhook_calls.c.seq.in_(seqs))
        .values(lease_until=until, epoch=webhook_calls.c.epoch + 1)
    )
    told = tx.execute(events_log.NUMBERED.where(events.c.seq.in_(seqs)))
    payloads = {event.seq: event_view(event) for event in told}
    return [
        Call(endpoint, row.seq, row.epoch + 1, row.tries, row.handed_at, payloads.get(row.seq))
        for row in rows
    ]


def judge(
    call: Call, answer: Answer, schedule: Schedule, now: float, random: Callable[[], float]
) -> Ended:
    """What follows from an answer: done, another try, or the last one."""
    if answer.taken:
        return Ended(call, answer, Result.DELIVERED, now, None)
    if answer.status == 410:
        return Ended(call, answer, Result.GONE, now, None)
    delay = schedule.delay(call.tries + 1, random)
    if delay is None or now + delay > call.handed_at + 1.5 * sum(schedule.waits):
        return Ended(call, answer, Result.FAILED, now, None)
    result = Result.REFUSED if answer.refused else Result.DEFERRED
    return Ended(call, answer, result, now, now + delay)


def settle(tx: Connection, tries: Sequence[Ended]) -> list[Endpoint]:
    """Write what came of tries; returns the endpoints that are disabled for it."""
    disabled = []
    for one in tries:
        if not _written(tx, one):
            continue
        endpoint = one.call.endpoint
        if one.result is Result.DELIVERED:
            _succeeded(tx, endpoint.id, one.at)
        else:
            _mark(tx, endpoint.id, "failed_at", one.at)
            if (why := _end_of(tx, one)) and disable(tx, endpoint, why, at=one.at):
                disabled.append(endpoint)
    return disabled


def _written(tx: Connection, one: Ended) -> bool:
    state = "waiting" if one.next_at is not None else "failed"
    done = tx.execute(
        update(webhook_calls)
        .where(
            webhook_calls.c.webhook_id == one.call.endpoint.id,
            webhook_calls.c.seq == one.call.seq,
            webhook_calls.c.epoch == one.call.epoch,
            _WAITING,
        )
        .values(
            state="done" if one.result is Result.DELIVERED else state,
            next_at=one.at if one.next_at is None else one.next_at,
            tries=one.call.tries + 1,
            lease_until=None,
            tried_at=one.at,
            seconds=one.answer.seconds,
            result=one.result.value,
            status=one.answer.status,
            answer=one.answer.text,
        )
    )
    return done.rowcount == 1


def _succeeded(tx: Connection, webhook_id: str, at: float) -> None:
    """After an outage, what waits for a later try is due: and that try costs it none."""
    row = tx.execute(select(webhooks).where(webhooks.c.id == webhook_id)).one_or_none()
    if row is None:
        return
    last = row.succeeded_at or row.created_at
    if row.failed_at is not None and row.failed_at > last and at - last >= OUTAGE:
        of_it = (webhook_calls.c.webhook_id == webhook_id) & _WAITING
        later = (webhook_calls.c.next_at > at) & (webhook_calls.c.tries > 0)
        sooner = {"next_at": at, "tries": webhook_calls.c.tries - 1}
        tx.execute(update(webhook_calls).where(of_it, later).values(sooner))
    _mark(tx, webhook_id, "succeeded_at", at)


def _mark(tx: Connection, webhook_id: str, column: str, at: float) -> None:
    tx.execute(update(webhooks).where(webhooks.c.id == webhook_id).values({column: at}))


def _end_of(tx: Connection, one: Ended) -> str | None:
    """Why an endpoint is to be left alone after this, if it is."""
    if one.result is Result.GONE:
        return "it answered 410 Gone"
    if one.result is not Result.FAILED:
        return None
    row = tx.execute(
        select(webhooks.c.succeeded_at).where(webhooks.c.id == one.call.endpoint.id)
    ).one_or_none()
    if row is None or (row.succeeded_at is not None and row.succeeded_at > one.call.handed_at):
        return None  # it takes others: the fault is with this event
    last = one.answer.status or one.answer.text
    return f"nothing was taken in {one.call.tries + 1} tries of an event; the last answer: {last}"


def release(tx: Connection, calls: Sequence[Call]) -> None:
    """Give back what was claimed and not tried."""
    for call in calls:
        tx.execute(
            update(webhook_calls)
            .where(
                webhook_calls.c.webhook_id == call.endpoint.id,
                webhook_calls.c.seq == call.seq,
                webhook_calls.c.epoch == call.epoch,
            )
            .values(lease_until=None)
        )

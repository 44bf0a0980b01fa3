"""Replay of what was said in the session: the reply that ended a delivery, judged again.

Only final attempts matter, those that made a delivery bounce or expire: what is still on its way
will be judged by today's rules anyway.  The delivery stays as it ended (see `analysis.replay`);
its suppression does not, if only the old rule wanted it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from analysis import audit, cohorts, hindsight, suppression
from analysis.amends import Change, Judged, Memory, audit_row
from analysis.consequence import Ground, withhold
from analysis.decide import after_attempt, held_against
from analysis.erase import ERASED
from analysis.hindsight import FINAL_ATTEMPT
from analysis.lifecycle import Fact, State
from analysis.reply import Reply, Stage
from analysis.schema import attempts, deliveries
from analysis.suppression import Reason
from analysis.verdict import Verdict

Judge = Callable[[Reply], Verdict]

_DELIVERY = (
    deliveries.c.id,
    deliveries.c.recipient,
    deliveries.c.address_hash,
    deliveries.c.stream,
    deliveries.c.provider,
    deliveries.c.state,
    deliveries.c.attempts.label("tries"),
)
_USERS = deliveries.c.probe.is_(None)  # what our own probes are told is held against nobody
_FINAL = select(attempts, *_DELIVERY).join(deliveries, FINAL_ATTEMPT).where(_USERS)


def count(tx: Connection, since: float) -> int:
    """How many replies there are to judge."""
    of = select(func.count()).select_from(attempts).join(deliveries, FINAL_ATTEMPT)
    return int(tx.execute(of.where(_USERS, attempts.c.ended_at >= since)).scalar_one())


def page(tx: Connection, after: str, since: float, limit: int) -> list[Row[Any]]:
    """Final attempts since a time, in the order of their deliveries, after the one named."""
    wanted = _FINAL.where(deliveries.c.id > after, attempts.c.ended_at >= since)
    return list(tx.execute(wanted.order_by(deliveries.c.id).limit(limit)))


def differs(tx: Connection, row: Row[Any], judge: Judge, memory: Memory, now: float) -> bool:
    """Whether `rejudge` may have something to do.  Remembers what replies hold today."""
    if row.recipient == ERASED:
        return False
    verdict = judge(_reply(row))
    held = _held(row, verdict)
    withdraws = _withdraws(row, held)
    if withdraws:
        memory.held[hindsight.attempt_key(row.id, row.epoch)] = held
    if _judged(row) != _told(verdict):
        return True
    return withdraws and hindsight.listed(tx, row, now)


def rejudge(
    tx: Connection,
    delivery_id: str,
    judge: Judge,
    memory: Memory,
    *,
    now: float,
    limits: suppression.Limits,
) -> list[Change]:
    """Bring a delivery's last reply to today's rules; what changed, if anything."""
    found = _FINAL.where(deliveries.c.id == delivery_id).with_for_update(of=deliveries)
    row = tx.execute(found).one_or_none()
    if row is None or row.recipient == ERASED:
        return []
    verdict = judge(_reply(row))
    held, was = _held(row, verdict), hindsight.held_by_words(row)
    changed = _judged(row) != _told(verdict)
    before = hindsight.standing(tx, row, now)
    if changed:
        _store(tx, row, verdict)
        if held not in (None, was) and hindsight.may_hold(tx, row, held, row.ended_at, now):
            ground = Ground(row.ended_at, str(_reply(row)), verdict, late=False)
            withhold(tx, row, held, ground, now, limits)
    if _withdraws(row, held):
        memory.held[hindsight.attempt_key(row.id, row.epoch)] = held
        if was is Reason.SOFT_BOUNCE:
            hindsight.unmark(tx, row, row.ended_at, memory, late=False)
        hindsight.lift_unheld(tx, row, memory, now, limits)
    effects = hindsight.effects(before, hindsight.standing(tx, row, now))
    if not changed and not effects:
        return []
    change = replace(_change(row, verdict), effects=effects)
    audit.note(tx, [audit_row(change, now)])
    return [change]


def _withdraws(row: Row[Any], held: Reason | None) -> bool:
    was = hindsight.held_by_words(row)
    return was is not None and was is not held


def _reply(row: Row[Any]) -> Reply:
    return Reply(
        row.code,
        row.enhanced,
        row.reply or "",
        Stage(row.stage or Stage.UNKNOWN),
        row.provider,
        row.host or "",
    )


def _held(row: Row[Any], verdict: Verdict) -> Reason | None:
    """What the reply holds against the address today.

    What today would be tried again holds nothing: how that would have ended nobody knows.
    """
    fact = after_attempt(row.result, verdict, tries=row.tries)
    if fact is Fact.PUT_OFF and row.state == State.EXPIRED and row.next_at is None:
        fact = Fact.SPENT
    return held_against(fact, verdict)


def _judged(row: Row[Any]) -> tuple[str | None, ...]:
    return (row.category, row.fault, row.severity, row.rule)


def _told(verdict: Verdict) -> tuple[str | None, ...]:
    return (
        verdict.category.value,
        verdict.fault.value,
        verdict.severity.value,
        verdict.rule,
    )


def _store(tx: Connection, row: Row[Any], verdict: Verdict) -> None:
    today = dict(zip(("category", "fault", "severity", "rule"), _told(verdict), strict=True))
    tx.execute(
        update(attempts)
        .where(attempts.c.delivery_id == row.id, attempts.c.epoch == row.epoch)
        .values(**today)
    )
    del today["severity"]
    with cohorts.following(tx, [row.id]):
        tx.execute(update(deliveries).where(deliveries.c.id == row.id).values(**today))


def _change(row: Row[Any], verdict: Verdict) -> Change:
    return Change(
        at=row.ended_at,
        source="smtp",
        raw_id=None,
        delivery_id=row.id,
        recipient=row.recipient,
        old=Judged.of(row, "reply"),
        new=Judged("reply", *_told(verdict)),
    )

"""The recording of attempts: what came of claims, many in one commit.

A row whose epoch has moved on is left alone, so that a stale worker writes nothing.  The same
transaction closes the attempt, advances the state, announces the outcome and lets the suppression
list learn, so that no crash can leave one without the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from analysis import cohorts, half_open, radar, soft_marks, suppression
from analysis.decide import held_against
from analysis.events import announce, event
from analysis.held import list_or_hold
from analysis.lifecycle import PENDING, Fact, State, advance
from analysis.lookup import iso
from analysis.radar import Sighting
from analysis.reply import Reply
from analysis.schema import attempts, deliveries
from analysis.store import IN_LIMIT, chunks
from analysis.suppression import Reason, Suppression
from analysis.verdict import Verdict
from sender.queue import Claim
from sender.submit import RANKS

_CODES = RANKS["otp"]


@dataclass(frozen=True, slots=True)
class Record:
    """What came of a claim.  `next_at` is set where `fact` is PUT_OFF or HELD_BACK."""

    claim: Claim
    fact: Fact
    result: str  # accepted | refused | deferred | in_doubt | withheld | held
    reply: Reply
    verdict: Verdict
    provider: str
    started_at: float
    ended_at: float
    next_at: float | None = None
    address: str = ""
    tls: str | None = None  # "TLSv1.3"; None in the clear
    tls_policy: str = "opportunistic"  # whose word the terms of TLS were


def record(
    tx: Connection, records: Sequence[Record], *, now: float, limits: suppression.Limits
) -> list[bool]:
    """Write what came of claims; for each, whether the claim still held.

    One transaction closes the attempts, advances the states, announces the outcomes and lets the
    suppression list and the radar learn.  What is no longer ours is dropped: whoever holds it now
    will say.
    """
    ours = _still_ours(tx, records)
    fresh = [r for r in records if (r.claim.delivery_id, r.claim.epoch) in ours]
    if fresh:
        tx.execute(_CLOSE, [_attempt_row(r) for r in fresh])
        tx.execute(_SETTLE, [_delivery_row(r) for r in fresh])
        users = [r for r in fresh if r.claim.probe is None]
        announce(tx, [_event(r) for r in users if r.fact is not Fact.HELD_BACK])
        cohorts.note(tx, [mark for r in users for mark in _marks(r)])
        _learn(tx, users, now, limits)
        radar.note(tx, [_sighting(r) for r in fresh if _puzzling(r)])
    return [(r.claim.delivery_id, r.claim.epoch) in ours for r in records]


def _puzzling(r: Record) -> bool:
    return r.fact not in (Fact.ACCEPTED, Fact.WITHHELD, Fact.HELD_BACK) and radar.unknown(r.verdict)


def _sighting(r: Record) -> Sighting:
    return Sighting(replace(r.reply, provider=r.provider), r.ended_at, r.claim.delivery_id)


def _still_ours(tx: Connection, records: Sequence[Record]) -> set[tuple[str, int]]:
    held: set[tuple[str, int]] = set()
    for chunk in chunks(sorted(r.claim.delivery_id for r in records), IN_LIMIT):
        held.update((id_, epoch) for id_, epoch in tx.execute(_HELD, {"ids": chunk}).all())
    return held


_HELD = (
    select(deliveries.c.id, deliveries.c.epoch)
    .where(
        deliveries.c.id.in_(bindparam("ids", expanding=True)),
        deliveries.c.state == State.SENDING.value,
    )
    .order_by(deliveries.c.id)
    .with_for_update()
)


_CLOSE = (
    update(attempts)
    .where(
        attempts.c.delivery_id == bindparam("of_delivery"),
        attempts.c.epoch == bindparam("of_epoch"),
    )
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in (
                "started_at",
                "ended_at",
                "result",
                "stage",
                "host",
                "address",
                "tls",
                "code",
                "enhanced",
                "reply",
                "category",
                "fault",
                "severity",
                "rule",
                "next_at",
            )
        }
    )
)

_SETTLE = (
    update(deliveries)
    .where(
        deliveries.c.id == bindparam("of_delivery"),
        deliveries.c.epoch == bindparam("of_epoch"),
        deliveries.c.state == State.SENDING.value,
    )
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in (
                "state",
                "next_at",
                "attempts",
                "provider",
                "settled_at",
                "accepted_at",
                "code",
                "enhanced",
                "reply",
                "category",
                "fault",
                "rule",
            )
        }
        | {"lease_until": None, "node": None}
    )
)


def _attempt_row(r: Record) -> dict[str, Any]:
    return {
        "of_delivery": r.claim.delivery_id,
        "of_epoch": r.claim.epoch,
        "new_started_at": r.started_at,
        "new_ended_at": r.ended_at,
        "new_result": r.result,
        "new_stage": r.reply.stage.value,
        "new_host": r.reply.host,
        "new_address": r.address,
        "new_tls": r.tls,
        "new_code": r.reply.code,
        "new_enhanced": r.reply.enhanced,
        "new_reply": r.reply.text,
        "new_severity": r.verdict.severity.value,
        "new_next_at": r.next_at,
        **_judged(r),
    }


def _delivery_row(r: Record) -> dict[str, Any]:
    state = advance(State.SENDING, r.fact)
    return {
        "of_delivery": r.claim.delivery_id,
        "of_epoch": r.claim.epoch,
        "new_state": state.value,
        "new_next_at": r.claim.due_at if r.next_at is None else r.next_at,
        "new_attempts": r.claim.attempts + (r.fact is not Fact.HELD_BACK),
        "new_provider": r.provider,
        "new_settled_at": None if state in PENDING else r.ended_at,
        "new_accepted_at": r.ended_at if state is State.DELIVERED else None,
        "new_code": r.reply.code,
        "new_enhanced": r.reply.enhanced,
        "new_reply": r.reply.text,
        **_judged(r),
    }


def _judged(r: Record) -> dict[str, Any]:
    accepted = r.fact is Fact.ACCEPTED
    return {
        "new_category": None if accepted else r.verdict.category.value,
        "new_fault": None if accepted else r.verdict.fault.value,
        "new_rule": None if accepted else r.verdict.rule,
    }


def _marks(r: Record) -> list[cohorts.Mark]:
    accepted = r.fact is Fact.ACCEPTED
    return cohorts.settled(
        r.claim.promised_at,
        r.claim.stream,
        r.provider,
        advance(State.SENDING, r.fact).value,
        category=r.verdict.category.value,
        fault=r.verdict.fault.value,
        wait=r.ended_at - r.claim.promised_at if accepted else None,
    )


_EVENT_KINDS = {
    Fact.ACCEPTED: "delivered",
    Fact.PUT_OFF: "deferred",
    Fact.REFUSED: "bounced",
    Fact.SPENT: "expired",
    Fact.WITHHELD: "withheld",
}


def _event(r: Record) -> dict[str, Any]:
    data: dict[str, Any] = {"recipient": r.claim.recipient, "stream": r.claim.stream}
    if r.fact is not Fact.ACCEPTED:
        data |= {
            "category": r.verdict.category.value,
            "fault": r.verdict.fault.value,
            "reply": str(r.reply)[:500],
            "next_at": iso(r.next_at),
        }
    return event(
        _EVENT_KINDS[r.fact],
        at=r.ended_at,
        message_id=r.claim.message_id,
        delivery_id=r.claim.delivery_id,
        data=data,
    )


def _learn(
    tx: Connection, records: Sequence[Record], now: float, limits: suppression.Limits
) -> None:
    """What these outcomes say about the addresses."""
    delivered = [r.claim.address_hash for r in records if r.fact is Fact.ACCEPTED]
    if delivered:
        soft_marks.forget(tx, delivered)
    held = [(held_against(r.fact, r.verdict), r) for r in records]
    dead = [r for reason, r in held if reason is Reason.HARD_BOUNCE]
    given_up = [r for reason, r in held if reason is Reason.SOFT_BOUNCE]
    entries = [_entry(r, Reason.HARD_BOUNCE, now, limits) for r in dead]
    longer = _probed(tx, records, given_up, now)
    if given_up:
        repeated = soft_marks.mark(
            tx,
            [r.claim.address_hash for r in given_up],
            now,
            late=False,
            enough=limits.soft_days,
            window=limits.soft_window,
        )
        entries += [
            _entry(r, Reason.SOFT_BOUNCE, now, limits)
            for r in given_up
            if r.claim.address_hash in repeated - longer
        ]
    list_or_hold(tx, entries)


def _probed(
    tx: Connection, records: Sequence[Record], given_up: Sequence[Record], now: float
) -> set[bytes]:
    """Settle what login codes found out; the addresses that stand on the list for longer."""
    codes = [r.claim for r in records if r.fact is Fact.ACCEPTED and r.claim.rank == _CODES]
    failed = [r.claim for r in given_up if r.claim.rank == _CODES]
    return half_open.settle(
        tx,
        {claim.delivery_id: claim.address_hash for claim in codes},
        {claim.delivery_id: claim.address_hash for claim in failed},
        now,
    )


def _entry(r: Record, reason: Reason, now: float, limits: suppression.Limits) -> Suppression:
    return Suppression(
        address_hash=r.claim.address_hash,
        stream=suppression.EVERY_STREAM,
        reason=reason,
        address=r.claim.recipient,
        since=now,
        until=limits.until(reason, now, r.verdict.category),
        evidence=str(r.reply)[:1000],
        actor="carom",
        category=r.verdict.category.value,
        rule=r.verdict.rule,
        delivery_id=r.claim.delivery_id,
    )

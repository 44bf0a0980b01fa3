"""The ledger: what reports establish, recorded once however often and in whatever order they come.

A `Reading` is what a report says; the ledger decides what follows.  The token of the envelope says
whose report it is, never an address inside it, and so a report can only ever touch the one
delivery that its token was issued for.  A report that proves nothing is recorded and changes
nothing.

Identity of a fact: (delivery, kind, named address, status).  A second copy finds its identity
taken and has no effect, on either database and in any number of nodes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from analysis import suppression
from analysis.decide import counts_as_soft
from analysis.facts import Kind, Reading, ReportedRecipient
from analysis.lifecycle import PENDING, Fact, State, advance
from analysis.schema import deliveries, events, messages, raw_inbound, reports
from analysis.store import insert_once
from analysis.suppression import EVERY_STREAM, Lift, Reason, Suppression
from analysis.verdict import UNKNOWN, Verdict

MOST_REPORTS = 50
"""Reports kept of one delivery; a genuine token in the wrong hands fills no disk."""

GOOD_NEWS = frozenset({"delivered", "relayed", "expanded"})
SAME_BOX = 0.9  # confidence from which a forwarded mailbox's bounce counts against ours


@dataclass(frozen=True, slots=True)
class Arrival:
    """A stored raw report and what was read in it."""

    raw_id: str
    received_at: float
    purpose: str
    delivery_id: str | None  # vouched for by the envelope's token, or by a token in the mail
    reading: Reading


@dataclass(frozen=True, slots=True)
class Recorded:
    """One new fact, for metrics and logs."""

    kind: Kind
    stream: str
    provider: str
    verdict: Verdict
    feedback_type: str | None
    delivery_id: str | None
    suppressed: bool


def enter(
    tx: Connection,
    arrival: Arrival,
    *,
    now: float,
    limits: suppression.Limits,
    new_id: Callable[[], str],
) -> list[Recorded]:
    """Record an arrival's facts and what follows; returns what is new.  Marks the raw row read."""
    delivery = _delivery(tx, arrival.delivery_id)
    named: Sequence[ReportedRecipient] = arrival.reading.recipients or (ReportedRecipient(""),)
    recorded = []
    for recipient in named:
        row = _report_row(arrival, recipient, delivery, new_id())
        if _full(tx, delivery) or not insert_once(tx, reports, [row], returning="id"):
            continue
        suppressed = delivery is not None and _follow(tx, arrival, recipient, delivery, now, limits)
        recorded.append(_recorded(arrival, recipient, delivery, suppressed))
    _mark_read(tx, arrival)
    return recorded


def _delivery(tx: Connection, delivery_id: str | None) -> Any:
    """The delivery's row, locked, so that two reports about it follow one another."""
    if delivery_id is None:
        return None
    return tx.execute(
        select(
            deliveries.c.id,
            deliveries.c.message_id,
            deliveries.c.recipient,
            deliveries.c.address_hash,
            deliveries.c.stream,
            deliveries.c.provider,
            deliveries.c.state,
            deliveries.c.accepted_at,
            deliveries.c.attempts,
        )
        .where(deliveries.c.id == delivery_id)
        .with_for_update()
    ).one_or_none()


def _full(tx: Connection, delivery: Any) -> bool:
    if delivery is None:
        return False
    counted = select(func.count()).where(reports.c.delivery_id == delivery.id)
    return bool(tx.execute(counted).scalar_one() >= MOST_REPORTS)


def identity(
    delivery_id: str | None, raw_id: str, kind: Kind, recipient: ReportedRecipient
) -> bytes:
    """What makes two reports the same fact.  Without a delivery every raw message is its own."""
    about = delivery_id or f"raw {raw_id}"
    named = f"{recipient.address.casefold()}|{recipient.action}|{recipient.status}"
    return hashlib.sha256(f"{about}|{kind.value}|{named}".encode()).digest()


def _report_row(
    arrival: Arrival, recipient: ReportedRecipient, delivery: Any, report_id: str
) -> dict[str, Any]:
    reading = arrival.reading
    known = None if delivery is None else delivery.id
    judged = reading.kind in (Kind.BOUNCE, Kind.DELAYED)
    return {
        "id": report_id,
        "at": arrival.received_at,
        "raw_id": arrival.raw_id,
        "delivery_id": known,
        "kind": reading.kind.value,
        "identity": identity(known, arrival.raw_id, reading.kind, recipient),
        "address": recipient.address or None,
        "action": recipient.action,
        "status": recipient.status,
        "code": int(recipient.reply_code) if recipient.reply_code else None,
        "reply": recipient.diagnostic,
        "category": recipient.verdict.category.value if judged else None,
        "fault": recipient.verdict.fault.value if judged else None,
        "severity": recipient.verdict.severity.value if judged else None,
        "rule": recipient.verdict.rule if judged else None,
        "feedback_type": reading.feedback_type,
    }


def _follow(
    tx: Connection,
    arrival: Arrival,
    recipient: ReportedRecipient,
    delivery: Any,
    now: float,
    limits: suppression.Limits,
) -> bool:
    """What a new fact about a delivery of ours leads to; whether something was suppressed."""
    reading = arrival.reading
    match reading.kind:
        case Kind.BOUNCE if recipient.action not in GOOD_NEWS:
            return _bounced(tx, arrival, recipient, delivery, now, limits)
        case Kind.COMPLAINT if reading.feedback_type == "not-spam":
            return _taken_back(tx, delivery, now)
        case Kind.COMPLAINT if reading.feedback_type == "opt-out":
            return _opted_out(tx, arrival, delivery, now, limits)
        case Kind.COMPLAINT if reading.feedback_type in (None, "abuse", "fraud", "virus", "other"):
            return _complained(tx, arrival, delivery, now, limits)
        case Kind.UNSUBSCRIBE:
            return _opted_out(tx, arrival, delivery, now, limits)
        case _:
            _announce(tx, reading.kind.value, arrival, recipient, delivery)
            return False


def _bounced(
    tx: Connection,
    arrival: Arrival,
    recipient: ReportedRecipient,
    delivery: Any,
    now: float,
    limits: suppression.Limits,
) -> bool:
    """A bounce after the 250.  It counts only for a delivery that somebody can have accepted."""
    if not _handed_over(delivery):
        return False
    _step(tx, delivery, Fact.BOUNCED, arrival.received_at, recipient)
    _announce(tx, "bounced", arrival, recipient, delivery)
    reason = _reason(tx, recipient, delivery, now, limits)
    if reason is None:
        return False
    evidence = recipient.diagnostic or recipient.verdict.evidence
    return _suppress(tx, delivery, reason, EVERY_STREAM, evidence, now, limits, recipient.verdict)


def _handed_over(delivery: Any) -> bool:
    return delivery.accepted_at is not None or (
        State(delivery.state) in PENDING and delivery.attempts > 0
    )


def _reason(
    tx: Connection,
    recipient: ReportedRecipient,
    delivery: Any,
    now: float,
    limits: suppression.Limits,
) -> Reason | None:
    """Why this bounce puts our recipient on the list, if it does.

    A forwarded mailbox's bounce names another address than ours: the one we wrote to may be
    alive, so it takes strong evidence, and soft marks are not counted at all.
    """
    verdict = recipient.verdict
    ours = _names_ours(recipient, delivery.recipient)
    if verdict.suppress and (ours or (recipient.status and verdict.confidence >= SAME_BOX)):
        return Reason.HARD_BOUNCE
    if ours and counts_as_soft(verdict):
        address = delivery.address_hash
        if address in suppression.count_soft_bounces(tx, [address], now, limits):
            return Reason.SOFT_BOUNCE
    return None


def _names_ours(recipient: ReportedRecipient, wire: str) -> bool:
    named = {recipient.address.casefold(), (recipient.original or "").casefold()} - {""}
    return not named or wire.casefold() in named


def _complained(
    tx: Connection, arrival: Arrival, delivery: Any, now: float, limits: suppression.Limits
) -> bool:
    _step(tx, delivery, Fact.COMPLAINED, arrival.received_at, None)
    _announce(tx, "complained", arrival, None, delivery)
    words = f"complaint ({arrival.reading.feedback_type or 'abuse'}) by a feedback loop"
    return _suppress(tx, delivery, Reason.COMPLAINT, delivery.stream, words, now, limits)


def _opted_out(
    tx: Connection, arrival: Arrival, delivery: Any, now: float, limits: suppression.Limits
) -> bool:
    _announce(tx, "unsubscribed", arrival, None, delivery)
    words = f"unsubscribed by {arrival.purpose}"
    return _suppress(tx, delivery, Reason.UNSUBSCRIBE, delivery.stream, words, now, limits)


def _taken_back(tx: Connection, delivery: Any, now: float) -> bool:
    """RFC 5965 `not-spam`: the recipient says that it was a mistake."""
    suppression.lift(
        tx,
        Lift(
            delivery.address_hash,
            actor="carom",
            why="the recipient marked the message as not spam",
            at=now,
            reasons=frozenset({Reason.COMPLAINT}),
            stream=delivery.stream,
        ),
    )
    return False


def _suppress(
    tx: Connection,
    delivery: Any,
    reason: Reason,
    stream: str,
    evidence: str,
    now: float,
    limits: suppression.Limits,
    verdict: Verdict = UNKNOWN,
) -> bool:
    entry = Suppression(
        address_hash=bytes(delivery.address_hash),
        stream=stream,
        reason=reason,
        address=delivery.recipient,
        since=now,
        until=limits.until(reason, now, verdict.category),
        evidence=evidence[:1000],
        actor="carom",
        category=None if verdict is UNKNOWN else verdict.category.value,
        rule=None if verdict is UNKNOWN else verdict.rule,
        delivery_id=delivery.id,
    )
    suppression.suppress(tx, [entry])
    return True


def _step(
    tx: Connection, delivery: Any, fact: Fact, at: float, recipient: ReportedRecipient | None
) -> None:
    before = State(delivery.state)
    after = advance(before, fact)
    if after is before:
        return
    changes: dict[str, Any] = {"state": after.value, "settled_at": at}
    if recipient is not None:
        changes |= {
            "code": int(recipient.reply_code) if recipient.reply_code else None,
            "enhanced": recipient.status,
            "reply": recipient.diagnostic,
            "category": recipient.verdict.category.value,
            "fault": recipient.verdict.fault.value,
            "rule": recipient.verdict.rule,
        }
    tx.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery.id, deliveries.c.state == before.value)
        .values(**changes)
    )


def _announce(
    tx: Connection,
    kind: str,
    arrival: Arrival,
    recipient: ReportedRecipient | None,
    delivery: Any,
) -> None:
    data: dict[str, Any] = {"recipient": delivery.recipient, "stream": delivery.stream}
    if recipient is not None and recipient.diagnostic:
        data |= {
            "category": recipient.verdict.category.value,
            "fault": recipient.verdict.fault.value,
            "reply": recipient.diagnostic[:500],
        }
    if arrival.reading.feedback_type:
        data["feedback_type"] = arrival.reading.feedback_type
    tx.execute(
        insert(events),
        [
            {
                "at": arrival.received_at,
                "kind": kind,
                "message_id": delivery.message_id,
                "delivery_id": delivery.id,
                "data": {**data, "source": "report"},
            }
        ],
    )


def _mark_read(tx: Connection, arrival: Arrival) -> None:
    reading = arrival.reading
    unknown = any(r.verdict.category.value == "unknown" for r in reading.recipients)
    tx.execute(
        update(raw_inbound)
        .where(raw_inbound.c.id == arrival.raw_id)
        .values(
            state="read",
            kind=reading.kind.value,
            understood=reading.error is None
            and not (reading.kind is Kind.BOUNCE and (unknown or not reading.recipients)),
            error=reading.error,
        )
    )


def _recorded(
    arrival: Arrival, recipient: ReportedRecipient, delivery: Any, suppressed: bool
) -> Recorded:
    return Recorded(
        kind=arrival.reading.kind,
        stream="" if delivery is None else delivery.stream,
        provider="other" if delivery is None else delivery.provider,
        verdict=recipient.verdict,
        feedback_type=arrival.reading.feedback_type,
        delivery_id=None if delivery is None else delivery.id,
        suppressed=suppressed,
    )


def find_by_message_id(tx: Connection, header_message_id: str) -> str | None:
    """The delivery of the message with this Message-ID, if it had one recipient only.

    Weaker than a token: good for showing which message a complaint names, never for suppressing.
    """
    rows = tx.execute(
        select(deliveries.c.id)
        .join(messages, messages.c.id == deliveries.c.message_id)
        .where(messages.c.header_message_id == header_message_id)
        .limit(2)
    ).scalars()
    found = list(rows)
    return found[0] if len(found) == 1 else None

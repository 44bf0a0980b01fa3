"""What follows from a new fact about a delivery: its state, the suppression list, an event.

Called by the ledger, once for each fact, with the delivery's row locked.  A bounce counts only for
a delivery that somebody can have accepted; a forwarded mailbox's bounce does not condemn the
address we wrote to; a complaint can be taken back.  Every change is in the ledger's transaction.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, insert, update

from analysis import suppression
from analysis.decide import counts_as_soft
from analysis.facts import Arrival, Kind, ReportedRecipient
from analysis.lifecycle import PENDING, Fact, State, advance
from analysis.schema import deliveries, events
from analysis.suppression import EVERY_STREAM, Lift, Reason, Suppression
from analysis.verdict import UNKNOWN, Verdict

SAME_BOX = 0.9  # confidence from which a forwarded mailbox's bounce counts against ours


def follow(
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
        case Kind.BOUNCE if recipient.action == "failed":
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
            "enhanced": recipient.status and recipient.status[:12],
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

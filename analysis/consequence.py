"""What follows from a new fact about a delivery: its state, the suppression list, an event.

Called by the ledger, once for each fact, with the delivery's row locked.  A bounce counts only for
a delivery that somebody can have accepted; a forwarded mailbox's bounce does not condemn the
address we wrote to; a complaint can be taken back.  Every change is in the ledger's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, update

from analysis import cohorts, soft_marks, suppression
from analysis.decide import counts_as_soft
from analysis.events import announce, event
from analysis.facts import Arrival, Kind, ReportedRecipient
from analysis.held import list_or_hold
from analysis.lifecycle import PENDING, Fact, State, advance
from analysis.schema import deliveries
from analysis.suppression import EVERY_STREAM, Lift, Reason, Suppression
from analysis.verdict import Verdict


def follow(
    tx: Connection,
    arrival: Arrival,
    recipient: ReportedRecipient,
    delivery: Any,
    now: float,
    limits: suppression.Limits,
    *,
    hold: bool = True,
) -> bool:
    """What a new fact about a delivery of ours leads to; whether something was suppressed.

    `hold` False: the fact changes the delivery's state, but comes too late to be held against the
    address.
    """
    reading = arrival.reading
    match reading.kind:
        case Kind.BOUNCE if recipient.action == "failed":
            if not _handed_over(delivery):
                return False
            _step(tx, delivery, Fact.BOUNCED, arrival.received_at, recipient)
            _announce(tx, "bounced", arrival, recipient, delivery)
        case Kind.COMPLAINT if reading.feedback_type == "not-spam":
            _taken_back(tx, delivery, now)
        case Kind.COMPLAINT if reading.feedback_type in COMPLAINTS:
            _step(tx, delivery, Fact.COMPLAINED, arrival.received_at, None)
            _announce(tx, "complained", arrival, None, delivery)
        case Kind.COMPLAINT if reading.feedback_type == "opt-out":
            _announce(tx, "unsubscribed", arrival, None, delivery)
        case Kind.UNSUBSCRIBE:
            _announce(tx, "unsubscribed", arrival, None, delivery)
        case _:
            _announce(tx, reading.kind.value, arrival, recipient, delivery)
    return hold and blame(tx, arrival, recipient, delivery, now, limits)


COMPLAINTS = frozenset({None, "abuse", "fraud", "virus", "other"})


def held_against(arrival: Arrival, recipient: ReportedRecipient, delivery: Any) -> Reason | None:
    """What a fact says against the address we wrote to, if anything.

    The bounce of a forwarded mailbox names another address than ours as the final one: the one we
    wrote to may be alive, so even a dead end there is only a mark, and marks on several days make
    the evidence strong.
    """
    reading = arrival.reading
    match reading.kind:
        case Kind.BOUNCE if recipient.action == "failed":
            return _bounce_against(recipient, delivery)
        case Kind.COMPLAINT if reading.feedback_type in COMPLAINTS:
            return Reason.COMPLAINT
        case Kind.COMPLAINT if reading.feedback_type == "opt-out":
            return Reason.UNSUBSCRIBE
        case Kind.UNSUBSCRIBE:
            return Reason.UNSUBSCRIBE
        case _:
            return None


def _bounce_against(recipient: ReportedRecipient, delivery: Any) -> Reason | None:
    verdict = recipient.verdict
    ours = recipient.address.casefold() in ("", delivery.recipient.casefold())
    if ours and verdict.suppress:
        return Reason.HARD_BOUNCE
    return Reason.SOFT_BOUNCE if verdict.suppress or (ours and counts_as_soft(verdict)) else None


def _handed_over(delivery: Any) -> bool:
    """A claim is enough, also of a node that died in it: only MAIL FROM tells the token."""
    return delivery.accepted_at is not None or (
        State(delivery.state) in PENDING and delivery.epoch > 0
    )


def blame(
    tx: Connection,
    arrival: Arrival,
    recipient: ReportedRecipient,
    delivery: Any,
    now: float,
    limits: suppression.Limits,
) -> bool:
    """Hold against the address what the fact says, if anything; whether it was suppressed.

    A bounce counts only for a delivery that somebody can have accepted, and nothing for a probe.
    """
    if delivery.probe is not None:
        return False
    if arrival.reading.kind is Kind.BOUNCE and not _handed_over(delivery):
        return False
    reason = held_against(arrival, recipient, delivery)
    match reason:
        case None:
            return False
        case Reason.COMPLAINT:
            told = f"complaint ({arrival.reading.feedback_type or 'abuse'}) by a feedback loop"
            verdict = None
        case Reason.UNSUBSCRIBE:
            told, verdict = f"unsubscribed by {arrival.purpose}", None
        case _:
            told, verdict = recipient.diagnostic or recipient.verdict.evidence, recipient.verdict
    ground = Ground(arrival.received_at, told, verdict)
    return withhold(tx, delivery, reason, ground, now, limits)


@dataclass(frozen=True, slots=True)
class Ground:
    """Why an address is written to no more: what was said, when, and what it means."""

    at: float
    evidence: str
    verdict: Verdict | None = None
    late: bool = True  # said after the next host had accepted


def withhold(
    tx: Connection,
    delivery: Any,
    reason: Reason,
    ground: Ground,
    now: float,
    limits: suppression.Limits,
) -> bool:
    """Suppress the delivery's address for this reason; whether it was.

    It runs from when it was said, so that what is read late withholds no longer than it would
    have; a soft bounce is a mark on its day, and suppresses only where enough days have one.
    """
    address, verdict = bytes(delivery.address_hash), ground.verdict
    if reason is Reason.SOFT_BOUNCE:
        enough, window = limits.soft_days, limits.soft_window
        if not soft_marks.mark(
            tx, [address], ground.at, late=ground.late, enough=enough, window=window
        ):
            return False
    until = limits.until(reason, ground.at, verdict.category if verdict else None)
    if until is not None and until <= now:
        return False
    entry = Suppression(
        address_hash=address,
        stream=limits.reach(delivery.stream) if verdict is None else EVERY_STREAM,
        reason=reason,
        address=delivery.recipient,
        since=now,
        until=until,
        evidence=ground.evidence[:1000],
        actor="carom",
        category=None if verdict is None else verdict.category.value,
        rule=None if verdict is None else verdict.rule,
        delivery_id=delivery.id,
    )
    return bool(list_or_hold(tx, [entry]))


def _taken_back(tx: Connection, delivery: Any, now: float) -> None:
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
    with cohorts.following(tx, [delivery.id]):
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
    if delivery.probe is not None:
        return  # what a probe found out is told by whoever sent it
    data: dict[str, Any] = {"recipient": delivery.recipient, "stream": delivery.stream}
    if recipient is not None and recipient.diagnostic:
        data |= {
            "category": recipient.verdict.category.value,
            "fault": recipient.verdict.fault.value,
            "reply": recipient.diagnostic[:500],
        }
    if arrival.reading.feedback_type:
        data["feedback_type"] = arrival.reading.feedback_type
    told = event(
        kind,
        at=arrival.received_at,
        message_id=delivery.message_id,
        delivery_id=delivery.id,
        data={**data, "source": "report"},
    )
    announce(tx, [told])

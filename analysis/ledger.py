"""The ledger: what reports establish, recorded once however often and in whatever order they come.

A `Reading` is what a report says; `analysis.consequence` decides what follows from a new one.  The
token of the envelope says whose report it is, never an address inside it, and so a report can only
ever touch the one delivery that its token was issued for.  A report that proves nothing is
recorded and changes nothing.

A report can overtake the commit of the 250 that it follows.  While an attempt is under way its
delivery's reports wait, unread, until it has ended: an attempt ends within its lease.

Identity of a fact: (delivery, kind, type of feedback, named address, action, status).  A second
copy finds its identity taken and has no effect, on either database and in any number of nodes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, String, func, select, update

from analysis import links, radar, suppression
from analysis.consequence import follow
from analysis.facts import Arrival, Kind, Reading, ReportedRecipient
from analysis.lifecycle import State
from analysis.radar import Sighting
from analysis.reply import Reply, Stage
from analysis.schema import deliveries, messages, raw_inbound, reports
from analysis.store import insert_once
from analysis.verdict import Category, Verdict

WAIT = 0.5
"""Seconds until a report whose delivery is being sent is looked at again."""

_OURS = re.compile(r"<([0-7][0-9a-hjkmnp-tv-z]{25})@[^<>@\s]{1,255}>", re.ASCII)
"""A Message-ID that Carom wrote: `sender.compose.Origin`."""

MOST_REPORTS = 50
"""Reports kept of one delivery; a genuine token in the wrong hands fills no disk."""


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
    probe: str | None = None  # placement | canary: of our own mail


@dataclass(frozen=True, slots=True)
class Entered:
    """What came of a batch: the facts that were new, and the raw rows that wait unread."""

    facts: list[Recorded]
    waiting: frozenset[str]


def enter(
    tx: Connection,
    arrival: Arrival,
    *,
    now: float,
    limits: suppression.Limits,
    new_id: Callable[[], str],
) -> list[Recorded]:
    """Record an arrival's facts and what follows; returns what is new.  Marks the raw row read."""
    return enter_all(tx, [arrival], now=now, limits=limits, new_id=new_id).facts


def enter_all(
    tx: Connection,
    arrivals: Sequence[Arrival],
    *,
    now: float,
    limits: suppression.Limits,
    new_id: Callable[[], str],
) -> Entered:
    """The same for many; the radar hears of all of them at the end, as it asks to."""
    recorded: list[Recorded] = []
    waiting: set[str] = set()
    puzzles: list[Sighting] = []
    for arrival in arrivals:
        delivery = _subject(tx, arrival)
        if delivery is not None and delivery.state == State.SENDING.value:
            _wait(tx, arrival, now + WAIT)
            waiting.add(arrival.raw_id)
            continue
        for recipient in named(arrival.reading):
            row = report_row(arrival, recipient, delivery, new_id())
            if full(tx, delivery) or not insert_once(tx, reports, [row], returning="id"):
                continue
            suppressed = delivery is not None and follow(
                tx, arrival, recipient, delivery, now, limits
            )
            recorded.append(_recorded(arrival, recipient, delivery, suppressed))
            puzzles += _puzzle(arrival, recipient, delivery)
        mark_read(tx, arrival)
    radar.note(tx, puzzles)
    return Entered(recorded, frozenset(waiting))


def _subject(tx: Connection, arrival: Arrival) -> Any:
    """The delivery that a report is about; to unsubscribe, what retention left of it is enough."""
    delivery = find_delivery(tx, arrival.delivery_id)
    if delivery is None and arrival.delivery_id and arrival.reading.kind is Kind.UNSUBSCRIBE:
        return links.left(tx, arrival.delivery_id)
    return delivery


def _wait(tx: Connection, arrival: Arrival, until: float) -> None:
    """Leave it unread for now; that is no try that failed."""
    tx.execute(
        update(raw_inbound)
        .where(raw_inbound.c.id == arrival.raw_id)
        .values(lease_until=until, tries=raw_inbound.c.tries - 1)
    )


def named(reading: Reading) -> Sequence[ReportedRecipient]:
    """The recipients of a report; one without a name where it names none."""
    return reading.recipients or (ReportedRecipient(""),)


def _puzzle(arrival: Arrival, recipient: ReportedRecipient, delivery: Any) -> list[Sighting]:
    """For the radar: the words of a bounce that no rule took."""
    if arrival.reading.kind not in (Kind.BOUNCE, Kind.DELAYED):
        return []
    if recipient.action not in ("failed", "delayed") or not radar.unknown(recipient.verdict):
        return []
    words = recipient.verdict.evidence or recipient.diagnostic
    provider = "other" if delivery is None else delivery.provider
    reply = Reply.read(words, stage=Stage.REPORT, provider=provider)
    return [Sighting(reply, arrival.received_at, None if delivery is None else delivery.id)]


def find_delivery(tx: Connection, delivery_id: str | None, *, lock: bool = True) -> Any:
    """The delivery's row, locked, so that two reports about it follow one another; or None."""
    if delivery_id is None:
        return None
    wanted = select(
        deliveries.c.id,
        deliveries.c.message_id,
        deliveries.c.recipient,
        deliveries.c.address_hash,
        deliveries.c.stream,
        deliveries.c.provider,
        deliveries.c.state,
        deliveries.c.accepted_at,
        deliveries.c.epoch,
        deliveries.c.probe,
    ).where(deliveries.c.id == delivery_id)
    return tx.execute(wanted.with_for_update() if lock else wanted).one_or_none()


def full(tx: Connection, delivery: Any) -> bool:
    """Whether a delivery has as many reports as are kept."""
    if delivery is None:
        return False
    counted = select(func.count()).where(reports.c.delivery_id == delivery.id)
    return bool(tx.execute(counted).scalar_one() >= MOST_REPORTS)


def identity(
    delivery_id: str | None, raw_id: str, reading: Reading, recipient: ReportedRecipient
) -> bytes:
    """What makes two reports the same fact.  Without a delivery every raw message is its own.

    The type of feedback is part of it: `not-spam` is another fact than the complaint it takes back.
    """
    about = delivery_id or f"raw {raw_id}"
    what = f"{reading.kind.value}|{reading.feedback_type or ''}"
    named = f"{recipient.address.casefold()}|{recipient.action}|{recipient.status}"
    return hashlib.sha256(f"{about}|{what}|{named}".encode()).digest()


def report_row(
    arrival: Arrival, recipient: ReportedRecipient, delivery: Any, report_id: str
) -> dict[str, Any]:
    """The fact as a row of `reports`."""
    reading = arrival.reading
    known = None if delivery is None else delivery.id
    judged = reading.kind in (Kind.BOUNCE, Kind.DELAYED)
    return {
        "id": report_id,
        "at": arrival.received_at,
        "raw_id": arrival.raw_id,
        "delivery_id": known,
        "kind": reading.kind.value,
        "identity": identity(known, arrival.raw_id, reading, recipient),
        "address": recipient.address or None,
        "action": _cut(recipient.action, reports.c.action),
        "status": _cut(recipient.status, reports.c.status),
        "code": int(recipient.reply_code) if recipient.reply_code else None,
        "reply": recipient.diagnostic,
        "category": recipient.verdict.category.value if judged else None,
        "fault": recipient.verdict.fault.value if judged else None,
        "severity": recipient.verdict.severity.value if judged else None,
        "rule": recipient.verdict.rule if judged else None,
        "feedback_type": _cut(reading.feedback_type, reports.c.feedback_type),
    }


def _cut(text: str | None, column: Column[Any]) -> str | None:
    """As much as fits: a stranger's words are no reason for PostgreSQL to refuse the row."""
    assert isinstance(column.type, String)
    return text and text[: column.type.length]


def mark_read(tx: Connection, arrival: Arrival) -> None:
    tx.execute(
        update(raw_inbound)
        .where(raw_inbound.c.id == arrival.raw_id)
        .values(state="read", **outcome(arrival.reading))
    )


def outcome(reading: Reading) -> dict[str, Any]:
    """What the raw row says of its reading: the kind, whether it was understood, what was wrong."""
    unknown = any(r.verdict.category is Category.UNKNOWN for r in reading.recipients)
    puzzling = reading.kind is Kind.BOUNCE and (unknown or not reading.recipients)
    return {
        "kind": reading.kind.value,
        "understood": reading.error is None and not puzzling,
        "error": reading.error,
    }


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
        probe=None if delivery is None else delivery.probe,
    )


def find_by_message_id(tx: Connection, header_message_id: str) -> str | None:
    """The delivery of the message with this Message-ID, if that is ours and had one recipient only.

    Ours hold the message's id, which only those who saw the message know (`carom.ids`), as with a
    token.  One that a client wrote may be counted up, and proves nothing.
    """
    ours = _OURS.fullmatch(header_message_id)
    if ours is None:
        return None
    rows = tx.execute(
        select(deliveries.c.id)
        .join(messages, messages.c.id == deliveries.c.message_id)
        .where(messages.c.id == ours[1], messages.c.header_message_id == header_message_id)
        .limit(2)
    ).scalars()
    found = list(rows)
    return found[0] if len(found) == 1 else None

"""Lookup: what became of a message, of a delivery, of everything to an address.

Plain reads, shaped as the API, the command line and the console show them: dictionaries of JSON
values, times in ISO 8601 UTC.  Nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select

from analysis import events as events_log
from analysis import suppression
from analysis.lifecycle import PENDING, State
from analysis.schema import attempts, bodies, deliveries, events, messages, reports

Json = dict[str, Any]


def iso(at: float | None) -> str | None:
    """`2026-11-23T12:00:00.123Z`; None stays None."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def message(tx: Connection, message_id: str) -> Json | None:
    """A message with its deliveries, or None."""
    row = tx.execute(select(messages).where(messages.c.id == message_id)).one_or_none()
    if row is None:
        return None
    of_message = select(deliveries).where(deliveries.c.message_id == message_id)
    found = tx.execute(of_message.order_by(deliveries.c.id)).all()
    return {
        "id": row.id,
        "created_at": iso(row.created_at),
        "stream": row.stream,
        "class": row._mapping["class"],
        "from": row.from_address,
        "subject": row.subject,
        "message_id": row.header_message_id,
        "send_at": iso(row.send_at),
        "deadline": iso(row.deadline),
        "size": row.size,
        "metadata": row._mapping["metadata"],
        "require_tls": row.require_tls,
        "template": row.template,
        "deliveries": [delivery_view(delivery) for delivery in found],
    }


def content(tx: Connection, message_id: str) -> bytes | None:
    """The message as composed and not yet signed, or None once retention has taken it."""
    found = select(bodies.c.content).where(bodies.c.message_id == message_id)
    octets = tx.execute(found).scalar_one_or_none()
    return None if octets is None else bytes(octets)


def delivery_view(row: Any) -> Json:
    """A delivery's state and the newest answer to it."""
    pending = State(row.state) in PENDING
    view: Json = {
        "id": row.id,
        "recipient": row.recipient,
        "state": row.state,
        "attempts": row.attempts,
        "provider": row.provider,
        "next_at": iso(row.next_at) if pending else None,
        "deadline": iso(row.deadline),
        "accepted_at": iso(row.accepted_at),
        "settled_at": iso(row.settled_at),
        "last_reply": None,
    }
    if row.reply is not None:
        view["last_reply"] = _reply_view(row)
    return view


def _reply_view(row: Any) -> Json:
    return {
        "code": row.code,
        "enhanced": row.enhanced,
        "text": row.reply,
        "category": row.category,
        "fault": row.fault,
        "rule": row.rule,
    }


def search(
    tx: Connection,
    *,
    address_hash: bytes | None = None,
    state: str | None = None,
    stream: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> list[Json]:
    """Deliveries, newest first, with their message's subject; `before` is the last page's end.

    Probes of our own are nobody's mail: they are told only where their address is asked for.
    """
    query: Select[Any] = select(deliveries, messages.c.subject, messages.c.from_address).join(
        messages, messages.c.id == deliveries.c.message_id
    )
    if address_hash is not None:
        query = query.where(deliveries.c.address_hash == address_hash)
    else:
        query = query.where(deliveries.c.probe.is_(None))
    if state is not None:
        query = query.where(deliveries.c.state == state)
    if stream is not None:
        query = query.where(deliveries.c.stream == stream)
    if before is not None:
        query = query.where(deliveries.c.id < before)
    rows = tx.execute(query.order_by(deliveries.c.id.desc()).limit(limit)).all()
    return [
        {
            "message_id": row.message_id,
            "subject": row.subject,
            "from": row.from_address,
            "stream": row.stream,
            "created_at": iso(row.created_at),
            **delivery_view(row),
        }
        for row in rows
    ]


def timeline(tx: Connection, message_id: str) -> list[Json] | None:
    """Every fact about a message, in order; None if there is no such message."""
    row = tx.execute(select(messages).where(messages.c.id == message_id)).one_or_none()
    if row is None:
        return None
    of_message = deliveries.c.message_id == message_id
    found = tx.execute(select(deliveries.c.id, deliveries.c.recipient).where(of_message))
    to = {row.id: row.recipient for row in found}
    facts = [{"at": row.created_at, "kind": "accepted", "stream": row.stream}]
    facts += _attempts(tx, to) + _reports(tx, to) + _events(tx, message_id, to)
    facts.sort(key=lambda fact: fact["at"])
    return [{**fact, "at": iso(fact["at"])} for fact in facts]


def _attempts(tx: Connection, to: dict[str, str]) -> list[Json]:
    rows = tx.execute(select(attempts).where(attempts.c.delivery_id.in_(list(to))))
    return [
        {
            "at": row.ended_at or row.started_at,
            "kind": "attempt",
            "delivery_id": row.delivery_id,
            "recipient": to[row.delivery_id],
            "attempt": row.epoch,
            "started_at": iso(row.started_at),
            "result": row.result or "under_way",
            "stage": row.stage,
            "host": row.host,
            "address": row.address,
            "tls": row.tls,
            "severity": row.severity,
            "next_at": iso(row.next_at),
            **_reply_view(row),
        }
        for row in rows
    ]


def _reports(tx: Connection, to: dict[str, str]) -> list[Json]:
    rows = tx.execute(select(reports).where(reports.c.delivery_id.in_(list(to))))
    return [
        {
            "at": row.at,
            "kind": row.kind,
            "delivery_id": row.delivery_id,
            "recipient": to[row.delivery_id],
            "named": row.address,
            "action": row.action,
            "severity": row.severity,
            "feedback_type": row.feedback_type,
            "raw_id": row.raw_id,
            **_reply_view(_StatusAsEnhanced(row)),
        }
        for row in rows
    ]


class _StatusAsEnhanced:
    """A report's `status` under the name that attempts use."""

    def __init__(self, row: Any) -> None:
        self._row = row
        self.enhanced = row.status

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, name)


_TOLD_BY_OTHERS = frozenset({"delivered", "deferred", "bounced", "complained"})
"""Events whose fact is an attempt or a report, and so stands in the timeline already."""


def _events(tx: Connection, message_id: str, to: dict[str, str]) -> list[Json]:
    # two questions, so that each goes by its index
    about = select(events).where(events.c.message_id == message_id)
    only = select(events).where(events.c.message_id.is_(None), events.c.delivery_id.in_(list(to)))
    rows = sorted((*tx.execute(about), *tx.execute(only)), key=lambda row: row.seq)
    return [
        {
            "at": row.at,
            "kind": row.kind,
            "delivery_id": row.delivery_id,
            "recipient": to.get(row.delivery_id),
            "reason": row.data.get("reason"),
        }
        for row in rows
        if row.kind not in _TOLD_BY_OTHERS
    ]


_ANSWERED_AT = (
    select(func.max(attempts.c.ended_at))
    .where(attempts.c.delivery_id == deliveries.c.id)
    .scalar_subquery()
    .label("answered_at")
)
_TOLD = select(deliveries, messages.c.subject, _ANSWERED_AT).join(
    messages, messages.c.id == deliveries.c.message_id
)
"""What an explanation rests on: a delivery, its subject, and when it was answered last."""


def newest_delivery(tx: Connection, address_hash: bytes) -> Any:
    """The newest delivery to an address with its message's subject, or None."""
    return tx.execute(
        _TOLD.where(deliveries.c.address_hash == address_hash)
        .order_by(deliveries.c.created_at.desc())
        .limit(1)
    ).one_or_none()


def told_of(tx: Connection, message_id: str, limit: int = 50) -> list[Any]:
    """The deliveries of a message as explanations need them, in the order they were made."""
    of_message = _TOLD.where(deliveries.c.message_id == message_id)
    return list(tx.execute(of_message.order_by(deliveries.c.id).limit(limit)).all())


def suppression_view(entries: Sequence[suppression.Suppression], stream: str | None) -> Json:
    """The answer to "may I write to this address?", with the reason and its evidence."""
    entry = next(iter(entries), None) if stream is None else suppression.applying(entries, stream)
    if entry is None:
        return {"suppressed": False, "reason": None, "since": None, "until": None, "evidence": None}
    return {
        "suppressed": True,
        "reason": entry.reason.value,
        "stream": entry.stream,
        "since": iso(entry.since),
        "until": iso(entry.until),
        "evidence": entry.evidence,
        "category": entry.category,
        "rule": entry.rule,
    }


def events_after(tx: Connection, cursor: int, limit: int) -> list[Json]:
    """Events in order, after `cursor`."""
    return [event_view(row) for row in events_log.after(tx, cursor, limit)]


def event_view(row: Any) -> Json:
    """A row of `events.NUMBERED` as cursors and webhooks tell it.

    `sequence` orders the events of a message, without a gap from 1; null for those of none.
    `timestamp` is `at` by the name that Standard Webhooks gives it.
    """
    return {
        "id": str(row.seq),
        "at": iso(row.at),
        "type": row.kind,
        "timestamp": iso(row.at),
        "sequence": row.sequence or None,
        "message_id": row.message_id,
        "delivery_id": row.delivery_id,
        "data": _dated(row.data),
    }


def _dated(data: Json) -> Json:
    """Events that an older Carom wrote hold their next try in Unix seconds."""
    at = data.get("next_at")
    return {**data, "next_at": iso(at)} if isinstance(at, int | float) else data


def accounts(tx: Connection) -> dict[str, int]:
    """How many deliveries are in each state.  Their sum is all that was ever accepted."""
    rows = tx.execute(select(deliveries.c.state, func.count()).group_by(deliveries.c.state))
    counted = {state.value: 0 for state in State}
    counted.update({str(state): int(count) for state, count in rows})
    return counted

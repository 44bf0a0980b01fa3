"""Erasure: a person's address goes, what protects them stays.

Everything that names the address is emptied in one transaction: recipients, replies that quote it,
reports about it, the mail itself.  What is queued for it is cancelled.  An entry on the suppression
list stays by its hash, so that nobody writes to the address again; the audit names the hash alone.

A message to several people keeps its body until its deliveries have ended, since it is owed to the
others; a delivery that is on the wire is left to end and counted in `in_flight`: erase again then.
Answers kept for Idempotency-Keys run out by themselves within a day.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from analysis import cohorts
from analysis.events import announce, event
from analysis.lifecycle import PENDING, Fact, State, advance
from analysis.schema import (
    attempts,
    audit,
    bodies,
    deliveries,
    events,
    held_suppressions,
    messages,
    raw_inbound,
    reports,
    suppressions,
    unknown_replies,
)
from analysis.store import IN_LIMIT, chunks

ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Erased:
    deliveries: int
    cancelled: int
    suppressions: int
    in_flight: int


def erase(tx: Connection, address_hash: bytes, *, now: float, actor: str, why: str) -> Erased:
    """Erase whatever names this address; erasing twice is no error."""
    rows = tx.execute(
        select(
            deliveries.c.id,
            deliveries.c.message_id,
            deliveries.c.state,
            deliveries.c.stream,
        )
        .where(deliveries.c.address_hash == address_hash)
        .with_for_update()
    ).all()
    done = [row for row in rows if row.state != State.SENDING.value]
    queued = [row for row in done if row.state == State.QUEUED.value]
    _cancel(tx, queued, now)
    for chunk in chunks(done, IN_LIMIT):
        ids = [row.id for row in chunk]
        _empty_what_is_told(tx, ids)
        _empty_deliveries(tx, ids)
        _empty_messages(tx, sorted({row.message_id for row in chunk}))
    listed = tx.execute(
        update(suppressions)
        .where(suppressions.c.address_hash == address_hash)
        .values(address=None, evidence=ERASED)
    ).rowcount
    tx.execute(
        update(held_suppressions)
        .where(held_suppressions.c.address_hash == address_hash)
        .values(address=None, evidence=ERASED)
    )
    erased = Erased(len(done), len(queued), listed, len(rows) - len(done))
    _note(tx, address_hash, erased, now, actor, why)
    return erased


def _cancel(tx: Connection, rows: list[Any], now: float) -> None:
    for chunk in chunks(rows, IN_LIMIT):
        tx.execute(
            update(deliveries)
            .where(deliveries.c.id.in_([row.id for row in chunk]))
            .values(state=advance(State.QUEUED, Fact.CANCELLED).value, settled_at=now)
        )
    cohorts.count(tx, [row.id for row in rows])
    announce(
        tx,
        [
            event(
                "cancelled",
                at=now,
                message_id=row.message_id,
                delivery_id=row.id,
                data={"stream": row.stream, "reason": ERASED},
            )
            for row in rows
        ],
    )


def _empty_what_is_told(tx: Connection, ids: list[str]) -> None:
    """Replies quote addresses, reports hold whole messages, events name recipients."""
    tx.execute(update(attempts).where(attempts.c.delivery_id.in_(ids)).values(reply=None))
    told = select(reports.c.raw_id).where(reports.c.delivery_id.in_(ids))
    tx.execute(update(raw_inbound).where(raw_inbound.c.id.in_(told)).values(content=b"", error=""))
    tx.execute(
        update(reports).where(reports.c.delivery_id.in_(ids)).values(address=None, reply=None)
    )
    tx.execute(delete(unknown_replies).where(unknown_replies.c.delivery_id.in_(ids)))
    kept = [
        {"key": row.seq, "left": {k: v for k, v in row.data.items() if k not in _PERSONAL}}
        for row in tx.execute(
            select(events.c.seq, events.c.data).where(events.c.delivery_id.in_(ids))
        )
    ]
    if kept:
        tx.execute(
            update(events)
            .where(events.c.seq == bindparam("key"))
            .values(data=bindparam("left", type_=events.c.data.type)),
            kept,
        )


_PERSONAL = frozenset({"recipient", "reply", "hash"})


def _empty_deliveries(tx: Connection, ids: list[str]) -> None:
    """A delivery is still counted, under a hash that is nobody's."""
    tx.execute(
        update(deliveries)
        .where(deliveries.c.id == bindparam("key"))
        .values(recipient=ERASED, reply=None, address_hash=bindparam("nobody")),
        [{"key": one, "nobody": _nobody(one)} for one in ids],
    )


def _nobody(delivery_id: str) -> bytes:
    return hashlib.sha256(f"{ERASED} {delivery_id}".encode()).digest()


def _empty_messages(tx: Connection, ids: list[str]) -> None:
    """The mail goes where nobody waits for it any more, subject and metadata with it."""
    owed = set(
        tx.execute(
            select(deliveries.c.message_id).where(
                deliveries.c.message_id.in_(ids),
                deliveries.c.state.in_([state.value for state in PENDING]),
            )
        ).scalars()
    )
    free = [one for one in ids if one not in owed]
    tx.execute(delete(bodies).where(bodies.c.message_id.in_(free)))
    tx.execute(update(messages).where(messages.c.id.in_(free)).values(subject=ERASED, metadata={}))


def _note(
    tx: Connection, address_hash: bytes, erased: Erased, now: float, actor: str, why: str
) -> None:
    tx.execute(
        insert(audit).values(
            at=now,
            actor=actor,
            action="recipient.erase",
            subject=address_hash.hex(),
            reason=why,
            data={"deliveries": erased.deliveries, "suppressions": erased.suppressions},
        )
    )

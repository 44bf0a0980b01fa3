"""Erasure: a person's address goes, what protects them stays.

Everything that names the address, or holds the plain hash of it, is emptied in one transaction:
recipients, replies that quote it, reports about it, mail that came from it, the mail itself.  What
is queued for it is cancelled.  An entry on the suppression list stays under a keyed hash
(`analysis.keyed_hash`), so that nobody writes to the address again and nobody without our key can
find out whose it was; the audit names that hash alone.

A message to several people keeps its body until its deliveries have ended, since it is owed to the
others; a delivery that is on the wire is left to end and counted in `in_flight`: erase again then.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    case,
    delete,
    func,
    literal,
    or_,
    select,
    update,
)

from analysis import audit, cohorts, keyed_hash
from analysis.events import announce, event
from analysis.lifecycle import PENDING, Fact, State, advance
from analysis.schema import (
    attempts,
    bodies,
    deliveries,
    events,
    held_suppressions,
    idempotency,
    messages,
    raw_inbound,
    refusals,
    reports,
    soft_bounces,
    suppressions,
    unknown_replies,
    unsubscribe_links,
)
from analysis.schema import audit as audit_rows
from analysis.store import IN_LIMIT, chunks

ERASED = "erased"
ANSWERED_WITHIN = 600.0
"""Seconds from a message's creation in which its answer for an Idempotency-Key was kept."""
_PERSONAL = frozenset({"recipient", "recipients", "address", "reply", "hash"})


@dataclass(frozen=True, slots=True)
class Erased:
    deliveries: int
    cancelled: int
    suppressions: int
    in_flight: int


def erase(
    tx: Connection, address_hash: bytes, *, now: float, actor: str, why: str, named: str = ""
) -> Erased:
    """Erase whatever is kept of this address; erasing twice is no error.

    `named`: the address itself, by which mail is found that no delivery of ours led to.  Raises
    `keyed_hash.NoKey` where there is no key to leave a trace under.
    """
    known_as = keyed_hash.keyed(keyed_hash.newest(tx), address_hash)
    names = _names(tx, address_hash, named)
    rows = tx.execute(
        select(
            deliveries.c.id,
            deliveries.c.message_id,
            deliveries.c.state,
            deliveries.c.stream,
            deliveries.c.created_at,
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
        _empty_events(tx, events.c.delivery_id.in_(ids))
        _empty_answers(tx, chunk)
        _empty_deliveries(tx, ids)
        _empty_messages(tx, sorted({row.message_id for row in chunk}))
    _empty_what_came(tx, names)
    _empty_announcements(tx, address_hash)
    listed = _keep_listed(tx, address_hash, known_as)
    for table in (held_suppressions, soft_bounces, unsubscribe_links):
        tx.execute(delete(table).where(table.c.address_hash == address_hash))
    erased = Erased(len(done), len(queued), listed, len(rows) - len(done))
    _note(tx, address_hash, known_as, erased, now, actor, _nameless(why, names))
    return erased


def _names(tx: Connection, address_hash: bytes, named: str) -> list[str]:
    """How the address is written where only text names it, in lower case."""
    found = {named}
    for column, table in (
        (deliveries.c.recipient, deliveries),
        (suppressions.c.address, suppressions),
        (held_suppressions.c.address, held_suppressions),
    ):
        found.update(
            tx.execute(
                select(column).where(table.c.address_hash == address_hash).distinct().limit(100)
            ).scalars()
        )
    return sorted({name.lower() for name in found if name} - {ERASED})


def _cancel(tx: Connection, rows: Sequence[Any], now: float) -> None:
    for chunk in chunks(list(rows), IN_LIMIT):
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
    """Replies quote addresses, and reports hold whole messages."""
    tx.execute(update(attempts).where(attempts.c.delivery_id.in_(ids)).values(reply=None))
    told = select(reports.c.raw_id).where(reports.c.delivery_id.in_(ids))
    _empty_raw(tx, or_(raw_inbound.c.id.in_(told), raw_inbound.c.subject_id.in_(ids)))
    _empty_reports(tx, reports.c.delivery_id.in_(ids))
    tx.execute(delete(unknown_replies).where(unknown_replies.c.delivery_id.in_(ids)))
    tx.execute(
        update(refusals)
        .where(or_(refusals.c.first_delivery.in_(ids), refusals.c.last_delivery.in_(ids)))
        .values(example=ERASED, first_delivery=None, last_delivery=None)
    )


def _empty_what_came(tx: Connection, names: Collection[str]) -> None:
    """What names the address though no delivery of ours to it is behind it: mail that it sent,
    reports that name it beside the one we wrote to."""
    if not names:
        return
    told = select(reports.c.raw_id).where(func.lower(reports.c.address).in_(names))
    sent = func.lower(raw_inbound.c.mail_from).in_(names) & (raw_inbound.c.mail_from != "")
    _empty_raw(tx, raw_inbound.c.id.in_(told))
    _empty_raw(tx, sent)
    _empty_reports(tx, func.lower(reports.c.address).in_(names))


def _empty_raw(tx: Connection, which: ColumnElement[bool]) -> None:
    """Mail that nobody has read yet is read as empty, which is no news."""
    null_sender = case((raw_inbound.c.mail_from == "", ""), else_=ERASED)
    tx.execute(
        update(raw_inbound)
        .where(which)
        .values(content=b"", error=literal(""), mail_from=null_sender, helo="")
    )


def _empty_reports(tx: Connection, which: ColumnElement[bool]) -> None:
    tx.execute(update(reports).where(which).values(address=None, reply=None))


def _empty_announcements(tx: Connection, address_hash: bytes) -> None:
    """Changes of the list name the hash; each has a row in the audit of the same time."""
    subject = address_hash.hex()
    told = select(audit_rows.c.at).where(audit_rows.c.subject == subject).distinct()
    kinds = events.c.kind.in_(["suppressed", "lifted"])
    hashed = events.c.data["hash"].as_string() == subject
    _empty_events(tx, events.c.at.in_(told) & kinds & hashed)


def _empty_events(tx: Connection, which: ColumnElement[bool]) -> None:
    kept = [
        {"key": row.seq, "left": {k: v for k, v in row.data.items() if k not in _PERSONAL}}
        for row in tx.execute(select(events.c.seq, events.c.data).where(which))
    ]
    if kept:
        tx.execute(
            update(events)
            .where(events.c.seq == bindparam("key"))
            .values(data=bindparam("left", type_=events.c.data.type)),
            kept,
        )


def _empty_answers(tx: Connection, rows: Sequence[Any]) -> None:
    """Answers for Idempotency-Keys name the recipients; who asks again is told of ids alone."""
    theirs = {row.message_id for row in rows}
    for at in sorted({row.created_at for row in rows}):
        within = idempotency.c.created_at.between(at - 1.0, at + ANSWERED_WITHIN)
        query = select(idempotency.c.key_hash, idempotency.c.answer).where(within)
        for kept in tx.execute(query).all():
            if kept.answer.get("id") in theirs:
                told = [
                    {k: v for k, v in one.items() if k not in ("recipient", "suppression")}
                    for one in kept.answer.get("deliveries", ())
                ]
                tx.execute(
                    update(idempotency)
                    .where(idempotency.c.key_hash == kept.key_hash)
                    .values(answer={**kept.answer, "deliveries": told})
                )


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


def _keep_listed(tx: Connection, address_hash: bytes, known_as: bytes) -> int:
    """Entries go on withholding under the keyed hash; one that stands there already is renewed."""
    mine = suppressions.c.address_hash == address_hash
    found = tx.execute(select(suppressions.c.stream, suppressions.c.reason).where(mine)).all()
    for row in found:
        same = (suppressions.c.stream == row.stream) & (suppressions.c.reason == row.reason)
        tx.execute(delete(suppressions).where(suppressions.c.address_hash == known_as, same))
    tx.execute(
        update(suppressions)
        .where(mine)
        .values(
            address_hash=known_as,
            address=None,
            evidence=ERASED,
            erased_by=keyed_hash.mark(keyed_hash.newest(tx)),
            delivery_id=None,
            probed_by=None,
        )
    )
    return len(found)


def _nameless(why: str, names: Collection[str]) -> str:
    """A person's words must not bring back the name."""
    for name in names:
        why = re.sub(re.escape(name), ERASED, why, flags=re.IGNORECASE)
    return why


def _note(
    tx: Connection,
    address_hash: bytes,
    known_as: bytes,
    erased: Erased,
    now: float,
    actor: str,
    why: str,
) -> None:
    emptied = audit.erase_subject(tx, address_hash.hex(), now_called=known_as.hex())
    row = {
        "at": now,
        "actor": actor,
        "action": audit.ERASURE,
        "subject": known_as.hex(),
        "reason": why,
        "data": {
            "deliveries": erased.deliveries,
            "suppressions": erased.suppressions,
            "audit_rows": emptied,
        },
    }
    audit.note(tx, [row])

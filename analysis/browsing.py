"""Browsing: the lists and searches of the console, each bounded and each by an index.

Rows come as they are, newest first; a page is asked for with the end of the one before.  None of
these scans a table, whatever it holds: where no index can answer (words inside a subject, why mail
waits) only the newest so many rows are looked at, and the answer says so.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, false, func, select, text, tuple_

from analysis.schema import (
    api_keys,
    audit,
    deliveries,
    messages,
    raw_inbound,
    suppressions,
)

RECENT = 20_000
"""Messages that are looked at for words inside their subject."""
MOST_NOTES = 500
"""Entries of the audit beside the incidents of one page."""
WAITING = 5_000
"""Deliveries that are looked at for why they wait, those due first before the others."""

_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SUBJECT = func.lower(func.substr(messages.c.subject, text("1"), text("60")))
"""As `ix_messages_subject` has it; what differs further on is told apart afterwards."""


@dataclass(frozen=True, slots=True)
class Found:
    """A message that a search found."""

    message_id: str
    subject: str
    created_at: float
    stream: str


def owner(tx: Connection, given: str) -> str | None:
    """The message that an id names: its own, one of its deliveries', its Message-ID or part of
    that without the angle brackets."""
    known = tx.execute(select(messages.c.id).where(messages.c.id == given)).scalar()
    if known is None:
        known = tx.execute(select(deliveries.c.message_id).where(deliveries.c.id == given)).scalar()
    return known or by_header(tx, given)


def by_header(tx: Connection, given: str) -> str | None:
    """The newest message with this Message-ID; angle brackets may be left out."""
    bare = given.strip().removeprefix("<").removesuffix(">")
    found = select(messages.c.id).where(messages.c.header_message_id.in_([f"<{bare}>", bare]))
    return tx.execute(found.order_by(messages.c.id.desc()).limit(1)).scalar()


def by_subject(tx: Connection, words: str, limit: int = 25) -> list[Found]:
    """Messages of this subject, whatever its case; then recent ones that hold the words."""
    columns = (messages.c.id, messages.c.subject, messages.c.created_at, messages.c.stream)
    wanted = func.lower(func.substr(bindparam("words", words), text("1"), text("60")))
    same = select(*columns).where(wanted == _SUBJECT).order_by(messages.c.id.desc()).limit(limit)
    rows = list(tx.execute(same).all())
    if len(rows) < limit:
        newest = select(*columns).order_by(messages.c.id.desc()).limit(RECENT).subquery()
        inside = select(newest).where(newest.c.subject.icontains(words, autoescape=True))
        rows += tx.execute(inside.order_by(newest.c.id.desc()).limit(limit)).all()
    unique = {row.id: Found(*row) for row in rows}
    return sorted(unique.values(), key=lambda one: one.message_id, reverse=True)[:limit]


def by_recipient(tx: Connection, words: str, limit: int = 25) -> list[Any]:
    """Recent deliveries to addresses that hold these words, newest first, with their messages."""
    d, m = deliveries.c, messages.c
    older = tx.execute(select(d.id).order_by(d.id.desc()).offset(RECENT).limit(1)).scalar()
    inside = (
        select(d.id, d.message_id, d.recipient, d.state, m.subject, m.created_at, m.stream)
        .join(messages, m.id == d.message_id)
        .where(d.id > (older or ""), d.recipient.icontains(words, autoescape=True))
    )
    return list(tx.execute(inside.order_by(d.id.desc()).limit(limit)).all())


def first_recipients(tx: Connection, message_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """For each message the recipient and the state of its first delivery."""
    rows = tx.execute(
        select(deliveries.c.message_id, deliveries.c.recipient, deliveries.c.state)
        .where(deliveries.c.message_id.in_(message_ids))
        .order_by(deliveries.c.id.desc())
    )
    return {row.message_id: (row.recipient, row.state) for row in rows}


def to_address(tx: Connection, address_hash: bytes, limit: int = 20) -> list[Any]:
    """The newest deliveries to an address with their subjects."""
    return list(
        tx.execute(
            select(
                deliveries.c.id,
                deliveries.c.message_id,
                deliveries.c.recipient,
                deliveries.c.state,
                deliveries.c.category,
                deliveries.c.created_at,
                deliveries.c.stream,
                messages.c.subject,
            )
            .join(messages, messages.c.id == deliveries.c.message_id)
            .where(deliveries.c.address_hash == address_hash)
            .order_by(deliveries.c.created_at.desc())
            .limit(limit)
        ).all()
    )


@dataclass(frozen=True, slots=True)
class Waiting:
    """Deliveries to one provider that wait for one reason."""

    provider: str
    category: str | None
    held: bool  # by our own pacing, not by an answer to this mail
    count: int
    oldest_at: float
    next_at: float
    example: str | None  # what was said about one of them


def waiting(tx: Connection, limit: int = WAITING) -> list[Waiting]:
    """What waits, by provider and why, the most first; of the first `limit` of each class."""
    d = deliveries.c
    columns = (d.provider, d.category, d.rule, d.created_at, d.next_at, d.reply)
    groups: dict[tuple[str, str | None, bool], Waiting] = {}
    for rank in (0, 1, 2):
        some = (
            select(*columns)
            .where(d.state == text("'queued'"), d.rank == rank, d.probe.is_(None))
            .order_by(d.next_at)
            .limit(limit)
            .subquery()
        )
        held = func.coalesce(some.c.rule.startswith("pacing/"), false())
        rows = tx.execute(
            select(
                some.c.provider,
                some.c.category,
                held,
                func.count(),
                func.min(some.c.created_at),
                func.min(some.c.next_at),
                func.max(some.c.reply),
            ).group_by(some.c.provider, some.c.category, held)
        )
        for provider, category, is_held, *rest in rows:
            found = Waiting(provider, category, bool(is_held), *rest)
            key = (provider, category, found.held)
            groups[key] = found if key not in groups else _together(groups[key], found)
    return sorted(groups.values(), key=lambda one: -one.count)


def _together(a: Waiting, b: Waiting) -> Waiting:
    return Waiting(
        a.provider,
        a.category,
        a.held,
        a.count + b.count,
        min(a.oldest_at, b.oldest_at),
        min(a.next_at, b.next_at),
        a.example or b.example,
    )


Place = tuple[float, bytes]


def suppressions_before(
    tx: Connection, *, before: Place | None = None, reason: str | None = None, limit: int = 50
) -> list[Any]:
    """Entries, newest first, expired ones too; `before` is the last row's (since, hash)."""
    key = (suppressions.c.since, suppressions.c.address_hash)
    query = select(suppressions)
    if reason is not None:
        query = query.where(suppressions.c.reason == reason)
    if before is not None:
        query = query.where(tuple_(*key) < tuple_(*before))
    query = query.order_by(*(column.desc() for column in key), suppressions.c.stream)
    return list(tx.execute(query.limit(limit)).all())


def audit_before(
    tx: Connection, *, before: int | None = None, subject: str | None = None, limit: int = 50
) -> list[Any]:
    """Entries of the audit, newest first; `subject` as the audit names it."""
    query = select(audit)
    if before is not None:
        query = query.where(audit.c.seq < before)
    if subject is not None:
        query = query.where(audit.c.subject == subject)
    return list(tx.execute(query.order_by(audit.c.seq.desc()).limit(limit)).all())


def names_of(tx: Connection, subjects: Collection[str]) -> dict[str, str]:
    """What people call these subjects of the audit: an address that is still known, the subject of
    a message, the name of a key.  What has been erased has none."""
    m, s, k = messages.c, suppressions.c, api_keys.c
    hashes = [bytes.fromhex(one) for one in subjects if _HASH.fullmatch(one)]
    others = [one for one in subjects if not _HASH.fullmatch(one)]
    listed = select(s.address_hash, s.address).where(
        s.address_hash.in_(hashes), s.address.is_not(None)
    )
    named = {bytes(hashed).hex(): str(name) for hashed, name in tx.execute(listed)}
    for hashed in hashes:  # one look in an index for each: an address may have very much mail
        if hashed.hex() not in named and (newest := to_address(tx, hashed, 1)):
            named[hashed.hex()] = newest[0].recipient
    for query in (
        select(m.id, m.subject).where(m.id.in_(others), m.subject != ""),
        select(k.id, k.name).where(k.id.in_(others)),
    ):
        named |= {row[0]: row[1] for row in tx.execute(query)}
    return named


def audit_of(tx: Connection, subjects: Sequence[str]) -> dict[str, list[Any]]:
    """What was done to each of these and why, the oldest first."""
    found: dict[str, list[Any]] = {}
    query = select(audit).where(audit.c.subject.in_(subjects)).order_by(audit.c.seq)
    for row in tx.execute(query.limit(MOST_NOTES)):
        found.setdefault(row.subject, []).append(row)
    return found


def not_understood(tx: Connection, *, before: str | None = None, limit: int = 25) -> list[Any]:
    """Mail that came back and nobody could read, newest first, without its content."""
    r = raw_inbound.c
    wanted: list[ColumnElement[bool]] = [r.understood == false()]
    if before is not None:
        wanted.append(r.id < before)
    columns = (r.id, r.received_at, r.peer, r.mail_from, r.purpose, r.kind, r.state, r.error)
    query = select(*columns).where(*wanted).order_by(r.id.desc()).limit(limit)
    return list(tx.execute(query).all())


def raw(tx: Connection, raw_id: str, octets: int) -> Any:
    """One raw mail with the first `octets` of its content and its `size`, or None."""
    r = raw_inbound.c
    others = [column for column in raw_inbound.columns if column.name != "content"]
    query = select(
        *others,
        func.substr(r.content, text("1"), octets).label("start"),
        func.length(r.content).label("size"),
    )
    return tx.execute(query.where(r.id == raw_id)).one_or_none()


def keys(tx: Connection, limit: int = 200) -> list[Any]:
    """API keys of the database, revoked ones too, newest first, without their hashes."""
    k = api_keys.c
    return list(
        tx.execute(
            select(k.id, k.name, k.scopes, k.created_at, k.revoked_at)
            .order_by(k.created_at.desc())
            .limit(limit)
        ).all()
    )

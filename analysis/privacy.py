"""Everything that is kept of one address, for the person whose it is.

Told table by table and page by page, so that an address with a long history costs no memory.  Rows
are told as they are stored: a column that is added later is told too.  Left out: hashes, and what
is kept of nobody in particular (counts, incidents).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import orjson
from sqlalchemy import Connection, Select, func, or_, select

from analysis import keyed_hash
from analysis.address import Address, address_hash
from analysis.lookup import iso
from analysis.schema import (
    attempts,
    audit,
    bodies,
    deliveries,
    events,
    feedback,
    messages,
    raw_inbound,
    reports,
    soft_bounces,
    suppressions,
)
from analysis.store import Store

PAGE = 50
"""Deliveries, or messages of the person, in one read: each may come with a body of megabytes."""

Json = dict[str, Any]
_TIMES = frozenset({"at", "since", "until", "deadline", "lease_until"})


async def export(store: Store, address: Address, now: float) -> AsyncIterator[bytes]:
    """A JSON document in pieces: what is known of the address, by what it is."""
    hashed = address_hash(address.key)
    yield orjson.dumps({"address": address.wire, "made_at": iso(now)})[:-1]
    small = await store.read(lambda tx: _small(tx, hashed))
    for name, rows in small.items():
        yield b',"%s":' % name.encode() + orjson.dumps(rows)
    for name, page in (
        ("messages", lambda tx, after: _deliveries(tx, hashed, after)),
        ("inbound", lambda tx, after: _inbound(tx, hashed, address.wire.lower(), after)),
    ):
        yield b',"%s":[' % name.encode()
        async for piece in _pages(store, page):
            yield piece
        yield b"]"
    yield b"}\n"


async def _pages(
    store: Store, page: Callable[[Connection, str], list[Json]]
) -> AsyncIterator[bytes]:
    after, comma = "", b""
    while found := await store.read(lambda tx, after=after: page(tx, after)):  # type: ignore[misc]
        yield comma + orjson.dumps(found)[1:-1]
        after, comma = found[-1]["id"], b","


def _small(tx: Connection, hashed: bytes) -> dict[str, list[Json]]:
    forms = keyed_hash.forms(tx, [hashed])
    subjects = [form.hex() for form in forms]
    return {
        "suppressions": _told(
            tx, select(suppressions).where(suppressions.c.address_hash.in_(forms)).limit(1_000)
        ),
        "soft_bounces": _told(
            tx, select(soft_bounces).where(soft_bounces.c.address_hash == hashed)
        ),
        "audit": _told(
            tx,
            select(audit).where(audit.c.subject.in_(subjects)).order_by(audit.c.seq).limit(10_000),
        ),
    }


def _deliveries(tx: Connection, hashed: bytes, after: str) -> list[Json]:
    query = (
        select(deliveries, messages.c.subject, messages.c.from_address, messages.c.metadata)
        .add_columns(bodies.c.content)
        .join(messages, messages.c.id == deliveries.c.message_id)
        .outerjoin(bodies, bodies.c.message_id == deliveries.c.message_id)
        .where(deliveries.c.address_hash == hashed, deliveries.c.id > after)
        .order_by(deliveries.c.id)
    )
    found = _told(tx, query.limit(PAGE))
    ids = [one["id"] for one in found]
    for name, table in (
        ("attempts", attempts),
        ("reports", reports),
        ("events", events),
        ("feedback", feedback),
    ):
        theirs: dict[str, list[Json]] = {}
        for row in _told(tx, select(table).where(table.c.delivery_id.in_(ids))):
            theirs.setdefault(row["delivery_id"], []).append(row)
        for one in found:
            one[f"{name}_of_it" if name in one else name] = theirs.get(one["id"], [])
    return found


def _inbound(tx: Connection, hashed: bytes, wire: str, after: str) -> list[Json]:
    """Mail that came from the address, or about mail to it."""
    ours = select(deliveries.c.id).where(deliveries.c.address_hash == hashed)
    told = select(reports.c.raw_id).where(func.lower(reports.c.address) == wire)
    query = select(raw_inbound).where(
        or_(
            raw_inbound.c.subject_id.in_(ours),
            (func.lower(raw_inbound.c.mail_from) == wire) & (raw_inbound.c.mail_from != ""),
            raw_inbound.c.id.in_(told),
        ),
        raw_inbound.c.id > after,
    )
    return _told(tx, query.order_by(raw_inbound.c.id).limit(PAGE))


def _told(tx: Connection, query: Select[Any]) -> list[Json]:
    return [dict(_values(row)) for row in tx.execute(query)]


def _values(row: Any) -> Iterator[tuple[str, Any]]:
    for quoted, value in row._mapping.items():
        name = str(quoted)  # SQLAlchemy's own kind of text is none to orjson
        if name == "content":
            yield name, None if value is None else bytes(value).decode("utf-8", "replace")
        elif isinstance(value, float) and (name.endswith("_at") or name in _TIMES):
            yield name, iso(value)
        elif not isinstance(value, bytes | memoryview):
            yield name, value

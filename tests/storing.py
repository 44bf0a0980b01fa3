"""What tests of the store are made of: submissions, claims, answers, and looks into the tables.

Ids are counted and times are given, so that a test reads like a ledger.  The fixture `store` of
`tests/conftest.py` opens a migrated database of the test's own, once on each engine.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Table, select

from analysis.address import address_hash, parse
from analysis.lifecycle import Fact
from analysis.reply import Reply, Stage
from analysis.schema import deliveries as _deliveries
from analysis.schema import events as _events
from analysis.store import Store, StoreUnavailable, Work
from analysis.suppression import EVERY_STREAM, Limits, Reason, Suppression, suppress
from analysis.verdict import UNKNOWN, Category, Fault, Severity, Verdict
from sender import queue
from sender.idempotency import Idempotency, Receipt
from sender.queue import Claim
from sender.record import Record, record
from sender.submit import Recipient, Submission, submit

NOW = 1_800_000_000.0
DAY = 86_400.0
LIMITS = Limits()
CONTENT = b"From: <shop@example.com>\r\nSubject: Your order\r\n\r\nOn its way.\r\n"

Row = dict[str, Any]
T = TypeVar("T")


def ids() -> Callable[[], str]:
    """Ids in the shape of ULIDs that count from one, all with one mark."""
    numbers = itertools.count(1)
    return lambda: f"{next(numbers):024d}00"


new_id = ids()  # one count for everything that shares a database


def hash_of(address: str) -> bytes:
    return address_hash(parse(address).key)


def submission(
    *to: str, at: float = NOW, class_: str = "transactional", **other: Any
) -> Submission:
    """One message, by default to ann@example.net, due at once, with a day to get there."""
    message_id = new_id()
    fields: Row = {
        "id": message_id,
        "stream": "default",
        "class_": class_,
        "from_address": "shop@example.com",
        "subject": "Your order",
        "header_message_id": f"<{message_id}@example.com>",
        "content": CONTENT,
        "recipients": tuple(_recipient(address) for address in to or ("ann@example.net",)),
        "created_at": at,
        "deadline": at + DAY,
        "send_at": None,
        "metadata": {},
    }
    return Submission(**(fields | other))


def _recipient(address: str) -> Recipient:
    read = parse(address)
    delivery_id = new_id()
    return Recipient(
        delivery_id,
        read.wire,
        address_hash(read.key),
        read.domain,
        f"b+{delivery_id}@b.example.com",
    )


def marked(key: str, body: str) -> Idempotency:
    return Idempotency(address_hash(key), address_hash(body))


async def submitted(store: Store, *submissions: Submission, now: float = NOW) -> list[Receipt]:
    return await store.write(lambda tx: submit(tx, submissions, now))


async def sent_to(store: Store, *to: str, **other: Any) -> list[str]:
    """Submit one message; its deliveries' ids."""
    one = submission(*to, **other)
    await submitted(store, one, now=one.created_at)
    return [recipient.delivery_id for recipient in one.recipients]


async def claimed(
    store: Store, now: float = NOW, *, limit: int = 100, node: str = "here", **other: Any
) -> list[Claim]:
    return await store.write(
        lambda tx: queue.claim(tx, node=node, now=now, lease=60.0, limit=limit, **other)
    )


def came_of(claim: Claim, fact: Fact, *, at: float = NOW + 1, **other: Any) -> Record:
    """The record of an attempt: accepted, or whatever `fact` and the fields say."""
    result = {Fact.ACCEPTED: "accepted", Fact.REFUSED: "refused", Fact.WITHHELD: "withheld"}
    fields: Row = {
        "result": result.get(fact, "deferred"),
        "reply": Reply(250, "2.0.0", "taken", Stage.DOT, "other", "mx.example.net"),
        "verdict": UNKNOWN,
        "provider": "other",
        "started_at": at - 1,
        "ended_at": at,
        "next_at": at + 60 if fact is Fact.PUT_OFF else None,
        "address": "192.0.2.1",
    }
    return Record(claim, fact, **(fields | other))


async def recorded(store: Store, *records: Record, now: float = NOW + 1) -> list[bool]:
    return await store.write(lambda tx: record(tx, records, now=now, limits=LIMITS))


async def delivered(store: Store, *to: str, **other: Any) -> list[str]:
    """Submit one message, hand it over; its deliveries' ids."""
    of_message = await sent_to(store, *to, **other)
    claims = [c for c in await claimed(store) if c.delivery_id in of_message]
    assert len(claims) == len(of_message)
    await recorded(store, *(came_of(claim, Fact.ACCEPTED) for claim in claims))
    return of_message


NO_SUCH_USER = Verdict(
    Category.BAD_MAILBOX, Fault.RECIPIENT, Severity.HARD, True, "test/no-user", "no such user", 0.97
)
BOX_FULL = Verdict(
    Category.MAILBOX_FULL, Fault.RECIPIENT, Severity.SOFT, False, "test/full", "mailbox full", 0.9
)
BLOCKED = Verdict(
    Category.REPUTATION, Fault.SENDER, Severity.HARD, False, "test/blocked", "blocklisted", 0.97
)


def entry(address: str, reason: Reason = Reason.MANUAL, **other: Any) -> Suppression:
    fields: Row = {
        "stream": EVERY_STREAM,
        "since": NOW,
        "until": None,
        "evidence": "asked for",
        "actor": "tester",
    }
    return Suppression(hash_of(address), reason=reason, address=address, **(fields | other))


async def suppressed(store: Store, *entries: Suppression) -> None:
    await store.write(lambda tx: suppress(tx, entries))


async def rows(store: Store, table: Table, *where: Any, order: Any = None) -> list[Row]:
    query = select(table).where(*where).order_by(*(order or table.primary_key.columns))
    return await store.read(lambda tx: [dict(row._mapping) for row in tx.execute(query)])


async def state_of(store: Store, delivery_id: str) -> str:
    [row] = await rows(store, _deliveries, _deliveries.c.id == delivery_id)
    return str(row["state"])


async def kinds_of_events(store: Store) -> list[str]:
    return [row["kind"] for row in await rows(store, _events)]


def reasons(entries: Sequence[Row]) -> list[str]:
    return sorted(row["reason"] for row in entries)


async def until(ask: Callable[[], Awaitable[object]], within: float = 60.0) -> None:
    """Ask again until the answer is true; TimeoutError with the last one after `within` seconds."""
    give_up = time.monotonic() + within
    while not (answer := await ask()):
        if time.monotonic() > give_up:
            raise TimeoutError(f"still {answer!r} after {within:g} s")
        await asyncio.sleep(0.01)


class Unsteady:
    """A store that can be away: its next `failing` writes find nobody."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.url = store.url
        self.failing = 0

    async def write(self, work: Work[T]) -> T:
        if self.failing:
            self.failing -= 1
            raise StoreUnavailable("gone for a moment")
        return await self._store.write(work)

    async def read(self, work: Work[T]) -> T:
        return await self._store.read(work)

    async def close(self) -> None:
        """The store within is closed by whoever opened it."""

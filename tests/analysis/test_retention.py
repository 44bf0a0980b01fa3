"""What is old is forgotten, what waits never is."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Table, func, insert, select
from ulid import ULID

from analysis import migrate
from analysis.ids import first_id
from analysis.retention import DAY, TOLD, Keep, sweep
from analysis.schema import attempts, bodies, deliveries, events, messages, raw_inbound, reports
from analysis.store import Store, open_store

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000.0
KEEP = Keep(content=7 * DAY, messages=90 * DAY, inbound=30 * DAY, events=90 * DAY)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    store = open_store(database_url)
    await store.write(migrate.upgrade)
    yield store
    await store.close()


def _id(at: float) -> str:
    return str(ULID.from_timestamp(at)).lower()


async def _message(store: Store, age: float, state: str) -> None:
    """A message of this age in seconds with one delivery, an attempt, a body and a report."""
    at = NOW - age
    message, delivery = _id(at), _id(at)
    rows: list[tuple[Table, dict[str, object]]] = [
        (
            messages,
            {"id": message, "created_at": at, "stream": "s", "class": "otp", "from_address": "f",
             "subject": "s", "header_message_id": "<m>", "deadline": at, "size": 1, "metadata": {}},
        ),
        (bodies, {"message_id": message, "content": b"x"}),
        (
            deliveries,
            {"id": delivery, "message_id": message, "recipient": "a@b.example",
             "address_hash": b"h" * 32, "domain": "b.example", "stream": "s", "rank": 0,
             "state": state, "created_at": at, "next_at": at, "deadline": at, "attempts": 1,
             "epoch": 1, "provider": "other", "return_path": "r",
             "settled_at": None if state == "queued" else at},
        ),
        (attempts, {"delivery_id": delivery, "epoch": 1, "node": "n", "started_at": at}),
        (
            reports,
            {"id": delivery, "at": at, "raw_id": delivery, "delivery_id": delivery,
             "kind": "bounce", "identity": delivery.encode().ljust(32)},
        ),
    ]  # fmt: skip
    for table, row in rows:
        await store.write(lambda tx, t=table, r=row: tx.execute(insert(t), [r]))


async def _count(store: Store, table: Table) -> int:
    return await store.read(
        lambda tx: tx.execute(select(func.count()).select_from(table)).scalar_one()
    )


async def test_a_body_goes_before_its_message(store: Store) -> None:
    await _message(store, 8 * DAY, "delivered")
    await store.write(lambda tx: sweep(tx, KEEP, now=NOW))
    assert (await _count(store, bodies), await _count(store, messages)) == (0, 1)


async def test_an_old_message_goes_with_all_that_hangs_on_it(store: Store) -> None:
    await _message(store, 91 * DAY, "delivered")
    await store.write(lambda tx: sweep(tx, KEEP, now=NOW))
    tables = (bodies, attempts, reports, deliveries, messages)
    assert [await _count(store, table) for table in tables] == [0] * 5


async def test_what_still_waits_is_kept_however_old(store: Store) -> None:
    await _message(store, 400 * DAY, "queued")
    assert await store.write(lambda tx: sweep(tx, KEEP, now=NOW)) == 0
    assert (await _count(store, bodies), await _count(store, messages)) == (1, 1)


async def test_a_young_message_is_kept_whole(store: Store) -> None:
    await _message(store, 6 * DAY, "delivered")
    assert await store.write(lambda tx: sweep(tx, KEEP, now=NOW)) == 0


async def test_raw_reports_go_once_they_were_read(store: Store) -> None:
    for state in ("new", "read", "aside"):
        row = {
            "id": _id(NOW - 31 * DAY), "received_at": 0.0, "peer": "", "helo": "", "mail_from": "",
            "recipient": "r", "purpose": "bounce", "content": b"", "state": state, "tries": 0,
            "lease_until": 0.0,
        }  # fmt: skip
        await store.write(lambda tx, row=row: tx.execute(insert(raw_inbound), [row]))
    await store.write(lambda tx: sweep(tx, KEEP, now=NOW))
    assert await store.read(lambda tx: tx.execute(select(raw_inbound.c.state)).scalars().all()) == [
        "new"
    ]


async def test_a_sweep_takes_no_more_than_its_fill_and_ends_at_nothing(store: Store) -> None:
    row = {"at": NOW - 91 * DAY, "kind": "k", "data": {}}
    await store.write(lambda tx: tx.execute(insert(events), [row] * 25))
    taken = [await store.write(lambda tx: sweep(tx, KEEP, now=NOW, most=4)) for _ in range(4)]
    assert taken == [4 * TOLD, 4 * TOLD, 1, 0]


def test_the_border_lies_between_the_ids_before_and_after() -> None:
    assert _id(NOW - 0.002) < first_id(NOW) <= _id(NOW)

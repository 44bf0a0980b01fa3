"""A day of mail is made before it comes and goes at once, but for what still waits."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest
from sqlalchemy import Table, func, insert, select, text
from ulid import ULID

from analysis import days, migrate
from analysis.retention import Keep, drop_day, sweep
from analysis.schema import bodies, deliveries, messages, raw_inbound
from analysis.store import Store, StoreUnavailable, open_store

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

DAY = 86_400.0
NOW = 1_900_000_000.0 // DAY * DAY + 9 * 3_600
KEEP = Keep(content=7 * DAY, inbound=30 * DAY)


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    """Whose days were made thirty-eight days ago and a day at a time since."""
    store = open_store(postgres_url)
    await store.write(migrate.upgrade)
    for day in range(38, -1, -1):
        for key in days.CUT:
            await store.write(lambda tx, k=key, d=day: days.make(tx, k, now=NOW - d * DAY))
    yield store
    await store.close()


def _id(at: float) -> str:
    return str(ULID.from_timestamp(at)).lower()


async def _message(store: Store, at: float, state: str) -> str:
    """Made at a time, with a body and a delivery that has been in this state since."""
    one = _id(at)
    rows: list[tuple[Table, dict[str, object]]] = [
        (
            messages,
            {"id": one, "created_at": at, "stream": "s", "class": "otp", "from_address": "f",
             "subject": "s", "header_message_id": "<m>", "deadline": at, "size": 1, "metadata": {}},
        ),
        (bodies, {"message_id": one, "content": b"x"}),
        (
            deliveries,
            {"id": _id(at), "message_id": one, "recipient": "a@b.example",
             "address_hash": b"h" * 32, "domain": "b.example", "stream": "s", "rank": 0,
             "state": state, "created_at": at, "next_at": at, "deadline": at, "attempts": 1,
             "epoch": 1, "provider": "other", "return_path": "r",
             "settled_at": None if state == "queued" else at},
        ),
    ]  # fmt: skip
    for table, row in rows:
        await store.write(lambda tx, t=table, r=row: tx.execute(insert(t), [r]))
    return one


async def _raw(store: Store, at: float, state: str) -> None:
    row = {
        "id": _id(at), "received_at": at, "peer": "", "helo": "", "mail_from": "", "recipient": "r",
        "purpose": "bounce", "content": b"", "state": state, "tries": 0, "lease_until": 0.0,
    }  # fmt: skip
    await store.write(lambda tx: tx.execute(insert(raw_inbound), [row]))


async def _where(store: Store, table: Table) -> list[str]:
    """The parts that the rows of a table lie in."""
    lying = select(text("tableoid::regclass::text")).select_from(table).order_by(*table.primary_key)
    return list(await store.read(lambda tx: tx.execute(lying).scalars().all()))


async def _parts(store: Store, table: Table) -> list[str]:
    return [part.name for part in await store.read(lambda tx: days.parts(tx, table))]


async def _drop_all(store: Store, now: float = NOW) -> list[str]:
    dropped = []
    while one := await store.write(lambda tx: drop_day(tx, KEEP, now=now)):
        dropped.append(one)
    return dropped


def _name(table: str, at: float) -> str:
    return f"{table}_{datetime.fromtimestamp(at, UTC):%Y%m%d}"


async def test_days_are_made_ahead_once_and_leave_no_gap(store: Store) -> None:
    for key in days.CUT:
        parts = await store.read(lambda tx, k=key: days.parts(tx, k.table))
        assert parts[-1].name == _name(key.table.name, NOW + days.AHEAD * DAY)
        dated = parts[1:]
        assert all(a.end == b.start for a, b in itertools.pairwise(dated))
        assert await store.write(lambda tx, k=key: days.make(tx, k, now=NOW)) == []


async def test_a_row_lies_in_its_day_and_one_of_no_day_is_not_lost(store: Store) -> None:
    await _message(store, NOW, "queued")
    await _message(store, NOW + 100 * DAY, "queued")
    assert await _where(store, bodies) == [_name("bodies", NOW), "bodies_rest"]


async def test_a_day_that_came_before_it_was_made_stays_in_the_rest(store: Store) -> None:
    """The service stood still for longer than it had made days ahead."""
    late = NOW + 30 * DAY
    await _message(store, late, "delivered")
    made = await store.write(lambda tx: days.make(tx, bodies.c.message_id, now=late))
    assert made == [_name("bodies", late + n * DAY) for n in range(1, days.AHEAD + 1)]
    assert await _where(store, bodies) == ["bodies_rest"]
    await store.write(lambda tx: sweep(tx, KEEP, now=late + 9 * DAY))
    assert await _where(store, bodies) == []


async def test_a_day_of_which_all_ended_goes_at_once_and_no_younger_one(store: Store) -> None:
    for age in (7, 8, 9):
        await _message(store, NOW - age * DAY, "delivered")
    dropped = [name for name in await _drop_all(store) if name.startswith("bodies")]
    assert dropped[-2:] == [_name("bodies", NOW - 9 * DAY), _name("bodies", NOW - 8 * DAY)]
    assert await _where(store, bodies) == [_name("bodies", NOW - 7 * DAY)]
    assert _name("bodies", NOW - 8 * DAY) not in await _parts(store, bodies)
    assert await store.write(lambda tx: sweep(tx, KEEP, now=NOW)) == 0, "its day is not over"
    count = select(func.count()).select_from(messages)
    assert await store.read(lambda tx: tx.execute(count).scalar_one()) == 3


async def test_what_waits_of_a_dropped_day_is_kept_and_goes_when_it_has_ended(store: Store) -> None:
    at = NOW - 9 * DAY
    waiting = await _message(store, at, "queued")
    await _message(store, at + 1, "bounced")
    assert _name("bodies", at) in await _drop_all(store)
    assert await _where(store, bodies) == ["bodies_rest"]
    ended = text(
        "UPDATE deliveries SET state = 'delivered', settled_at = :now WHERE message_id = :id"
    )
    await store.write(lambda tx: tx.execute(ended, {"now": NOW, "id": waiting}) and None)
    await store.write(lambda tx: sweep(tx, KEEP, now=NOW + 6 * DAY))
    assert await _where(store, bodies) == ["bodies_rest"], "six days after its end"
    await store.write(lambda tx: sweep(tx, KEEP, now=NOW + 8 * DAY))
    assert await _where(store, bodies) == []


async def test_a_day_of_which_much_waits_goes_row_by_row(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(days, "MOST_MOVED", 1)
    at = NOW - 9 * DAY
    for second, state in enumerate(("queued", "queued", "delivered")):
        await _message(store, at + second, state)
    assert _name("bodies", at) not in await _drop_all(store)
    await store.write(lambda tx: sweep(tx, KEEP, now=NOW))
    assert await _where(store, bodies) == [_name("bodies", at)] * 2


async def test_raw_reports_go_by_day_and_unread_ones_stay(store: Store) -> None:
    at = NOW - 31 * DAY
    for second, state in enumerate(("new", "read", "aside")):
        await _raw(store, at + second, state)
    assert _name("raw_inbound", at) in await _drop_all(store)
    assert await _where(store, raw_inbound) == ["raw_inbound_rest"]


async def test_the_table_as_it_was_goes_when_its_last_day_is_over(store: Store) -> None:
    await _message(store, 1_000_000_000.0, "delivered")
    assert await _where(store, bodies) == ["bodies_old"]
    assert {"bodies_old", "raw_inbound_old"} <= set(await _drop_all(store))
    assert await _where(store, bodies) == []


async def test_content_that_is_kept_for_less_than_a_day_goes_to_the_second(store: Store) -> None:
    await _message(store, NOW - 10, "delivered")
    await store.write(lambda tx: sweep(tx, Keep(content=0.0), now=NOW))
    assert await _where(store, bodies) == []


async def test_nobody_waits_for_long_behind_a_drop_that_waits(
    store: Store, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given up, nothing is lost, and it is done another time."""
    monkeypatch.setattr(days, "PATIENCE", "50ms")
    reader = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    try:
        async with reader.transaction():
            await reader.execute("SELECT count(*) FROM bodies")
            with pytest.raises(StoreUnavailable, match="lock timeout"):
                await store.write(lambda tx: drop_day(tx, KEEP, now=NOW))
    finally:
        await reader.close()
    assert await store.write(lambda tx: drop_day(tx, KEEP, now=NOW))

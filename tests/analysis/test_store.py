"""The store keeps its promises on both databases."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select, text, update

from analysis.schema import audit, metadata, soft_bounces, suppressions
from analysis.store import Store, StoreUnavailable, insert_once, open_store, ping, upsert

pytestmark = pytest.mark.anyio


def _days(tx: Connection) -> list[int]:
    return list(tx.execute(select(soft_bounces.c.day).order_by(soft_bounces.c.day)).scalars())


async def test_what_was_written_is_read_after_the_write_returned(store: Store) -> None:
    row = {"address_hash": b"a" * 32, "day": 1}
    await store.write(lambda tx: tx.execute(insert(soft_bounces), [row]) and None)
    assert await store.read(_days) == [1]


async def test_work_that_raises_leaves_nothing_behind(store: Store) -> None:
    def broken(tx: Connection) -> None:
        tx.execute(insert(soft_bounces), [{"address_hash": b"a" * 32, "day": 1}])
        raise RuntimeError("our own fault")

    with pytest.raises(RuntimeError, match="our own fault"):
        await store.write(broken)
    assert await store.read(_days) == []


async def test_four_hundred_concurrent_increments_are_all_kept(store: Store) -> None:
    """SQLite in the driver's own transaction mode loses most of them without a word."""
    row = {"address_hash": b"a" * 32, "day": 0}
    await store.write(lambda tx: tx.execute(insert(soft_bounces), [row]) and None)

    def increment(tx: Connection) -> None:
        day = tx.execute(select(soft_bounces.c.day).with_for_update()).scalar_one()
        tx.execute(update(soft_bounces).values(day=day + 1))

    await asyncio.gather(*(store.write(increment) for _ in range(400)))
    assert await store.read(_days) == [400]


async def test_a_double_is_left_alone_and_only_new_rows_are_named(store: Store) -> None:
    rows = [{"address_hash": bytes([n]) * 32, "day": 1} for n in range(3)]
    first = await store.write(
        lambda tx: insert_once(tx, soft_bounces, rows[:2], returning="address_hash")
    )
    second = await store.write(
        lambda tx: insert_once(tx, soft_bounces, rows, returning="address_hash")
    )
    assert [sorted(map(bytes, found)) for found in (first, second)] == [
        [bytes([0]) * 32, bytes([1]) * 32],
        [bytes([2]) * 32],
    ]


async def test_an_upsert_brings_a_row_up_to_date(store: Store) -> None:
    row = {
        "address_hash": b"a" * 32,
        "stream": "*",
        "reason": "manual",
        "since": 1.0,
        "evidence": "first",
        "actor": "me",
    }
    keys = ("address_hash", "stream", "reason")
    await store.write(lambda tx: upsert(tx, suppressions, [row], keys=keys))
    await store.write(
        lambda tx: upsert(tx, suppressions, [{**row, "evidence": "second"}], keys=keys)
    )
    found = await store.read(lambda tx: tx.execute(select(suppressions.c.evidence)).scalars().all())
    assert found == ["second"]


async def test_a_time_comes_back_as_it_went_in(store: Store) -> None:
    at = 1_795_000_000.123456
    row = {"at": at, "actor": "a", "action": "b", "subject": "c", "reason": "d", "data": {"k": [1]}}
    await store.write(lambda tx: tx.execute(insert(audit), [row]) and None)
    found = await store.read(lambda tx: tx.execute(select(audit.c.at, audit.c.data)).one())
    assert tuple(found) == (at, {"k": [1]})


async def test_sqlite_waits_for_the_disk_at_every_commit(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'x.db'}")
    pragmas = await store.write(
        lambda tx: [
            tx.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("synchronous", "journal_mode", "foreign_keys")
        ]
    )
    await store.close()
    assert pragmas == [2, "wal", 1]


async def test_a_new_sqlite_file_is_its_owner_s_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        store = open_store(f"sqlite:///{tmp_path / 'carom.db'}")
        await store.write(lambda tx: tx.execute(text("CREATE TABLE t (x)")))
        modes = {entry.name: entry.stat().st_mode & 0o777 for entry in os.scandir(tmp_path)}
        await store.close()
    finally:
        os.umask(before)
    assert modes.pop("carom.db-turn") == 0o644, "empty, and locked by whoever may open it"
    assert modes == {"carom.db": 0o600, "carom.db-wal": 0o600, "carom.db-shm": 0o600}


async def test_a_database_that_is_not_there_is_unavailable(free_port: int) -> None:
    store = open_store(f"postgresql://nobody@127.0.0.1:{free_port}/nothing")
    with pytest.raises(StoreUnavailable):
        await store.read(ping)
    await store.close()


def test_another_kind_of_database_is_refused() -> None:
    with pytest.raises(ValueError, match="mysql"):
        open_store("mysql://localhost/x")


async def test_the_newest_schema_is_all_there(store: Store) -> None:
    for table in metadata.sorted_tables:
        count = await store.read(
            lambda tx, table=table: tx.execute(select(func.count()).select_from(table)).scalar()
        )
        assert count == 0, table.name


@pytest.mark.postgres
async def test_work_that_a_deadlock_rolled_back_is_done_again(postgres_url: str) -> None:
    """Each locks one row and wants the other's: PostgreSQL ends one of the two."""
    store = open_store(postgres_url)
    await store.write(metadata.create_all)
    rows = [{"address_hash": bytes([n]) * 32, "day": 0} for n in (1, 2)]
    await store.write(lambda tx: tx.execute(insert(soft_bounces), rows) and None)

    def touch(tx: Connection, order: tuple[int, int]) -> None:
        for n in order:
            of_row = soft_bounces.c.address_hash == bytes([n]) * 32
            tx.execute(update(soft_bounces).where(of_row).values(day=soft_bounces.c.day + 1))
            tx.execute(text("SELECT pg_sleep(0.1)"))

    await asyncio.gather(
        store.write(lambda tx: touch(tx, (1, 2))), store.write(lambda tx: touch(tx, (2, 1)))
    )
    assert await store.read(_days) == [2, 2]
    await store.close()


async def test_processes_that_write_to_one_sqlite_file_wait_in_line(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'carom.db'}")
    await store.write(ping)
    with (tmp_path / "carom.db-turn").open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        waiting = asyncio.create_task(store.write(ping))
        await store.read(ping)  # a reader waits for nobody
        assert not waiting.done()
        fcntl.flock(turn, fcntl.LOCK_UN)
        await waiting
    await store.close()


async def test_a_folder_that_cannot_be_written_is_trouble_of_the_database(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'missing' / 'carom.db'}")
    with pytest.raises(StoreUnavailable):
        await store.write(ping)
    await store.close()

"""The inbox hands each message to one reader, takes it back from the dead, and loses none."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, select, update

from analysis.schema import raw_inbound
from analysis.store import Store
from ingest import inbox
from ingest.inbox import MOST_TRIES, Raw
from tests.storing import NOW, new_id

pytestmark = pytest.mark.anyio

LEASE = 60.0


def raw() -> Raw:
    return Raw(
        new_id(), NOW, "192.0.2.1", "mx.example.net", "", "b+x@b.example.com", "bounce", None, b"x"
    )


async def keep(store: Store, count: int) -> list[str]:
    mail = [raw() for _ in range(count)]
    await store.write(lambda tx: inbox.keep(tx, mail))
    return [one.id for one in mail]


async def claim(
    store: Store, node: str = "here", *, after: float = 0.0, limit: int = 10
) -> set[str]:
    found = await store.write(
        lambda tx: inbox.claim(tx, node=node, now=NOW + after, lease=LEASE, limit=limit)
    )
    return {one.id for one in found}


async def state(store: Store, raw_id: str) -> str:
    wanted = select(raw_inbound.c.state).where(raw_inbound.c.id == raw_id)
    return str(await store.read(lambda tx: tx.execute(wanted).scalar_one()))


async def test_a_claimed_message_is_nobody_elses_until_its_lease_ends(store: Store) -> None:
    kept = await keep(store, 3)
    assert await claim(store, "one", limit=2) | await claim(store, "two") == set(kept)
    assert await claim(store, "three", after=LEASE - 1) == set()
    assert len(await claim(store, "three", after=LEASE)) == 1


async def test_a_reader_that_starts_again_gets_what_it_was_reading_and_no_more(
    store: Store,
) -> None:
    mine = await keep(store, 1)
    assert await claim(store, "here") == set(mine)
    others = await keep(store, 1)
    assert await claim(store, "there") == set(others)
    fresh = await keep(store, 2)

    await store.write(lambda tx: inbox.give_back(tx, "here"))
    assert await claim(store, "here") == set(mine), "first, and alone"
    assert await claim(store, "here") == set(fresh)


async def test_a_message_that_readers_die_of_is_put_aside_and_takes_no_neighbour_with_it(
    store: Store,
) -> None:
    kept = await keep(store, 4)
    deadly = kept[2]
    read: set[str] = set()
    for _ in range(20):
        await store.write(lambda tx: inbox.give_back(tx, "here"))
        while batch := await claim(store):
            if deadly in batch:
                break  # and with it the reader
            read |= batch
            for raw_id in batch:
                await store.write(lambda tx, raw_id=raw_id: _read(tx, raw_id))
    assert read == set(kept) - {deadly}
    assert await state(store, deadly) == "aside"
    assert [await state(store, one) for one in sorted(read)] == ["read"] * 3


async def test_so_many_tries_a_message_has(store: Store) -> None:
    [only] = await keep(store, 1)
    for turn in range(MOST_TRIES):
        assert await claim(store, after=turn * LEASE) == {only}
    assert await claim(store, after=MOST_TRIES * LEASE) == set()
    assert await state(store, only) == "aside"


def _read(tx: Connection, raw_id: str) -> None:
    tx.execute(update(raw_inbound).where(raw_inbound.c.id == raw_id).values(state="read"))

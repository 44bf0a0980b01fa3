"""The bounce loop: when it is silent, broken and mended, by times that are given."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, insert, select

from analysis import bounce_loop
from analysis.schema import events, reports
from analysis.store import Store

pytestmark = pytest.mark.anyio

NOW = 1_795_000_000.0
EVERY = 300.0
LATE = 900.0


def ulid(n: int) -> str:
    return f"01kas{n:021d}"


def sent(tx: Connection, n: int) -> None:
    bounce_loop.begin(tx, ulid(n), NOW + n * EVERY)
    bounce_loop.hand_in(tx, ulid(n), ulid(1_000 + n))


def came_back(tx: Connection, n: int, at: float) -> None:
    row = {"id": ulid(2_000 + n), "at": at, "raw_id": ulid(3_000 + n), "kind": "bounce"}
    tx.execute(
        insert(reports),
        row | {"delivery_id": ulid(1_000 + n), "identity": ulid(n).encode().ljust(32)},
    )


async def told(store: Store) -> list[str]:
    query = select(events.c.kind).order_by(events.c.seq)
    return await store.read(lambda tx: list(tx.execute(query).scalars()))


async def settle(store: Store, at: float) -> None:
    await store.write(lambda tx: bounce_loop.settle(tx, now=at, late=LATE))


async def silence(store: Store, at: float) -> float:
    return await store.read(lambda tx: bounce_loop.silence(tx, at, started=NOW - 50))


async def test_silence_is_counted_from_the_last_return(store: Store) -> None:
    assert await silence(store, NOW) == 50, "since our start, while nothing was sent"
    await store.write(lambda tx: sent(tx, 0))
    assert await silence(store, NOW + 100) == 100, "since the first was sent"
    await store.write(lambda tx: came_back(tx, 0, NOW + 110))
    assert await silence(store, NOW + 120) == 10
    await settle(store, NOW + 130)
    assert await silence(store, NOW + 140) == 30, "the same once it is noted"


async def test_a_loop_that_works_is_not_spoken_of(store: Store) -> None:
    for n in range(5):
        await store.write(lambda tx, n=n: sent(tx, n))
        await store.write(lambda tx, n=n: came_back(tx, n, NOW + n * EVERY + 2))
        await settle(store, NOW + n * EVERY + 290)
    assert await told(store) == []


async def test_it_is_told_once_when_it_breaks_and_once_when_it_is_mended(store: Store) -> None:
    await store.write(lambda tx: sent(tx, 0))
    await store.write(lambda tx: came_back(tx, 0, NOW + 2))
    for n in range(1, 4):
        await store.write(lambda tx, n=n: sent(tx, n))
    await settle(store, NOW + EVERY + LATE - 1)
    assert await told(store) == []
    for again in range(3):
        await settle(store, NOW + EVERY + LATE + again)
    assert await told(store) == ["bounce_loop_broken"]
    back = NOW + 10 * EVERY
    await store.write(lambda tx: sent(tx, 9))
    await store.write(lambda tx: came_back(tx, 9, back))
    for again in range(3):
        await settle(store, back + 1 + again)
    assert await told(store) == ["bounce_loop_broken", "bounce_loop_mended"]


async def test_each_canary_is_answered_once_and_a_strange_one_never(store: Store) -> None:
    await store.write(lambda tx: sent(tx, 0))
    turns = [
        await store.write(lambda tx: bounce_loop.take_turn(tx, ulid(0), NOW)) for _ in range(3)
    ]
    assert turns == [True, False, False]
    assert not await store.write(lambda tx: bounce_loop.take_turn(tx, ulid(7), NOW))


async def test_canaries_are_forgotten_after_a_week(store: Store) -> None:
    await store.write(lambda tx: sent(tx, 0))
    assert await store.write(lambda tx: bounce_loop.forget(tx, NOW + bounce_loop.KEPT)) == 0
    assert await store.write(lambda tx: bounce_loop.forget(tx, NOW + bounce_loop.KEPT + 1)) == 1

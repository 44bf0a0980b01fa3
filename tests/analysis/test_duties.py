"""Regular work is done by one node of many, and by another when that one is gone."""

from __future__ import annotations

import asyncio

import pytest

from analysis import duties
from analysis.duties import Duty
from analysis.store import Store

pytestmark = pytest.mark.anyio


async def _take(store: Store, node: str, now: float) -> bool:
    return await store.write(lambda tx: duties.take(tx, "sweep", node=node, now=now, every=60.0))


async def test_the_first_node_to_come_takes_it(store: Store) -> None:
    assert await _take(store, "a", 1_000.0)
    assert not await _take(store, "b", 1_000.0)


async def test_it_is_due_again_after_its_time_whoever_comes(store: Store) -> None:
    assert await _take(store, "a", 1_000.0)
    assert not await _take(store, "b", 1_059.0)
    assert await _take(store, "b", 1_060.0)


async def test_a_clock_that_was_ten_years_ahead_does_not_stop_it(store: Store) -> None:
    assert await _take(store, "a", 1_000.0 + 315_360_000)
    assert await _take(store, "b", 1_000.0)


async def test_of_two_that_serve_it_one_does_it(store: Store) -> None:
    stop, done = asyncio.Event(), []

    async def do(now: float) -> None:
        done.append(now)
        stop.set()

    duty = Duty("sweep", 60.0, do)
    await asyncio.gather(
        *(duties.serve(duty, store, stop, node=node, clock=lambda: 1_000.0) for node in "ab")
    )
    assert done == [1_000.0]

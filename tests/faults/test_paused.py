"""R10: a node sleeps past its lease, another takes its work: awake it writes nothing stale.

A paused process (SIGSTOP, a virtual machine put aside) does not know that it slept.  Here its
housekeeping stands still and its clock has gone on when it wakes.  Its records bear an epoch that
has moved on, and just before the final dot it asks whether its lease still runs: what another has
taken over gets no dot, and so no second copy.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from analysis.schema import attempts as tries
from analysis.store import Store
from tests.amounts import Amount
from tests.faults.books import balanced, nobody_suppressed
from tests.peers.scripted_mx import ScriptedMX
from tests.sender.posting import attempts, connections, way_to
from tests.sender.test_worker import due, working

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]

LEASE = 60.0


async def test_a_node_that_slept_past_its_lease_sends_and_writes_nothing(
    store: Store, amount: Amount, seen: Callable[[str], None]
) -> None:
    times, promised = amount(2, 20), []
    async with ScriptedMX() as first, ScriptedMX() as second, connections() as wires:
        for _ in range(times):
            promised += await _one_sleep(store, first, second, wires)
        assert len(second.received) == 3 * times
        assert not first.received, "a dot after the lease: a second copy"
    books = await store.read(lambda tx: balanced(tx, promised))
    assert books["delivered"] == 3 * times
    await store.read(nobody_suppressed)
    stale = select(func.count()).where(tries.c.result.not_in(("lost", "accepted")))
    assert await store.read(lambda tx: tx.execute(stale).scalar_one()) == 0
    seen(f"{times} sleeps past the lease: stale writes 0, copies after the lease 0")


async def _one_sleep(store: Store, first: ScriptedMX, second: ScriptedMX, wires: Any) -> list[str]:
    """One node claims three and sleeps; another takes them over; then the first wakes."""
    ahead, asleep, awake = [0.0], asyncio.Event(), asyncio.Event()

    async def sleeps(work: Any) -> bytes:
        asleep.set()
        await awake.wait()
        return bytes(work[1])

    def first_clock() -> float:
        return time.time() + ahead[0]

    def second_clock() -> float:
        return time.time() + LEASE + 1

    made = attempts(store, way_to(first), wires, finish=sleeps, clock=first_clock)
    node = working(store, made, node="one", clock=first_clock, lease=LEASE, housekeeping=3_600.0)
    async with node as (_, heard_first):
        promised = await due(store, *(f"u{n}@example.net" for n in range(3)))
        await asleep.wait()
        others = attempts(store, way_to(second), wires, clock=second_clock)
        async with working(store, others, node="two", clock=second_clock) as (_, heard):
            await heard.reaches(3)
        ahead[0] = LEASE + 2
        awake.set()
    assert heard_first.records == [], "a stale record was believed"
    return promised

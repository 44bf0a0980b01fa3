"""R10, R16, R17: real nodes on one PostgreSQL, put to sleep, killed, and held to one rate."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from analysis.schema import attempts, pacing_nodes
from analysis.store import Store
from tests.amounts import Amount
from tests.flows.house import until
from tests.flows.nodes import PATIENCE, Cluster, nodes
from tests.peers.counting_sink import CountingSink

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]

LEASE = 5
EACH = 4
"""Conversations of a node at once."""
PATIENT = {
    "CAROM_SENDER__LEASE": f"{LEASE}s",
    "CAROM_SENDER__CONCURRENCY": str(EACH),
    "CAROM_SENDER__TIMEOUTS__DATA": "15m",  # the sink answers when the story says so
}
PER_SECOND = 50
SETTLING = 5.0
"""Seconds in which nodes find each other, and use what is sent at once after a pause."""


def to_all(name: str, count: int) -> list[str]:
    return [f"{name}-{number}@known.example" for number in range(count)]


async def test_nodes_that_slept_past_their_lease_send_and_write_nothing(
    tmp_path: Path, postgres_url: str, amount: Amount, seen: Callable[[str], None]
) -> None:
    if not amount.full:
        pytest.skip("the full form only: tests/faults/test_paused.py has the short one")
    times, promised = 20, 0
    async with (
        CountingSink() as sink,
        nodes(tmp_path, postgres_url, mx=sink.port, count=2, **PATIENT) as cluster,
    ):
        for turn in range(times):
            promised += await _all_before_the_dot(cluster, sink, turn)
            cluster.signal(turn % 2, signal.SIGSTOP)
            sink.go.set()
            await cluster.delivered(promised)  # the other has taken over what the sleeper held
            cluster.signal(turn % 2, signal.SIGCONT)
            await cluster.submit(to_all(f"after{turn}", 1))
            promised += 1
            await cluster.delivered(promised)
            await _is(lambda: sink.open == 0)  # the sleeper has hung up
        assert len(sink.copies) == promised, "a dot after the lease: a second copy"
        assert await _stale(cluster.engine.store) == 0
        lost = select(func.count()).where(attempts.c.result == "lost")
        taken_over = await cluster.engine.store.read(lambda tx: tx.execute(lost).scalar_one())
        assert taken_over >= times
    seen(
        f"{times} x SIGSTOP past the lease, two processes: {taken_over} taken over, "
        "stale writes 0, copies after the lease 0"
    )


async def _all_before_the_dot(cluster: Cluster, sink: CountingSink, turn: int) -> int:
    """Mail for both nodes, which each holds before a sink that keeps quiet; how much it is."""
    sink.go.clear()
    await cluster.submit(to_all(f"turn{turn}", 2 * EACH))
    await cluster.all_hold()
    await _is(lambda: sink.asked >= 2 * EACH)
    return 2 * EACH


async def _stale(store: Store) -> int:
    """Attempts that a later one overtook and whose end was written all the same."""
    later = attempts.alias()
    stale = (
        select(func.count())
        .select_from(attempts.join(later, attempts.c.delivery_id == later.c.delivery_id))
        .where(attempts.c.epoch < later.c.epoch, attempts.c.result.not_in(("lost", "held")))
    )
    return int(await store.read(lambda tx: tx.execute(stale).scalar_one()))


async def test_the_work_of_a_killed_node_is_taken_over(
    tmp_path: Path, postgres_url: str, amount: Amount, seen: Callable[[str], None]
) -> None:
    if not amount.full:
        pytest.skip("the full form only: tests/flows/test_kill.py kills in the short one")
    times, slowest, promised = 5, 0.0, 0
    loop = asyncio.get_running_loop()
    async with (
        CountingSink() as sink,
        nodes(tmp_path, postgres_url, mx=sink.port, count=2, **PATIENT) as cluster,
    ):
        for turn in range(times):
            promised += await _all_before_the_dot(cluster, sink, turn)
            dies = len(cluster.processes) - 1
            cluster.signal(dies, signal.SIGKILL)
            began = loop.time()
            await cluster.processes[dies].wait()
            sink.go.set()
            await cluster.delivered(promised)
            slowest = max(slowest, sink.began[-1] - began)
            if turn < times - 1:
                await cluster.start()
        assert {copy.recipient for copy in sink.copies} == {
            to for turn in range(times) for to in to_all(f"turn{turn}", 2 * EACH)
        }
        assert slowest <= LEASE + 5
    seen(f"{times} nodes killed with {EACH} under way: taken over after {slowest:.1f} s at most")


async def test_four_nodes_keep_to_a_provider_s_rate_together(
    tmp_path: Path, postgres_url: str, amount: Amount, seen: Callable[[str], None]
) -> None:
    if not amount.full:
        pytest.skip("the full form only: tests/sender/test_shared_pacing.py has the short one")
    seconds = 30.0
    settings = {"CAROM_PROVIDERS": f'{{"other": {{"rate": "{PER_SECOND} per 1s"}}}}'}
    async with (
        CountingSink() as sink,
        nodes(tmp_path, postgres_url, mx=sink.port, count=4, **settings) as cluster,
    ):
        await cluster.submit(to_all("u", int((seconds + 4 * SETTLING) * PER_SECOND)))
        await until(lambda: _share_alike(cluster.engine.store), PATIENCE)
        await asyncio.sleep(SETTLING)
        began, held = asyncio.get_running_loop().time(), await cluster.holders()
        await asyncio.sleep(seconds)
        sent = sum(began <= at < began + seconds for at in sink.began)
        held |= await cluster.holders()
    rate = sent / seconds
    seen(
        f"4 processes, {PER_SECOND}/s allowed: {rate:.2f}/s over {seconds:g} s "
        f"({100 * (rate / PER_SECOND - 1):+.1f} %) on {os.cpu_count()} cores"
    )
    assert abs(rate / PER_SECOND - 1) <= 0.05


async def _share_alike(store: Store) -> bool:
    shares = select(pacing_nodes.c.shares)
    found = await store.read(lambda tx: list(tx.execute(shares).scalars()))
    parts = [share[1] for row in found for share in row.values()]
    return len(parts) == 4 and min(parts) > 0.2


async def _is(what: Callable[[], bool]) -> None:
    async def ask() -> bool:
        return what()

    await until(ask, PATIENCE)

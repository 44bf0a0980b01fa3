"""Several processes that send: real ones, killed and told to stop as in life."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
import pytest
from sqlalchemy import Connection, select

from analysis.lookup import accounts
from analysis.schema import attempts
from analysis.store import Store, open_store
from sender import leases
from tests.flows import house
from tests.flows.house import SHOP, environment, set_up
from tests.flows.mortal import Fate, Mortal, mortal
from tests.peers.counting_sink import CountingSink
from tests.servers import LOOPBACK, free_port

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

AT_ONCE = 8
"""Conversations that two processes share: four each."""
PATIENCE = 120.0
"""Seconds: processes start slowly where many do."""


async def until(ask: Callable[[], Awaitable[bool]]) -> None:
    await house.until(ask, PATIENCE)


@dataclass(frozen=True, slots=True)
class Works:
    """A service of two processes, its sink and its books."""

    sink: CountingSink
    service: Mortal
    store: Store
    client: httpx.AsyncClient
    metrics: int

    async def is_up(self) -> bool:
        try:
            return (await self.client.get("/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    async def submit(self, count: int) -> None:
        letters = [
            {"from": SHOP, "to": [f"user{n}@known.example"], "subject": "Hello", "text": "Hello.\n"}
            for n in range(count)
        ]
        answer = await self.client.post("/v1/messages/batch", json={"messages": letters})
        assert answer.status_code in (200, 202), answer.text

    async def all_places_are_taken(self) -> set[int]:
        """Wait until both processes hold all they may; the pids of those that hold."""

        async def taken() -> bool:
            return self.sink.held == AT_ONCE

        await until(taken)
        return await self.holders()

    async def holders(self) -> set[int]:
        return {int(node.split("/")[1]) for node in await self.store.read(leases.holders)}

    async def become(self, **states: int) -> None:
        async def are() -> bool:
            found = await self.store.read(accounts)
            return all(found[state] == count for state, count in states.items())

        await until(are)

    async def counted(self, sample: str) -> float:
        """A sample of the one scrape, over all of its labels."""
        answer = await self.client.get(f"http://{LOOPBACK}:{self.metrics}/metrics")
        found = re.findall(rf"^{sample}(?:{{.*}})? (\S+)$", answer.text, re.MULTILINE)
        return sum(map(float, found))

    @property
    def pid(self) -> int:
        assert self.service.fate.process is not None
        return self.service.fate.process.pid


@asynccontextmanager
async def works(folder: Path, database_url: str) -> AsyncIterator[Works]:
    config, key = set_up(folder)
    api, metrics = free_port(), free_port()
    store = open_store(database_url)
    client = httpx.AsyncClient(
        base_url=f"http://{LOOPBACK}:{api}",
        headers={"Authorization": f"Bearer {key}"},
        trust_env=False,
        timeout=60,
    )
    async with CountingSink() as sink, client:
        settings = environment(database_url, mx=sink.port, api=api) | {
            "CAROM_API__METRICS_LISTEN": f"{LOOPBACK}:{metrics}",
            "CAROM_SENDER__PROCESSES": "2",
            "CAROM_SENDER__CONCURRENCY": str(AT_ONCE),
            "CAROM_SENDER__SITE_CONNECTIONS": str(AT_ONCE),
        }
        async with mortal(folder, config, settings, Fate([])) as service:
            found = Works(sink, service, store, client, metrics)
            await until(found.is_up)
            yield found
        await store.close()


def runs(pid: int) -> bool:
    """Whether it does, and is not just left in the table by whoever should have buried it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


async def ends(pid: int) -> None:
    async def is_gone() -> bool:
        return not runs(pid)

    await until(is_gone)


def nodes(tx: Connection) -> set[str]:
    return set(tx.execute(select(attempts.c.node)).scalars())


async def test_two_processes_share_places_and_work_and_count_as_one(
    tmp_path: Path, database_url: str
) -> None:
    async with works(tmp_path, database_url) as here:
        here.sink.gate.clear()
        await here.submit(40)
        ours, other = sorted(await here.all_places_are_taken(), key=lambda pid: pid != here.pid)
        assert ours == here.pid
        here.sink.gate.set()
        await here.become(delivered=40)
        assert len({copy.recipient for copy in here.sink.copies}) == len(here.sink.copies) == 40
        assert len(await here.store.read(nodes)) == 2

        async def all_counted() -> bool:
            return await here.counted("carom_deliveries_total") == 40

        await until(all_counted)
        assert await here.counted("carom_time_to_accept_seconds_count") == 40
        assert await here.counted("carom_queue_depth") == 0
    assert not runs(other)
    assert "Traceback" not in here.service.said()


async def test_a_child_that_is_killed_loses_nothing_and_is_replaced(
    tmp_path: Path, database_url: str
) -> None:
    async with works(tmp_path, database_url) as here:
        here.sink.gate.clear()
        await here.submit(40)
        [child] = await here.all_places_are_taken() - {here.pid}
        os.kill(child, signal.SIGKILL)

        async def another_works() -> bool:
            holders = await here.holders()
            return child not in holders and len(holders) == 2

        await until(another_works)
        here.sink.gate.set()
        await here.become(delivered=40)
        twice = len(here.sink.copies) - len({copy.recipient for copy in here.sink.copies})
        assert twice <= AT_ONCE // 2, "only what was under way there may have been taken twice"
        assert "a sending process ended" in here.service.said()


async def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    async with works(tmp_path, f"sqlite:///{tmp_path / 'carom.db'}") as here:
        here.sink.gate.clear()
        await here.submit(20)
        [child] = await here.all_places_are_taken() - {here.pid}
        os.kill(here.pid, signal.SIGKILL)
        here.sink.gate.set()
        await ends(child)
        await until(here.is_up)  # started again, as systemd would
        await here.become(delivered=20)
        twice = len(here.sink.copies) - len({copy.recipient for copy in here.sink.copies})
        assert twice <= AT_ONCE // 2, "the child brought its own to an end"


async def test_one_signal_ends_them_all_in_order(tmp_path: Path) -> None:
    async with works(tmp_path, f"sqlite:///{tmp_path / 'carom.db'}") as here:
        here.sink.gate.clear()
        await here.submit(20)
        [child] = await here.all_places_are_taken() - {here.pid}
        os.kill(child, signal.SIGTERM)  # systemd tells every process of a service
        asyncio.get_running_loop().call_later(0.3, here.sink.gate.set)
    assert not runs(child)
    assert len(here.sink.copies) == AT_ONCE, "what was under way came to its end, and no more"
    assert "a sending process ended" not in here.service.said()

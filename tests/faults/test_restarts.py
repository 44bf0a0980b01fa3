"""R6: PostgreSQL is restarted at once, again and again, while Carom sends: nothing is lost."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.lookup import accounts
from analysis.store import StoreUnavailable
from tests.amounts import Amount
from tests.faults.traffic import Clients, people
from tests.flows.house import carom_house, until
from tests.peers.counting_sink import CountingSink
from tests.servers.postgres import Postgres

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("error::ResourceWarning"),
]

LEASE = 5.0


async def test_no_restart_of_the_database_loses_anything(
    durable_postgres_server: Postgres, tmp_path: Path, amount: Amount, seen: Callable[[str], None]
) -> None:
    server = durable_postgres_server
    url = server.url(await asyncio.to_thread(server.create_database))
    restarts, each_time = amount(2, 10), amount(60, 2_000)
    recovers = 5.0 if amount.full else 60.0  # seconds; the full form has the machine alone
    slowest = 0.0
    async with (
        CountingSink() as sink,
        carom_house(
            tmp_path, url, mx=sink.port, troubled=True, CAROM_SENDER__LEASE=f"{LEASE:g}s"
        ) as carom,
    ):
        clients = Clients(carom)
        for turn in range(restarts):
            sending = asyncio.create_task(clients.insist_each(people(each_time, f"turn{turn}x")))
            taken = len(sink.copies) + each_time // 3
            await until(lambda taken=taken: _at_least(sink, taken), 600.0)  # type: ignore[misc]
            await asyncio.to_thread(server.crash)
            await asyncio.to_thread(server.recover)
            slowest = max(slowest, await _works_again(clients, turn))
            await sending
        books = await clients.settled(600.0)  # the queue is long by now
        assert books["delivered"] == sum(books.values()) == restarts * (each_time + 1)
        copies = Counter(copy.recipient for copy in sink.copies)
        assert len(copies) == restarts * (each_time + 1)
        extra = copies.total() - len(copies)
        assert extra <= restarts * carom.engine.settings.sender.concurrency
        assert slowest <= recovers
    seen(
        f"{restarts} restarts in {len(copies)} sends: lost 0, copies twice {extra}, "
        f"sending again after {slowest:.1f} s"
    )


async def _at_least(sink: CountingSink, count: int) -> bool:
    return len(sink.copies) >= count


async def _works_again(clients: Clients, turn: int) -> float:
    """Seconds until a new message is taken and one of those that wait is recorded as delivered;
    how long the new one waits for its turn behind them is the machine's affair."""
    began, before = time.monotonic(), await until(lambda: _delivered(clients))
    await clients.insist(f"after{turn}@known.example")

    async def one_more() -> bool:
        return (await _delivered(clients) or 0) > (before or 0)

    await until(one_more)
    return time.monotonic() - began


async def _delivered(clients: Clients) -> int | None:
    """How many are, once the database says."""
    try:
        return (await clients.carom.books(accounts))["delivered"]
    except StoreUnavailable:
        return None

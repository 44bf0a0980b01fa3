"""What a message costs PostgreSQL on S servers: a real run, played again over S databases.

    python -m tests.bench.bench_shards [--messages 4000] [--servers 1 2 4 8] [--rounds 3] [--keyed]

One Carom takes and sends the messages (4 kB, signed twice, to twenty sites) on one PostgreSQL with
fsync, and its transactions are recorded (`tests.flows.trace`).  They are played again over S
databases of the same server (`tests.flows.replay`), one after the other: processor time of all its
processes, write-ahead log and transactions in two phases, a message.  For how long servers wait for
one another cannot be seen so, nor what another engine's own layer costs.

`spread`: rows lie by their keys, so that a batch is a transaction on many servers.  `in turn`: what
was submitted together lies on one server and is claimed there alone, as if nodes worked for one
server at a time; rows of people lie by their keys even so.  `--keyed`: each message comes with an
Idempotency-Key.  The log has no images of pages (`full_page_writes`), of which a short run over
many databases writes too many; what comes first warms the servers up and is not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg

from carom.bench.send import sending_to
from sender.idempotency import Idempotency
from sender.intake import Order
from tests import moulds
from tests.bench.bench_nodes import SITES, ms_of_server, order_to, sink
from tests.flows.house import House, carom_house, until
from tests.flows.replay import Replay, connected
from tests.flows.spread import Spread, by_key
from tests.flows.trace import Transaction, recorded
from tests.servers.postgres import Postgres

WARM = 1_000
"""Messages before those that are counted."""
TOGETHER = 500
"""Messages that lie on one server before it is the next one's turn."""
PATIENCE = 300.0


@dataclass(frozen=True, slots=True)
class Cost:
    """A message's."""

    cpu: float  # ms of the server
    wal: float  # octets
    transactions: float
    statements: float
    two_phase: float
    told: float  # two phases where every statement that writes counts, whether rows changed or not
    servers: float  # that a transaction goes to


async def _recorded(url: str, messages: int, *, keyed: bool) -> tuple[list[Transaction], int]:
    """A run, and the number of transactions in it that only warm up."""
    with tempfile.TemporaryDirectory() as folder, recorded() as trace:
        async with sink() as port:
            settings = sending_to(port)
            async with carom_house(Path(folder), url, mx=port, **settings) as carom:
                await _deliver(carom, url, range(WARM), keyed=keyed)
                warm = len(trace)
                await _deliver(carom, url, range(WARM, WARM + messages), keyed=keyed)
                return trace[:], warm


async def _deliver(carom: House, url: str, numbers: range, *, keyed: bool) -> None:
    accept = carom.engine.intake.accept
    await asyncio.gather(*(accept(_order(number, keyed=keyed)) for number in numbers))
    async with connected([url]) as [looking]:  # not heard: it is not the run's
        await until(lambda: _delivered(looking, numbers.stop), PATIENCE)


def _order(number: int, *, keyed: bool) -> Order:
    made = order_to(number, None, SITES)
    if not keyed:
        return made
    key = hashlib.sha256(str(number).encode()).digest()
    return replace(made, idempotency=Idempotency(key, key))


async def _delivered(looking: asyncpg.Connection, count: int) -> bool:
    await asyncio.sleep(0.2)
    asked = "SELECT count(*) FROM deliveries WHERE state = 'delivered'"
    return bool(await looking.fetchval(asked) == count)


class InTurn:
    """The place of keys where what was submitted together lies together."""

    def __init__(self, trace: Sequence[Transaction], servers: int) -> None:
        self._else = by_key(servers)
        self._known: dict[str, int] = {}
        said = [one for transaction in trace for one in transaction]
        messages = (row[0] for one in said if one.text.startswith(_MESSAGES) for row in one.rows)
        for number, message in enumerate(messages):
            self._known[message] = number // TOGETHER % servers
        for one in said:
            if one.text.startswith(_DELIVERIES):
                self._known |= {row[0]: self._known[row[1]] for row in one.rows}

    def __call__(self, key: Any) -> int:
        found = self._known.get(key) if isinstance(key, str) else None
        return self._else(key) if found is None else found


_MESSAGES = "INSERT INTO messages (id,"
_DELIVERIES = "INSERT INTO deliveries (id, message_id,"


async def _cost(
    server: Postgres,
    urls: Sequence[str],
    trace: Sequence[Transaction],
    warm: int,
    messages: int,
    spread: Spread,
) -> Cost:
    async with connected(urls) as servers:
        replay = Replay(servers, spread)
        await replay.play(trace[:warm])
        before = ms_of_server(server), await _log(servers[0])
        found = await replay.play(trace[warm:])
        assert not found.astray
        after = ms_of_server(server), await _log(servers[0])
    return Cost(
        cpu=(after[0] - before[0]) / messages,
        wal=(after[1] - before[1]) / messages,
        transactions=found.transactions / messages,
        statements=found.statements / messages,
        two_phase=len(found.two_phase) / messages,
        told=found.told / messages,
        servers=sum(n * count for n, count in found.touched.items()) / found.transactions,
    )


async def _log(server: asyncpg.Connection) -> float:
    return float(await server.fetchval("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"))


def show(name: str, servers: int, rounds: Sequence[Cost]) -> str:
    """The medians of a few rounds, as a line of docs/scale.md."""

    def middle(of: str) -> float:
        return statistics.median(getattr(one, of) for one in rounds)

    return (
        f"| {servers} | {name} | {middle('cpu'):.2f} ms | {middle('wal') / 1_000:.1f} kB"
        f" | {middle('statements'):.2f} | {middle('transactions'):.3f} | {middle('servers'):.1f}"
        f" | {middle('two_phase'):.3f} | {middle('told'):.3f} |"
    )


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--messages", type=int, default=4_000)
    wanted.add_argument("--servers", type=int, nargs="+", default=[1, 2, 4, 8])
    wanted.add_argument("--rounds", type=int, default=3)
    wanted.add_argument("--keyed", action="store_true")
    given = wanted.parse_args()
    with Postgres(durable=True) as server:
        server.execute("ALTER SYSTEM SET full_page_writes = off")
        server.execute("SELECT pg_reload_conf()")
        empty = server.create_database()
        moulds.upgrade(server.url(empty))
        url = server.url(server.create_database(empty))
        trace, warm = asyncio.run(_recorded(url, given.messages, keyed=given.keyed))
        found: dict[tuple[int, str], list[Cost]] = {}
        for _ in range(given.rounds):
            for count in given.servers:
                for name in ("spread", "in turn"):
                    spread = Spread(count)
                    if name == "in turn":
                        spread = Spread(count, InTurn(trace, count), in_turn=True)
                    names = [server.create_database(empty) for _ in range(count)]
                    urls = [server.url(each) for each in names]
                    cost = asyncio.run(_cost(server, urls, trace, warm, given.messages, spread))
                    found.setdefault((count, name), []).append(cost)
                    print(show(name, count, [cost]), f"load {os.getloadavg()[0]:.1f}", flush=True)
                    for each in names:
                        server.drop_database(each)
        print("medians:")
        for (count, name), rounds in found.items():
            print(show(name, count, rounds))


if __name__ == "__main__":
    main()

"""What a message costs with 1, 2 and 4 sender nodes on one PostgreSQL, and what a claim takes.

    python -m tests.bench.bench_nodes [--messages 20000 | --each 150] [--nodes 1 2 4] [--rounds 3]

Every message (4 kB, two signatures) is submitted before, to fall due at one instant; the nodes wait
for it.  From there until the last is delivered: processor time of the nodes and of PostgreSQL (all
its processes), write-ahead log, and the time in which PostgreSQL answers the claim's own question
(`SKIP LOCKED`), as its log tells of a sample.  On fewer cores than nodes the rate says nothing,
and nodes that share what one could do claim and record fewer at a time: with `--each` the receiver
takes so many a second from each node, twenty seconds long, so that every node has the same to do.
Rounds go through all counts of nodes in turn, since a machine that is shared is quicker at times;
the medians at the end are what counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import text

from analysis.address import parse_mailbox
from analysis.lookup import accounts
from carom.bench.send import order, sending_to
from sender.compose import Draft
from sender.intake import Order
from tests import moulds
from tests.flows.house import SHOP, until
from tests.flows.nodes import PATIENCE, Cluster, nodes
from tests.servers.postgres import Postgres

PER_SECOND = 800
"""Submitted at least, for the instant at which all fall due."""
TICK = os.sysconf("SC_CLK_TCK")
SAMPLE = 0.2
SECONDS = 20
SITES = 20
_CLAIM = re.compile(
    r"duration: ([0-9.]+) ms +execute [^:]*: SELECT deliveries\.id(?:(?!duration:).)*?SKIP LOCKED"
    r"(?:(?!duration:).)*?Parameters: \$1 = 'queued', \$2 = '1'",  # of the class that waits
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Cost:
    nodes: int
    messages: int
    seconds: float
    of_nodes: float  # ms of processor time a message
    of_server: float
    wal: float  # octets a message
    commits: float  # a message
    claims: tuple[float, ...]  # ms
    taking: tuple[float, float]  # ms of the server and octets of log, to take a message in

    @property
    def cpu(self) -> float:
        return self.of_nodes + self.of_server


async def cost(
    server: Postgres, url: str, sink: int, count: int, messages: int, sites: int, **more: str
) -> Cost:
    """One run on an empty database."""
    settings = sending_to(sink) | {"CAROM_LOG__LEVEL": "info"} | more
    with tempfile.TemporaryDirectory() as folder:
        async with nodes(Path(folder), url, mx=sink, count=count, **settings) as cluster:
            due = time.time() + messages / PER_SECOND + 20
            accept, begin = cluster.engine.intake.accept, await _reading(server, cluster)
            for start in range(0, messages, 500):
                some = range(start, min(start + 500, messages))
                await asyncio.gather(*(accept(order_to(n, due, sites)) for n in some))
            taken = await _reading(server, cluster)
            await until(lambda: _serving(cluster, count), PATIENCE)
            assert time.time() < due, "submitting took too long"
            await asyncio.sleep(due - time.time() - 0.5)
            read = len((server.home / "log").read_bytes())
            before = await _reading(server, cluster)
            began = time.monotonic()
            await until(lambda: _delivered(cluster, messages), PATIENCE)
            took = time.monotonic() - began
            after = await _reading(server, cluster)
            log = (server.home / "log").read_bytes()[read:].decode(errors="replace")
    parts = [(b - a) / messages for a, b in zip(before, after, strict=True)]
    claims = tuple(float(found[1]) for found in _CLAIM.finditer(log))
    taking = ((taken[1] - begin[1]) / messages, (taken[2] - begin[2]) / messages)
    return Cost(count, messages, took, parts[0], parts[1], parts[2], parts[3], claims, taking)


def order_to(number: int, due: float | None, sites: int) -> Order:
    """From a domain with keys; behind a fixed host each domain is a site of its own."""
    made, to = order(number), parse_mailbox(f"user{number}@d{number % sites}.example")
    assert isinstance(made.message, Draft)
    draft = replace(made.message, from_=parse_mailbox(SHOP), to=(to,))
    return replace(made, message=draft, recipients=(to.address,), send_at=due)


async def _reading(server: Postgres, cluster: Cluster) -> tuple[float, float, float, float]:
    """ms of the nodes and of the server, octets of WAL, commits; all since they began."""
    of_nodes = sum(_ms(one.pid) for one in cluster.processes)
    wal = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"
    commits = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
    written = await cluster.engine.store.read(lambda tx: float(tx.execute(text(wal)).scalar_one()))
    done = await cluster.engine.store.read(lambda tx: float(tx.execute(text(commits)).scalar_one()))
    return of_nodes, ms_of_server(server), written, done


def ms_of_server(server: Postgres) -> float:
    """The postmaster, with the children it has buried, and those that live."""
    postmaster = int((server.home / "data" / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return _ms(postmaster, buried=True) + sum(_ms(int(child)) for child in children)


def _ms(pid: int, *, buried: bool = False) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15] if buried else fields[11:13])) * 1_000 / TICK


async def _serving(cluster: Cluster, count: int) -> bool:
    return cluster.log.read_text(errors="replace").count("carom.serving") >= count


async def _delivered(cluster: Cluster, count: int) -> bool:
    await asyncio.sleep(0.2)  # counting costs the server, too
    return (await cluster.engine.store.read(accounts))["delivered"] == count


@asynccontextmanager
async def sink() -> AsyncIterator[int]:
    """A receiver in a process of its own; its port."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.peers.fast_sink"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield int(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()


def show(found: Cost) -> str:
    claims = sorted(found.claims) or [0.0]
    return (
        f"{found.nodes} nodes: {found.messages / found.seconds:.0f}/s, "
        f"CPU a message {found.cpu:.2f} ms ({found.of_nodes:.2f} nodes, {found.of_server:.2f} "
        f"server), {found.wal / 1_000:.1f} kB of log, "
        f"{found.commits:.3f} commits; claim's question p50 {statistics.median(claims):.1f} ms, "
        f"p95 {claims[len(claims) * 95 // 100]:.1f} ms of {len(claims)}; "
        f"taking in: {found.taking[0]:.2f} ms of the server, {found.taking[1] / 1_000:.1f} kB"
    )


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--messages", type=int, default=20_000)
    wanted.add_argument("--each", type=int, help="messages a second of each node")
    wanted.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 4])
    wanted.add_argument("--rounds", type=int, default=3)
    given = wanted.parse_args()
    with Postgres(durable=True) as server:
        server.execute("ALTER SYSTEM SET log_min_duration_sample = 0")
        server.execute(f"ALTER SYSTEM SET log_statement_sample_rate = {SAMPLE}")
        server.execute("SELECT pg_reload_conf()")
        runs: dict[int, list[Cost]] = {count: [] for count in given.nodes}
        for _ in range(given.rounds):
            for count in given.nodes:
                url = server.url(server.create_database()).replace("+asyncpg", "")
                moulds.upgrade(url)
                found = asyncio.run(_with_sink(server, url, count, given.messages, given.each))
                runs[count].append(found)
                print(f"{show(found)}; load {os.getloadavg()[0]:.1f}", flush=True)
        print(medians(runs))


def medians(runs: Mapping[int, Sequence[Cost]]) -> str:
    """A line for each count of nodes, against the first."""
    cpu = {count: statistics.median(run.cpu for run in some) for count, some in runs.items()}
    first = next(iter(cpu.values()))
    return "\n".join(
        f"{count} nodes, median of {len(runs[count])}: CPU a message {ms:.2f} ms "
        f"({100 * (ms / first - 1):+.0f} %)"
        for count, ms in cpu.items()
    )


async def _with_sink(
    server: Postgres, url: str, count: int, messages: int, each: int | None
) -> Cost:
    async with sink() as port:
        if each is None:
            return await cost(server, url, port, count, messages, SITES)
        rate = {"other": {"rate": f"{each * count} per 1s"}}
        settings = {"CAROM_PROVIDERS": json.dumps(rate)}
        return await cost(server, url, port, count, each * count * SECONDS, 1, **settings)


if __name__ == "__main__":
    main()

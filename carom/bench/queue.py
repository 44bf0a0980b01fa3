"""`carom bench queue`: a million deliveries wait; not part of `all`, filling takes a while."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from carom.bench import postgres, stage
from carom.bench.backlog import full_engine
from carom.bench.figure import Figure, share
from carom.bench.send import sending_to
from carom.engine import Engine
from carom.runtime import run
from sender import queue

WAITING = 1_000_000
ALMOST_NONE = 25_000
SECONDS = 10.0
MOST_OF_IT = 0.8
"""Of a short queue: from then on there is not enough to do for everybody."""
CLAIMS = 300
SCRAPES = 20


@dataclass(frozen=True, slots=True)
class Seen:
    first: float  # seconds from the start to the first delivery
    rate: float  # deliveries a second from a second later on
    claims: list[float]  # seconds of each
    scrapes: list[float]  # seconds of each


def bench() -> list[Figure]:
    """Start to first delivery, throughput against a short queue, claim p99, memory; on both."""
    with stage.sink() as port:
        if port is None:
            return [Figure("queue", "deliveries", 0.0, "/s", "smtp-sink", None)]
        figures = _on(port, "SQLite")
        with postgres.database() as url:
            if url is None:
                note = f"no PostgreSQL here, and {postgres.VARIABLE} names none; skipped"
                return [*figures, Figure("queue", "deliveries, PostgreSQL", 0.0, "/s", note=note)]
            return figures + _on(port, "PostgreSQL", url)


def _on(port: int, name: str, url: str | None = None) -> list[Figure]:
    short = run(_measure(port, ALMOST_NONE, url))
    full = run(_measure(port, WAITING, url))
    wait = f"{name}, {WAITING:,} wait"
    return [
        Figure("queue", f"start to first delivery, {wait}", full.first, "s"),
        Figure("queue", f"deliveries, {wait}", full.rate, "/s", "a short queue", short.rate),
        Figure("queue", f"claim of 100, p99, {wait}", 1_000 * share(full.claims, 0.99), "ms"),
        Figure("queue", f"scrape, p95, {wait}", 1_000 * share(full.scrapes, 0.95), "ms"),
        Figure("queue", f"resident memory, at most, {wait}", megabytes(), "MB"),
    ]


async def _measure(port: int, waiting: int, url: str | None) -> Seen:
    async with full_engine(waiting, url, **sending_to(port)) as engine:
        started = time.perf_counter()
        async with stage.sending(engine):
            await delivered(engine, 1)
            first = time.perf_counter() - started
            await asyncio.sleep(1.0)
            before, at = stage.delivered(engine), time.perf_counter()
            after = await delivered(engine, int(waiting * MOST_OF_IT), within=SECONDS)
            rate = (after - before) / (time.perf_counter() - at)
        return Seen(first, rate, await claims(engine, CLAIMS), await _scrapes(engine))


async def delivered(engine: Engine, count: int, *, within: float = 60.0) -> int:
    """How many were delivered when it were enough, or time was up."""
    give_up = time.monotonic() + within

    async def enough() -> bool:
        return stage.delivered(engine) >= count or time.monotonic() > give_up

    await stage.until(enough)
    return stage.delivered(engine)


async def claims(engine: Engine, count: int) -> list[float]:
    """Seconds of so many, with nothing else to do; what is claimed stays so."""
    waits = []
    for _ in range(count):
        began = time.perf_counter()
        found = await engine.store.write(
            lambda tx: queue.claim(tx, node="bench", now=time.time(), lease=600.0, limit=100)
        )
        if found:
            waits.append(time.perf_counter() - began)
    return waits or [0.0]


async def _scrapes(engine: Engine) -> list[float]:
    """With nothing else to do: gauges read from the database, and everything written out."""
    waits = []
    for _ in range(SCRAPES):
        began = time.perf_counter()
        engine.metrics.observe(await engine.gauges())
        engine.metrics.exposition()
        waits.append(time.perf_counter() - began)
    return waits


def megabytes() -> float:
    """The most that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) / 1_024
    unit = 1_048_576 if sys.platform == "darwin" else 1_024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit

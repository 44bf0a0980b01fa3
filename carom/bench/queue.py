"""`carom bench queue`: a million deliveries wait; not part of `all`, filling takes a while."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from pathlib import Path

from analysis.lookup import accounts
from carom.bench import stage
from carom.bench.backlog import fill
from carom.bench.figure import Figure, share
from carom.bench.send import sending_to
from carom.engine import Engine
from carom.runtime import run
from sender import queue

WAITING = 1_000_000
ALMOST_NONE = 8_000
SECONDS = 10.0
CLAIMS = 100


def bench() -> list[Figure]:
    """Start to first delivery, throughput against a short queue, claim p99, memory."""
    with stage.sink() as port:
        if port is None:
            return [Figure("queue", "deliveries", 0.0, "/s", "smtp-sink", None)]
        _, short, _ = run(_measure(port, ALMOST_NONE))
        first, rate, claims = run(_measure(port, WAITING))
    return [
        Figure("queue", f"start to first delivery, {WAITING:,} wait", first, "s"),
        Figure("queue", f"deliveries, {WAITING:,} wait", rate, "/s", "a short queue", short),
        Figure("queue", "claim of 100, p99", 1_000 * share(claims, 0.99), "ms"),
        Figure("queue", "resident memory, at most", _megabytes(), "MB"),
    ]


async def _measure(port: int, waiting: int) -> tuple[float, float, list[float]]:
    """Seconds to the first delivery, deliveries a second from then on, seconds of each claim."""
    async with stage.engine(**sending_to(port)) as engine:
        await fill(engine, waiting)
        started = time.perf_counter()
        async with stage.sending(engine):
            await stage.until(lambda: _delivered_any(engine))
            first = time.perf_counter() - started
            before, at = await _delivered(engine), time.perf_counter()
            await asyncio.sleep(min(SECONDS, waiting / 4_000))
            rate = (await _delivered(engine) - before) / (time.perf_counter() - at)
        return first, rate, await _claims(engine)


async def _delivered(engine: Engine) -> int:
    return (await engine.store.read(accounts))["delivered"]


async def _delivered_any(engine: Engine) -> bool:
    return await _delivered(engine) > 0


async def _claims(engine: Engine) -> list[float]:
    """With nothing else to do; what is claimed stays so."""
    waits = []
    for _ in range(CLAIMS):
        began = time.perf_counter()
        await engine.store.write(
            lambda tx: queue.claim(tx, node="bench", now=time.time(), lease=600.0, limit=100)
        )
        waits.append(time.perf_counter() - began)
    return waits


def _megabytes() -> float:
    """The most that this process has held, its filling of the queue included."""
    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) / 1_024
    unit = 1_048_576 if sys.platform == "darwin" else 1_024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit

"""`carom bench submit`: durable acceptance, against the disk's own speed of doing it."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time

from carom.bench import stage
from carom.bench.figure import Figure
from carom.bench.send import order

MESSAGES = 4_000
AT_ONCE = 500
SYNCS = 200


def bench() -> list[Figure]:
    """Messages accepted per second in a crowd and one by one, against one fsync a message."""
    syncs = syncs_per_second()
    crowd = asyncio.run(_accepted_per_second(MESSAGES, AT_ONCE))
    alone = asyncio.run(_accepted_per_second(300, 1))
    return [
        Figure("submit", "accepted, 500 at once", crowd, "/s", "one fsync a message", syncs),
        Figure("submit", "accepted, one by one", alone, "/s", "one fsync a message", syncs),
    ]


def syncs_per_second() -> float:
    """4 kB appends made durable one by one."""
    with tempfile.TemporaryFile() as file:
        started = time.perf_counter()
        for _ in range(SYNCS):
            file.write(b"x" * 4_096)
            file.flush()
            os.fsync(file.fileno())
        return SYNCS / (time.perf_counter() - started)


async def _accepted_per_second(count: int, at_once: int) -> float:
    async with stage.engine() as engine:
        turns = asyncio.Semaphore(at_once)

        async def one(number: int) -> None:
            async with turns:
                await engine.intake.accept(order(number))

        await one(count)
        started = time.perf_counter()
        await asyncio.gather(*(one(number) for number in range(count)))
        return count / (time.perf_counter() - started)

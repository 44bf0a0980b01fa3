"""`carom bench submit`: durable acceptance, against the disk's own speed of doing it."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time

from carom.bench import stage
from carom.bench.figure import Figure, share
from carom.bench.send import order
from carom.runtime import run

MESSAGES = 4_000
AT_ONCE = 500
SYNCS = 200
BATCHES = 100
IN_BATCH = 100


def bench() -> list[Figure]:
    """Messages accepted per second in a crowd, one by one and over HTTP; one fsync a message."""
    syncs = syncs_per_second()
    crowd = run(_accepted_per_second(MESSAGES, AT_ONCE))
    alone = run(_accepted_per_second(300, 1))
    batches, singles = run(_over_http())
    return [
        Figure("submit", "accepted, 500 at once", crowd, "/s", "one fsync a message", syncs),
        Figure("submit", "accepted, one by one", alone, "/s", "one fsync a message", syncs),
        Figure("submit", "HTTP batches of 100", batches, "/s", "one fsync a message", syncs),
        Figure("submit", "HTTP, one each, p99 at 200/s", 1_000 * share(singles, 0.99), "ms"),
    ]


async def _over_http() -> tuple[float, list[float]]:
    """Messages a second in batches; seconds that single ones took at a steady rate."""
    letter = {
        "from": "shop@bench.example",
        "to": ["user{n}@d.example"],
        "subject": "Your receipt",
        "text": "Thank you for your order. It will be with you tomorrow.\n" * 10,
    }
    batch = json.dumps({"messages": [letter] * IN_BATCH})
    async with stage.engine() as engine, stage.service(engine) as ask:
        started = time.perf_counter()
        await ask("POST", "/v1/messages/batch", batch, rate=0, count=BATCHES)
        rate = BATCHES * IN_BATCH / (time.perf_counter() - started)
        return rate, await ask("POST", "/v1/messages", json.dumps(letter), rate=200, count=1_000)


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

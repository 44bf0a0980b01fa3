"""A sender that starts before a full queue, in a process of its own, whose memory is then its own.

    python -m tests.faults.full_queue PORT WAITING DATABASE_URL

PORT is that of an SMTP sink.  Prints one JSON object, `Seen`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass

from analysis.lookup import accounts
from carom import logs
from carom.bench import stage
from carom.bench.backlog import full_engine
from carom.bench.figure import share
from carom.bench.queue import claims, delivered, megabytes
from carom.bench.send import sending_to

ENOUGH = 2_000
CLAIMS = 50


@dataclass(frozen=True, slots=True)
class Seen:
    first: float  # seconds from the start to the first delivery
    claim: float  # seconds of a claim of 100, p99
    memory: float  # MB, at most
    books: dict[str, int]  # deliveries by state, with those that were claimed at the end


async def measure(port: int, waiting: int, url: str) -> Seen:
    """Start, deliver `ENOUGH`, stop; then claim, with nothing else to do."""
    async with full_engine(waiting, url, **sending_to(port)) as engine:
        started = time.perf_counter()
        async with stage.sending(engine):
            await delivered(engine, 1)
            first = time.perf_counter() - started
            await delivered(engine, ENOUGH)
        waits = await claims(engine, CLAIMS)
        return Seen(first, share(waits, 0.99), megabytes(), await engine.store.read(accounts))


if __name__ == "__main__":
    logs.configure("error", "console")
    found = asyncio.run(measure(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
    print(json.dumps(asdict(found)))

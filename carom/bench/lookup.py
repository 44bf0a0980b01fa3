"""`carom bench lookup`: "may I write to this address?" over HTTP with a million suppressed ones."""

from __future__ import annotations

import time

from sqlalchemy import Connection, insert

from analysis.address import address_hash
from analysis.schema import suppressions
from analysis.suppression import Question, ask
from carom.bench import stage
from carom.bench.figure import Figure, share
from carom.engine import Engine
from carom.runtime import run

ROWS = 1_000_000
CHUNK = 20_000
RATE = 200
COUNT = 2_000
BULK = 1_000


def bench() -> list[Figure]:
    """Latency of single lookups at 200/s, and the store's own bulk rate."""
    waits, bulk = run(_measure())
    at = f"at {RATE}/s, {ROWS:,} rows"
    return [
        Figure("lookup", f"single over HTTP, p50 {at}", 1_000 * share(waits, 0.50), "ms"),
        Figure("lookup", f"single over HTTP, p99 {at}", 1_000 * share(waits, 0.99), "ms"),
        Figure("lookup", "bulk of 1,000 in the store", bulk, "addresses/s"),
    ]


async def _measure() -> tuple[list[float], float]:
    async with stage.engine() as engine:
        for start in range(0, ROWS, CHUNK):
            await engine.store.write(lambda tx, start=start: _fill(tx, start))  # type: ignore[misc]
        async with stage.service(engine) as ask_it:
            path = "/v1/suppressions/user{n}@example.net"
            waits = await ask_it("GET", path, rate=RATE, count=COUNT)
        return waits, await _bulk(engine)


def _fill(tx: Connection, start: int) -> None:
    rows = [
        {
            "address_hash": address_hash(f"user{number}@example.net"),
            "stream": "*",
            "reason": "hard_bounce",
            "address": f"user{number}@example.net",
            "since": 0.0,
            "until": None,
            "evidence": "550 5.1.1 No such user",
            "actor": "bench",
        }
        for number in range(start, start + CHUNK)
    ]
    tx.execute(insert(suppressions), rows)


async def _bulk(engine: Engine) -> float:
    questions = [
        Question(address_hash(f"user{n * 6_151 % ROWS}@example.net"), "default")
        for n in range(BULK)
    ]
    rounds = 20
    started = time.perf_counter()
    for _ in range(rounds):
        await engine.store.read(lambda tx: ask(tx, questions, time.time()))
    return rounds * BULK / (time.perf_counter() - started)

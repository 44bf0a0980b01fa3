"""`carom bench lookup`: "may I write to this address?" over HTTP with a million suppressed ones.

One at a time, and 1,000 in a request as mailing tools ask, of which one in ten is on the list; on
SQLite, and on PostgreSQL where there is one.  The limit beside the bulk rate is the time that
nothing but hashing as many addresses takes.
"""

from __future__ import annotations

import json
import time

from sqlalchemy import Connection, insert, text

from analysis.address import address_hash, parse
from analysis.schema import suppressions
from carom.bench import asker, postgres, stage
from carom.bench.figure import Figure, share
from carom.engine import Engine
from carom.runtime import run

ROWS = 1_000_000
CHUNK = 20_000
RATE = 200
COUNT = 2_000
BULK = 1_000
BULK_COUNT = 400
LISTED = 100  # of each BULK


def bench() -> list[Figure]:
    """Latency of single look-ups at 200/s, addresses a second in bulk."""
    waits, bulk = run(_on_sqlite())
    at = f"at {RATE}/s, {ROWS:,} rows"
    with postgres.database() as url:
        there = None if url is None else run(on_postgres(url, ROWS))
    limit = _limit()
    return [
        Figure("lookup", f"single over HTTP, p50 {at}", 1_000 * share(waits, 0.50), "ms"),
        Figure("lookup", f"single over HTTP, p99 {at}", 1_000 * share(waits, 0.99), "ms"),
        _bulk_figure("SQLite", bulk, limit),
        *([] if there is None else [_bulk_figure("PostgreSQL", there, limit)]),
    ]


def _bulk_figure(where: str, rate: float, limit: float) -> Figure:
    what = f"{BULK:,} a request over HTTP, {where}, {ROWS:,} rows"
    return Figure("lookup", what, rate, "addresses/s", "reading and hashing alone", limit)


async def _on_sqlite() -> tuple[list[float], float]:
    async with stage.engine() as engine:
        for start in range(0, ROWS, CHUNK):
            await engine.store.write(lambda tx, start=start: _fill(tx, start))  # type: ignore[misc]
        async with stage.service(engine) as ask_it:
            path = "/v1/suppressions/user{n}@example.net"
            waits = await ask_it("GET", path, rate=RATE, count=COUNT)
        return waits, await _bulk(engine)


async def on_postgres(url: str, rows: int) -> float:
    """Addresses a second in bulk, with so many rows."""
    async with stage.engine(CAROM_DATABASE__URL=url) as engine:
        await engine.store.write(lambda tx: _generate(tx, rows))
        return await _bulk(engine)


async def _bulk(engine: Engine) -> float:
    asked = [f"user{n * 6_151}@example.net" for n in range(LISTED)]
    asked += [f"nobody{n}.{{n}}@example.net" for n in range(BULK - LISTED)]
    body = json.dumps({"addresses": asked})
    async with stage.service(engine) as ask_it:
        await ask_it("POST", "/v1/suppressions/lookup", body, rate=0, count=40)  # warm
        waits = await ask_it("POST", "/v1/suppressions/lookup", body, rate=0, count=BULK_COUNT)
    # Each of the asker's connections asks again as soon as it is answered.
    return BULK * asker.CONNECTIONS / (sum(waits) / len(waits))


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


def _generate(tx: Connection, rows: int) -> None:
    tx.execute(
        text(
            "INSERT INTO suppressions"
            " (address_hash, stream, reason, address, since, evidence, actor)"
            " SELECT sha256(convert_to(a, 'UTF8')), '*', 'hard_bounce', a, 0,"
            " '550 5.1.1 No such user', 'bench'"
            " FROM (SELECT 'user' || n || '@example.net' AS a FROM generate_series(0, :last) n)"
            " ORDER BY 1"  # into the index from left to right
        ),
        {"last": rows - 1},
    )
    tx.execute(text("ANALYZE suppressions"))  # as autovacuum does in a minute


def _limit() -> float:
    """Addresses a second of one core that does nothing but read and hash them."""
    many = [f"nobody{n}@example.net" for n in range(50_000)]
    started = time.perf_counter()
    for one in many:
        address_hash(parse(one).key)
    return len(many) / (time.perf_counter() - started)

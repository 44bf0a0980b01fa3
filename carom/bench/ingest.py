"""`carom bench ingest`: from the listener's 250 to a suppression that a lookup sees.

Real SMTP from several connections, at a steady rate and as fast as it goes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiosmtplib
from sqlalchemy import Connection, update

from analysis import suppression
from analysis.schema import deliveries
from carom.bench import stage
from carom.bench.figure import Figure, share
from carom.bench.send import order
from carom.demo.letters import bounce
from carom.engine import Engine
from carom.listening import listener
from sender import queue
from sender.queue import Claim

RATE = 50
SECONDS = 6
CROWD = 1_500
CONNECTIONS = 10


def bench() -> list[Figure]:
    """Latency at 50 reports a second, and reports a second at most."""
    waits = asyncio.run(_latencies())
    rate = asyncio.run(_reports_per_second())
    at = f"at {RATE} reports/s"
    return [
        Figure("ingest", f"report to suppression, p50 {at}", share(waits, 0.50), "s"),
        Figure("ingest", f"report to suppression, p99 {at}", share(waits, 0.99), "s"),
        Figure("ingest", "reports stored and entered", rate, "/s", f"{RATE}/s asked for", RATE),
    ]


@dataclass(frozen=True, slots=True)
class _Letter:
    """A bounce that a receiving system would send, and whom it should suppress."""

    to: str
    content: bytes
    address_hash: bytes


@dataclass(frozen=True, slots=True)
class _House:
    """An engine that listens and reads, and bounces of deliveries that a next host has taken."""

    engine: Engine
    port: int
    letters: list[_Letter]

    async def hand_in(self, letters: list[_Letter]) -> None:
        async with aiosmtplib.SMTP(hostname=stage.LOOPBACK, port=self.port) as client:
            for letter in letters:
                await client.sendmail("", [letter.to], letter.content)

    async def suppressed(self, letter: _Letter) -> bool:
        asked = [letter.address_hash]
        return bool(
            await self.engine.store.read(lambda tx: suppression.standing(tx, asked, time.time()))
        )

    async def count(self) -> int:
        counted = await self.engine.store.read(
            lambda tx: suppression.count_by_reason(tx, time.time())
        )
        return counted["hard_bounce"]


async def _latencies() -> list[float]:
    """Seconds from sending a report until its address is suppressed, at a steady rate."""
    async with _house() as house:
        turns = asyncio.Semaphore(CONNECTIONS)
        start = time.perf_counter()

        async def one(place: int, letter: _Letter) -> float:
            await asyncio.sleep(max(0.0, start + place / RATE - time.perf_counter()))
            began = time.perf_counter()
            async with turns:
                await house.hand_in([letter])
            await stage.until(lambda: house.suppressed(letter))
            return time.perf_counter() - began

        chosen = house.letters[: RATE * SECONDS]
        return list(await asyncio.gather(*(one(n, letter) for n, letter in enumerate(chosen))))


async def _reports_per_second() -> float:
    async with _house() as house:
        chosen = house.letters[:CROWD]

        async def all_in() -> bool:
            return await house.count() >= CROWD

        started = time.perf_counter()
        await asyncio.gather(*(house.hand_in(chosen[n::CONNECTIONS]) for n in range(CONNECTIONS)))
        await stage.until(all_in)
        return CROWD / (time.perf_counter() - started)


@asynccontextmanager
async def _house() -> AsyncIterator[_House]:
    async with stage.engine(CAROM_INGEST__LIMITS__CONNECTIONS_PER_MINUTE="100000") as engine:
        letters = await _handed_over(engine, max(RATE * SECONDS, CROWD))
        door = listener(engine)
        port = (await door.start())[0][1]
        stop = asyncio.Event()
        reader = asyncio.create_task(engine.reader.serve(stop))
        try:
            yield _House(engine, port, letters)
        finally:
            stop.set()
            await reader
            await door.close(5.0)


async def _handed_over(engine: Engine, count: int) -> list[_Letter]:
    """Deliveries that were accepted by a next host, each with the bounce that will come of it."""
    await asyncio.gather(*(engine.intake.accept(order(n)) for n in range(count)))
    now = time.time()

    def hand_over(tx: Connection) -> list[Claim]:
        claims = queue.claim(tx, node="bench", now=now, lease=600, limit=count)
        tx.execute(update(deliveries).values(state="delivered", accepted_at=now))
        return claims

    words = "550 5.1.1 No such user here"
    return [
        _Letter(
            claim.return_path,
            bounce(claim.return_path, claim.recipient, b"", "5.1.1", words),
            claim.address_hash,
        )
        for claim in await engine.store.write(hand_over)
    ]

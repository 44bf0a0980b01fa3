"""`carom bench urgent`: login codes while bulk waits; many destinations while one stalls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from sqlalchemy import Connection, func, select

from analysis.schema import deliveries
from carom.bench import stage
from carom.bench.backlog import fill
from carom.bench.figure import Figure, share
from carom.bench.send import order, sending_to
from carom.engine import Engine
from carom.runtime import run

BULK = 100_000
CODES = 300
RATE = 50
DESTINATIONS = 20
LETTERS = 4_000
STALLED = "d0.example"


def bench() -> list[Figure]:
    """OTP p99 from accepted to 250 at 50/s, and what 19 destinations lose by the 20th."""
    with stage.sink() as port:
        if port is None:
            return [Figure("urgent", "OTP p99", 0.0, "s", "smtp-sink", None)]
        waits = run(_codes(port))
        free, held = _best_of_each(port)
    return [
        Figure("urgent", f"OTP p50 at {RATE}/s, {BULK:,} bulk wait", share(waits, 0.50), "s"),
        Figure("urgent", f"OTP p99 at {RATE}/s, {BULK:,} bulk wait", share(waits, 0.99), "s"),
        Figure("urgent", "19 destinations, the 20th stalls", held, "/s", "none stalls", free),
    ]


def _best_of_each(port: int) -> tuple[float, float]:
    """The others' rate while none stalls, and while one does.

    The best of four runs each, in the order ABBA ABBA: a machine that has other things to do, or
    grows slower, then counts against neither.
    """
    rates: dict[bool, list[float]] = {False: [], True: []}
    for stalled in (False, True, True, False) * 2:
        rates[stalled].append(run(_others_per_second(port, stalled=stalled)))
    return max(rates[False]), max(rates[True])


async def _codes(port: int) -> list[float]:
    """Seconds from each acceptance to its 250, which is when its wait begins for its user."""
    async with stage.engine(**sending_to(port)) as engine:
        await fill(engine, BULK)
        async with stage.sending(engine):
            began = time.perf_counter()
            answered = await asyncio.gather(
                *(_code(engine, n, began + n / RATE) for n in range(CODES))
            )
            await stage.until(lambda: _settled(engine, len(answered)))
        ended = await engine.store.read(_accepted)
        return [ended[one] - at for one, at in answered]


async def _code(engine: Engine, number: int, due: float) -> tuple[str, float]:
    """The id of a code and when it was promised."""
    await asyncio.sleep(max(0.0, due - time.perf_counter()))
    receipt = await engine.intake.accept(replace(order(number), class_="otp"))
    return receipt.answer["deliveries"][0]["id"], time.time()


def _accepted(tx: Connection) -> dict[str, float]:
    query = select(deliveries.c.id, deliveries.c.accepted_at).where(deliveries.c.rank == 0)
    return {row.id: row.accepted_at for row in tx.execute(query)}


async def _settled(engine: Engine, count: int) -> bool:
    ended = await engine.store.read(_accepted)
    return sum(at is not None for at in ended.values()) >= count


async def _others_per_second(port: int, *, stalled: bool) -> float:
    async with _mute() as (silent, hang_up):
        ways = {STALLED: f"127.0.0.1:{silent if stalled else port}", "*": f"127.0.0.1:{port}"}
        routes = "{" + ", ".join(f'"{name}": "{way}"' for name, way in ways.items()) + "}"
        environ = {**sending_to(port), "CAROM_SENDER__STATIC_MX": routes}
        async with stage.engine(**environ) as engine:
            await asyncio.gather(*(engine.intake.accept(order(n)) for n in range(LETTERS)))
            wanted = LETTERS - LETTERS // DESTINATIONS
            started = time.perf_counter()
            async with stage.sending(engine):
                await stage.until(lambda: _others(engine, wanted))
                taken = time.perf_counter() - started
                hang_up()  # or the sender would wait for it when it stops
            return wanted / taken


async def _others(engine: Engine, count: int) -> bool:
    query = (
        select(func.count())
        .select_from(deliveries)
        .where(deliveries.c.accepted_at.is_not(None), deliveries.c.domain != STALLED)
    )
    return await engine.store.read(lambda tx: tx.execute(query).scalar_one()) >= count


@asynccontextmanager
async def _mute() -> AsyncIterator[tuple[int, Callable[[], None]]]:
    """A host that takes connections and never says a word; its port, and how to end them all."""
    open_ones: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: open_ones.append(writer), "127.0.0.1", 0)

    def hang_up() -> None:
        server.close()
        for writer in open_ones:
            writer.transport.abort()

    try:
        yield server.sockets[0].getsockname()[1], hang_up
    finally:
        hang_up()

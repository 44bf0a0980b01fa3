"""A queue that is full before anybody looks: one message, its body kept once, to very many."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from analysis.address import address_hash
from carom import logs
from carom.assembly import build
from carom.bench import stage
from carom.bench.send import order
from carom.engine import Engine
from carom.settings import load
from sender.submit import Recipient, submit

CHUNK = 2_000


async def fill(engine: Engine, count: int) -> None:
    """`count` bulk deliveries, all due now, to 20 domains."""
    first = engine.intake.prepare(replace(order(0), class_="bulk"))
    for start in range(0, count, CHUNK):
        recipients = tuple(_recipient(engine, n) for n in range(start, min(start + CHUNK, count)))
        one = replace(first, id=engine.new_id(), recipients=recipients)
        await engine.store.write(lambda tx, one=one: submit(tx, [one], time.time()))  # type: ignore[misc]


async def _fill_apart(config: Path, count: int, url: str) -> None:
    """The same by a process of its own, whose memory is then nobody's."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "carom.bench.backlog", str(config), str(count), url)
    )
    if await process.wait():
        raise RuntimeError("the queue could not be filled")


@asynccontextmanager
async def full_engine(waiting: int, url: str | None, **environ: str) -> AsyncIterator[Engine]:
    """An engine whose queue was filled before it came; on SQLite where there is no `url`."""
    with tempfile.TemporaryDirectory(prefix="carom-bench-") as folder:
        file = stage.set_up(Path(folder))
        database = url or f"sqlite:///{folder}/queue.db"
        await _fill_apart(file, waiting, database)
        settings = stage.settings_of(file, CAROM_DATABASE__URL=database, **environ)
        async with await build(settings) as made:
            yield made


def _recipient(engine: Engine, number: int) -> Recipient:
    wire = f"user{number}@d{number % 20}.example"
    return Recipient(
        engine.new_id(),
        wire,
        address_hash(wire),
        wire.partition("@")[2],
        f"b-{number}@b.bench.example",
    )


async def _main(config: Path, count: int, url: str) -> None:
    settings = load(config, environ={"CAROM_DATABASE__URL": url})
    async with await build(settings) as engine:
        await fill(engine, count)


if __name__ == "__main__":
    logs.configure("error", "console")
    asyncio.run(_main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))

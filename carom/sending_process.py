"""A process that only sends, started by `carom.processes`: the child's side of the line.

Its line is a socket on descriptor 0.  The parent says one thing, the settings; the child tells
what it counted, a line of JSON every `TELL_EVERY` seconds and when it ends.  It ends in order when
the line does, or by SIGTERM; SIGINT, which a terminal sends to all of a service, is the parent's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import signal
import socket
import sys

import structlog

from analysis.added_up import Told
from analysis.pause import pause
from analysis.providers import PROVIDERS
from analysis.store import StoreUnavailable
from carom import logs
from carom.assembly import build
from carom.chores import chores
from carom.engine import Engine
from carom.processes import MOST_NEWS, SIZE
from carom.role import Role
from carom.runtime import run
from carom.settings import Settings

log = structlog.get_logger()

TELL_EVERY = 1.0


def main() -> None:
    """Send until the line on descriptor 0 ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run(_main(socket.socket(fileno=0)))


async def _main(line: socket.socket) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    reader, writer = await asyncio.open_connection(sock=line, limit=MOST_NEWS)
    try:
        settings = await _settings(reader)
    except (asyncio.IncompleteReadError, OSError):
        return  # the parent went away before it said anything
    logs.configure(settings.log.level.value, settings.log.format.value, sys.stderr)
    waiting = asyncio.create_task(_until_the_end(reader, stop))
    try:
        async with await build(settings) as engine:
            log.info("carom.sending", node=engine.node.name)
            await _send(engine, News(engine, writer), stop)
    except StoreUnavailable as error:
        log.warning("cannot start: the database is unavailable", error=str(error))
        sys.exit(1)
    finally:
        waiting.cancel()


async def _settings(reader: asyncio.StreamReader) -> Settings:
    (size,) = SIZE.unpack(await reader.readexactly(SIZE.size))
    found: Settings = pickle.loads(await reader.readexactly(size))  # noqa: S301 - our own parent's
    return found


async def _until_the_end(reader: asyncio.StreamReader, stop: asyncio.Event) -> None:
    with contextlib.suppress(OSError):
        await reader.read(1)
    stop.set()


async def _send(engine: Engine, news: News, stop: asyncio.Event) -> None:
    await news.tell()  # that it has begun: from here on it may hold deliveries
    async with asyncio.TaskGroup() as group:
        for loop in (engine.worker.serve(stop), *chores(engine, {Role.SENDER}, stop)):
            group.create_task(loop)
        while not stop.is_set():
            await pause(stop, TELL_EVERY)
            await news.tell()
    await news.tell()  # of what still came to its end


class News:
    """What this process counts and holds back, told over the line."""

    def __init__(self, engine: Engine, writer: asyncio.StreamWriter) -> None:
        self._engine = engine
        self._writer = writer
        self._told = Told(engine.metrics.registry)

    async def tell(self) -> None:
        suspended = self._engine.pacing.suspended()
        for provider in PROVIDERS:
            self._engine.metrics.suspended.labels(provider).set(suspended[provider])
        for route, out in self._engine.routes_out().items():
            self._engine.metrics.routes_out.labels(route).set(out)
        with contextlib.suppress(OSError):  # nobody is left to hear it
            self._writer.write(json.dumps(self._told.news()).encode() + b"\n")
            await self._writer.drain()

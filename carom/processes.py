"""More processes that send, on the same database: `[sender] processes`.

A Python process is bound to one core, and sending is work.  `keep` starts the others that a process
with the role of the sender is to have, and lives as long as they are wanted.  Each is told its
settings over a socket, its line, which also is what it lives by: when the line ends, however the
parent ended, the child stops in order.  What it counts comes back over the line and is added to the
parent's metrics (`analysis.added_up`): one target to scrape.

A child that ends by itself is replaced, after a pause that grows while they die young, and what it
held is taken back at once.  What a site bears they share as nodes of a cluster do
(`sender.pacing_leases`).

The child's side is `carom.sending_process`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import socket
import struct
import sys
from asyncio.subprocess import Process

import structlog

from analysis.pause import pause
from carom.engine import Engine

log = structlog.get_logger()

GRACE = 23.0
"""Seconds from the end of the line to the end of a child: its worker's own grace, and a margin."""
FIRST, LONGEST = 0.5, 30.0
"""Seconds before a child is replaced; doubled while they do not live for `SETTLED`."""
SETTLED = 60.0

MOST_NEWS = 2**24
"""Octets of one message on the line."""
SIZE = struct.Struct(">I")

_BOOT = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]);"
    "from carom.sending_process import main; main()"
)


async def keep(engine: Engine, stop: asyncio.Event) -> None:
    """Keep the other processes running until `stop` is set; then end them, and return.

    Cancelled, it kills them.
    """
    async with asyncio.TaskGroup() as group:
        for number in range(1, engine.settings.sender.sharers):
            group.create_task(_keep_one(engine, number, stop))


async def _keep_one(engine: Engine, number: int, stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    wait = FIRST
    while not stop.is_set():
        began = loop.time()
        try:
            how = f"exit {await _live(engine, number, stop)}"
        except OSError as error:
            how = f"not started: {error}"
        engine.metrics.added.forget(number)
        if stop.is_set():
            return
        wait = FIRST if loop.time() - began >= SETTLED else wait
        log.error("a sending process ended", process=number, how=how, again_in=wait)
        await engine.worker.take_back()
        await pause(stop, wait)
        wait = min(wait * 2, LONGEST)


async def _live(engine: Engine, number: int, stop: asyncio.Event) -> int:
    """The life of one child; its exit code.  Raises OSError where it cannot be started."""
    child, reader, writer = await _begin()
    ended = asyncio.create_task(child.wait())
    told = asyncio.create_task(_converse(engine, number, reader, writer))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({ended, told, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if engine.metrics.added.knows(number):
            with contextlib.suppress(OSError):
                writer.write_eof()  # it brings to an end what it holds, and can still tell of it
            await asyncio.wait({ended}, timeout=GRACE)
            await asyncio.wait({told}, timeout=1.0)
    finally:
        if not ended.done():
            with contextlib.suppress(ProcessLookupError):
                child.kill()  # it is stuck, or has not begun and holds nothing
        writer.transport.abort()
        stopped.cancel()
        await asyncio.wait({ended, told})
    if fault := told.exception():
        log.error("a sending process was not understood", process=number, error=repr(fault))
    return ended.result()


async def _begin() -> tuple[Process, asyncio.StreamReader, asyncio.StreamWriter]:
    """A new child, and our end of its line."""
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-c", _BOOT, json.dumps(sys.path)),
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
            )
        except OSError:
            ours.close()
            raise
    return child, *await asyncio.open_connection(sock=ours, limit=MOST_NEWS)


async def _converse(
    engine: Engine, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Tell a child its settings, and hear what it counts until the line ends."""
    order = pickle.dumps(engine.settings)
    writer.write(SIZE.pack(len(order)) + order)
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while True:
            engine.metrics.added.hear(number, json.loads(await reader.readuntil(b"\n")))

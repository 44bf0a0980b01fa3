"""Several `carom serve --role sender` on one database, as processes that signals reach.

    async with nodes(tmp_path, url, mx=sink.port, count=2) as cluster:
        await cluster.submit(["ann@known.example"])
        cluster.signal(0, signal.SIGSTOP)

Mail is submitted by an engine of the test's own, which sends nothing.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from analysis.address import parse, parse_mailbox
from analysis.lookup import accounts
from carom.assembly import build
from carom.engine import Engine
from carom.settings import load
from sender import leases
from sender.compose import Draft
from sender.intake import Order
from tests.flows.house import SHOP, environment, set_up, until

PATIENCE = 300.0
"""Seconds: processes start slowly where many do."""


@dataclass(slots=True)
class Cluster:
    engine: Engine
    log: Path
    arguments: Sequence[str]
    environ: dict[str, str]
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def start(self) -> None:
        """One node more."""
        with self.log.open("ab") as log:
            self.processes.append(
                await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "carom", "serve", *self.arguments),
                    env={**os.environ, **self.environ},
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            )

    def signal(self, node: int, what: signal.Signals) -> None:
        self.processes[node].send_signal(what)

    async def submit(self, to: Sequence[str]) -> None:
        """A message for each."""
        await asyncio.gather(*(self.engine.intake.accept(_order(each)) for each in to))

    async def all_hold(self) -> None:
        """Wait until every node that runs has something under way."""
        running = {one.pid for one in self.processes if one.returncode is None}

        async def do_they() -> bool:
            return await self.holders() == running

        await until(do_they, PATIENCE)

    async def holders(self) -> set[int]:
        """The pids of the nodes that have something under way."""
        return {int(n.split("/")[1]) for n in await self.engine.store.read(leases.holders)}

    async def delivered(self, count: int) -> None:
        """Wait until so many are, and nothing is left to do."""

        async def are_they() -> bool:
            found = await self.engine.store.read(accounts)
            return found["delivered"] == count == sum(found.values())

        await until(are_they, PATIENCE)

    async def end(self) -> None:
        for process in self.processes:
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes:
            await process.wait()


@asynccontextmanager
async def nodes(
    folder: Path, database_url: str, *, mx: int, count: int, **more: str
) -> AsyncIterator[Cluster]:
    """`count` senders, ended in order when the block ends; one that fails shows their logs."""
    config, _ = set_up(folder)
    environ = {**environment(database_url, mx=mx), **more}
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(await build(load(config, environ=environ)))
        cluster = Cluster(
            engine, folder / "nodes.log", ["--config", str(config), "--role", "sender"], environ
        )
        stack.push_async_callback(cluster.end)
        try:
            for _ in range(count):
                await cluster.start()
            yield cluster
        except BaseException:
            print(cluster.log.read_text(errors="replace")[-20_000:])
            raise


def _order(to: str) -> Order:
    draft = Draft(parse_mailbox(SHOP), (parse_mailbox(to),), "Your order", text="On its way.\n")
    return Order(draft, (parse(to),))

"""Roles: what a process does.  `sender` sends, `ingest` listens and reads, `api` takes and answers
over HTTP and SMTP.

One start, one shutdown path: what was started is stopped in reverse, each within its grace.  The
database is the only meeting point of roles, so any mix of them in any number of processes is the
same system.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
from starlette.types import ASGIApp

from carom.binding import binding
from carom.carrying import Carrying
from carom.chores import chores
from carom.engine import Engine
from carom.http_server import serve_http
from carom.listening import listener
from carom.metrics_app import metrics_app
from carom.processes import keep
from carom.role import Role
from carom.settings.units import Endpoint
from carom.submitting import submission
from carom.web import create_app

log = structlog.get_logger()

GRACE = 20.0
"""Seconds in which what is under way may end when a process stops."""


@dataclass(slots=True)
class Bound:
    """The ports that were really bound; a setting may say 0 for any."""

    api: int | None = None
    metrics: int | None = None
    ingest: int | None = None
    submission: int | None = None
    submission_tls: int | None = None


@dataclass(slots=True)
class Running:
    bound: Bound = field(default_factory=Bound)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def failed(self) -> None:
        """Wait for a role to end by itself, which only a fault of ours makes it do; raise it."""
        done, _ = await asyncio.wait(self.tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


@asynccontextmanager
async def running(engine: Engine, roles: Collection[Role]) -> AsyncIterator[Running]:
    """Run these roles of the engine for the length of the `async with`."""
    stop = asyncio.Event()
    state = Running()
    async with AsyncExitStack() as stack:
        counters = Carrying(engine.store, engine.metrics, engine.node, engine.clock)
        await counters.take_up()
        stack.push_async_callback(counters.put_down)
        stack.push_async_callback(_end, state, stop)
        if Role.INGEST in roles:
            door = listener(engine)
            with binding("ingest", listen=engine.settings.ingest.listen):
                state.bound.ingest = (await door.start())[0][1]
            stack.push_async_callback(door.close, GRACE)
            state.tasks.append(asyncio.create_task(engine.reader.serve(stop)))
        if Role.SENDER in roles:
            state.tasks.append(asyncio.create_task(engine.worker.serve(stop)))
            if engine.settings.sender.sharers > 1:
                state.tasks.append(asyncio.create_task(keep(engine, stop)))
        if Role.API in roles:
            desk = submission(engine)
            given = engine.settings.submission
            with binding("submission", listen=given.listen, tls_listen=given.tls_listen):
                state.bound.submission, state.bound.submission_tls = await desk.start()
            stack.push_async_callback(desk.close, GRACE)
            state.bound.api = await _web(state, engine, create_app(engine), "api", stop)
        state.bound.metrics = await _web(state, engine, metrics_app(engine), "metrics", stop)
        for loop in (*chores(engine, roles, stop), counters.serve(stop)):
            state.tasks.append(asyncio.create_task(loop))
        yield state


async def _web(state: Running, engine: Engine, app: ASGIApp, name: str, stop: asyncio.Event) -> int:
    """Start an HTTP listener; returns its port once it is bound."""
    api = engine.settings.api
    where: Endpoint = api.listen if name == "api" else api.metrics_listen
    files = api.tls if name == "api" else api.metrics_tls
    tls = engine.certificates.context(files, name)
    bound: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    started: Callable[[int], None] = bound.set_result
    task = asyncio.create_task(
        serve_http(app, where.host, where.port, limits=api, stop=stop, started=started, tls=tls)
    )
    state.tasks.append(task)
    waits: set[asyncio.Future[Any]] = {task, bound}
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    if not bound.done():
        state.tasks.remove(task)
        with binding("api", **{"listen" if name == "api" else "metrics_listen": where}):
            task.result()
    return await bound


async def _end(state: Running, stop: asyncio.Event) -> None:
    stop.set()
    if state.tasks:
        _, late = await asyncio.wait(state.tasks, timeout=GRACE + 5)
        for task in late:
            task.cancel()
    for result in await asyncio.gather(*state.tasks, return_exceptions=True):
        if isinstance(result, Exception):
            log.error("a role failed", error=repr(result))

"""`carom serve`: run the roles until told to stop.

SIGTERM and SIGINT stop it in order; a second one stops it at once.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import replace
from typing import Annotated

import structlog
import typer

from carom import logs
from carom.assembly import build
from carom.commands import ConfigOption
from carom.errors import CaromError, SettingsError, UsageError
from carom.role import ALL, Role
from carom.roles import Bound, running
from carom.runtime import run
from carom.settings import Settings, load

log = structlog.get_logger()


def serve(
    config: ConfigOption = None,
    role: Annotated[
        list[str] | None, typer.Option(help="all, sender, ingest or api; may be repeated.")
    ] = None,
) -> None:
    """Run Carom."""
    settings = load(config)
    roles = _roles(role or ["all"])
    _require(settings)
    logs.configure(settings.log.level.value, settings.log.format.value, sys.stderr)
    run(_serve(settings, roles))


def _roles(names: list[str]) -> frozenset[Role]:
    if "all" in names:
        return ALL
    if unknown := [name for name in names if name not in set(Role)]:
        raise UsageError(f"--role {unknown[0]}: expected all, {', '.join(Role)}")
    return frozenset(Role(name) for name in names)


def _require(settings: Settings) -> None:
    """Settings without which nothing can be promised."""
    if not settings.ingest.domain:
        raise SettingsError(
            "[ingest] domain: none is set, so bounces could not come back; `carom init` writes one"
        )


async def _serve(settings: Settings, roles: frozenset[Role]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    this = asyncio.current_task()
    assert this is not None

    def told_to_stop() -> None:
        if stopping.is_set():
            this.cancel()
        stopping.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, told_to_stop)
    try:
        async with await build(settings) as engine, running(engine, roles) as state:
            log.info("carom.serving", roles=sorted(roles), **_ports(state.bound))
            if sys.stdout.isatty():
                typer.echo(_greeting(settings, state.bound))
            await _until(stopping, state.failed())
    except asyncio.CancelledError:
        # what is cut off midway is no fault of ours to be told: leases give back what it held
        loop.set_exception_handler(lambda _loop, _context: None)
        raise CaromError("stopped at once by a second signal") from None


def _greeting(settings: Settings, bound: Bound) -> str:
    """What somebody who has just started it by hand wants to know."""
    if bound.api is None:
        return "Carom runs.  Ctrl-C ends it."
    scheme, where = "https" if settings.api.tls else "http", settings.api.listen
    console = f"{scheme}://{replace(where, port=bound.api)}/console"
    return f"Carom runs: {console} (`carom console link` lets you in).  Ctrl-C ends it."


def _ports(bound: object) -> dict[str, int]:
    return {
        name: port
        for name in ("api", "metrics", "ingest", "submission", "submission_tls")
        if (port := getattr(bound, name)) is not None
    }


async def _until(stopping: asyncio.Event, failed: object) -> None:
    """Until told to stop; a role that fails ends the process, since half a system lies."""
    waits = {
        asyncio.ensure_future(stopping.wait()),
        asyncio.ensure_future(failed),  # type: ignore[call-overload]
    }
    done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()

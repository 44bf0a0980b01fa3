"""Chores: what a running process does beside its main work, by role.

A loop runs in every process of its role; a duty is done by one process of all (`analysis.duties`).
Each ends soon after `stop` is set, and none ends by itself except by a fault of ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from analysis import duties
from analysis.duties import Duty
from analysis.retention import sweep
from analysis.store import StoreUnavailable
from carom import hooking, placing, rounds
from carom.aggregating import duties as report_duties
from carom.engine import Engine
from carom.reporting import duties as figure_duties
from carom.reputation import duties as reputation_duties
from carom.reputation import keep_easing
from carom.ruling import keep_rules
from carom.sending import unsubscribing

if TYPE_CHECKING:
    from carom.roles import Role

log = structlog.get_logger()

TIDY_EVERY = 600.0

Loop = Coroutine[None, None, None]


def chores(engine: Engine, roles: Collection[Role], stop: asyncio.Event) -> list[Loop]:
    """The loops of a process that has these roles, not begun."""
    loops = [_tidy(engine, stop), keep_rules(engine.rules, stop)]
    loops.append(engine.certificates.follow(stop))
    loops.append(engine.counting.tallying.serve(engine.store, stop))
    if "sender" in roles:
        loops.append(engine.tls.serve(stop))
        loops.append(hooking.telling(engine, stop))
        loops.append(keep_easing(engine.pacing, engine.store, stop, clock=engine.clock))
    loops.extend(
        duties.serve(duty, engine.store, stop, node=engine.node.name, clock=engine.clock)
        for duty in (*_duties(engine, roles), *rounds.duties(engine, roles, stop))
    )
    return loops


def _duties(engine: Engine, roles: Collection[Role]) -> list[Duty]:
    return [
        *reputation_duties(engine),
        *report_duties(engine),
        *figure_duties(engine),
        *placing.duties(engine, roles),
    ]


async def _tidy(engine: Engine, stop: asyncio.Event) -> None:
    """Forget what is old; any node may do it at any time."""
    keep = replace(engine.settings.retention.keep(), linked=unsubscribing(engine.settings))
    while not stop.is_set():
        now = engine.clock()
        pause = TIDY_EVERY
        try:
            if await engine.store.write(lambda tx, now=now: sweep(tx, keep, now=now)):  # type: ignore[misc]
                pause = 1.0  # there may be more; others must get at the writer in between
        except StoreUnavailable as error:
            log.warning("tidying waits: the database is unavailable", error=str(error))
        try:
            async with asyncio.timeout(pause):
                await stop.wait()
        except TimeoutError:
            continue

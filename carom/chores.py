"""Chores: what a running process does beside its main work, by role.

A loop runs in every process of its role; a duty is done by one process of all (`analysis.duties`).
Each ends soon after `stop` is set, and none ends by itself except by a fault of ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from dataclasses import replace
from functools import partial

import structlog

from analysis import days, duties
from analysis.duties import Duty
from analysis.pause import pause
from analysis.retention import Keep, drop_day, sweep
from analysis.store import StoreUnavailable
from carom import hooking, placing, rounds
from carom.aggregating import duties as report_duties
from carom.engine import Engine
from carom.reporting import duties as figure_duties
from carom.reputation import duties as reputation_duties
from carom.reputation import keep_easing
from carom.role import Role
from carom.ruling import keep_rules
from carom.sending import unsubscribing

log = structlog.get_logger()

TIDY_EVERY = 600.0
PAUSE = 1.0
"""Seconds between sweeps that take their fill: others must get at the writer in between."""
MAKE_EVERY = 3_600.0

Loop = Coroutine[None, None, None]


def chores(engine: Engine, roles: Collection[Role], stop: asyncio.Event) -> list[Loop]:
    """The loops of a process that has these roles, not begun."""
    loops = [_tidy(engine, stop), keep_rules(engine.rules, stop)]
    loops.append(engine.certificates.follow(stop))
    loops.append(engine.counting.tallying.serve(engine.store, stop))
    if "api" in roles and engine.settings.database.replicas:
        loops.append(engine.replicas.serve(stop))
    if "api" in roles and engine.pressure.limits.any:
        loops.append(engine.pressure.serve(stop))
    if "ingest" in roles and engine.backlog.most:
        loops.append(engine.backlog.serve(stop))
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
        Duty("days", MAKE_EVERY, lambda now: _make_days(engine, now)),
    ]


async def _make_days(engine: Engine, now: float) -> None:
    """The parts of tables that the coming days are written to; a transaction each, for its locks"""
    for key in days.CUT:
        if made := await engine.store.write(partial(days.make, key=key, now=now)):
            log.info("days were made", parts=made)


async def _tidy(engine: Engine, stop: asyncio.Event) -> None:
    """Forget what is old; any node may do it at any time."""
    keep = replace(engine.settings.retention.keep(), linked=unsubscribing(engine.settings))
    more = False  # the last sweep took its fill
    while not stop.is_set():
        now = engine.clock()
        try:
            if not more:
                await _drop_days(engine, keep, now)
            more = bool(await engine.store.write(partial(sweep, keep=keep, now=now)))
        except StoreUnavailable as error:
            log.warning("tidying waits: the database is unavailable", error=str(error))
            more = False
        await pause(stop, PAUSE if more else TIDY_EVERY)


async def _drop_days(engine: Engine, keep: Keep, now: float) -> None:
    """Days that are over go at once, so that `sweep` finds only what is left of them."""
    while day := await engine.store.write(partial(drop_day, keep=keep, now=now)):
        log.info("a day was dropped", part=day)

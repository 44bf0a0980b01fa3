"""R15, where transactions meet: three processes on one PostgreSQL, statement by statement.

The life of `test_simulated_life`, with the same deaths and the same invariants, but the
transactions of three processes run at once: before each statement and each COMMIT a process waits
for its turn, and whose turn it is, is drawn.  One that waits for a lock of another does not hold up
the rest.  So rows are claimed, recorded, cancelled and reported in the midst of each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.util import await_only

from analysis.postgres_store import PostgresStore
from analysis.schema import metadata
from analysis.store import StoreUnavailable
from tests.amounts import Amount
from tests.faults.test_simulated_life import (
    STEPS,
    Died,
    World,
    hold_true,
    keeps_house,
    peace,
    records,
    talks,
    time_passes,
)

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]

PROCESSES = ("one", "two", "three")
ROUNDS, EACH = 3, 8
BLOCKED = 0.02
"""Seconds after which who has its turn and does not come back is taken to wait for a lock."""
STAYS = 0.75
"""How likely a process has the next turn too: a whole transaction fits between two statements."""
_STEPS = (
    *(step for step in STEPS if step is not time_passes),  # their clock is one
    *(talks, records, records, keeps_house, keeps_house),  # what meets over one row
)


class Turns:
    """Lets one statement run at a time, as long as no lock forbids it; `met` counts how often
    another was in the midst of a transaction."""

    def __init__(self, chance: Random) -> None:
        self.met = 0
        self._chance = chance
        self._players: list[asyncio.Task[None]] = []
        self._waiting: dict[asyncio.Task[Any], asyncio.Future[None]] = {}
        self._last: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    def wait(self, *_: object) -> None:
        """Called within a statement that is about to run."""
        task = asyncio.current_task()
        if task in self._players:
            await_only(self._turn(task))

    async def _turn(self, task: asyncio.Task[Any]) -> None:
        self._waiting[task] = asyncio.get_running_loop().create_future()
        self._changed.set()
        await self._waiting[task]

    async def play(self, players: Collection[asyncio.Task[None]]) -> None:
        self._players = list(players)
        for player in self._players:
            player.add_done_callback(lambda _: self._changed.set())
        while not all(player.done() for player in self._players):
            await self._all_wait()
            ready = [player for player in self._players if player in self._waiting]
            if ready:
                chosen = self._chance.choice(ready)
                if self._last is not None and self._last in ready and self._chance.random() < STAYS:
                    chosen = self._last
                self.met += chosen is not self._last
                self._last = chosen
                self._waiting.pop(chosen).set_result(None)
        await asyncio.gather(*self._players)

    async def _all_wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(BLOCKED):
                while len(self._waiting) < sum(not player.done() for player in self._players):
                    self._changed.clear()
                    await self._changed.wait()


@asynccontextmanager
async def in_turn(store: PostgresStore, turns: Turns) -> AsyncIterator[None]:
    """Every statement and COMMIT of the store's players waits for its turn."""
    engine = store._engine.sync_engine  # what is tested is the store, as it is
    for moment in ("before_cursor_execute", "commit"):
        event.listen(engine, moment, turns.wait)
    try:
        yield
    finally:
        for moment in ("before_cursor_execute", "commit"):
            event.remove(engine, moment, turns.wait)


async def lives(store: PostgresStore, world: World, process: str, chance: Random) -> None:
    """Some steps of a process.  The first is the tightest spot: leases have run out meanwhile, some
    take back what others are about to record."""
    for number in range(EACH):
        tight = records if world.talked[process] else keeps_house
        step = chance.choice(_STEPS) if number else tight

        def work(tx: Connection, step: Callable[[World, str], None] = step) -> int:
            view = replace(world, tx=tx, chance=chance, deaths=0)
            try:
                step(view, process)
            except Died:
                world.held[process].clear()
                world.talked[process].clear()
            return view.deaths

        with suppress(StoreUnavailable):  # rolled back for a rival's sake, again and again
            world.deaths += await store.write(work)


async def fate_of(store: PostgresStore, seed: int) -> tuple[World, int]:
    """One fate from the empty database to its peace."""
    chance = Random(seed)
    held: Any = {name: [] for name in PROCESSES}
    talked: Any = {name: [] for name in PROCESSES}
    world = await store.read(lambda tx: World(tx, chance, held=held, talked=talked))
    turns = Turns(chance)
    for turn in range(ROUNDS):
        async with in_turn(store, turns):
            await turns.play(
                [
                    asyncio.create_task(lives(store, world, name, Random(f"{seed} {turn} {name}")))
                    for name in PROCESSES
                ]
            )
        time_passes(world, "")
        await store.read(lambda tx: hold_true(replace(world, tx=tx)))

    def ends(tx: Connection) -> None:
        peaceful = replace(world, tx=tx)
        peace(peaceful)
        hold_true(peaceful)

    await store.write(ends)
    return world, turns.met


async def emptied(store: PostgresStore) -> None:
    names = ", ".join(table.name for table in metadata.sorted_tables)
    await store.write(lambda tx: tx.execute(text(f"TRUNCATE {names}")))


@pytest.mark.parametrize(
    "migrated_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
async def test_whoever_meets_whom_in_the_midst_the_accounts_add_up(
    store: PostgresStore, amount: Amount, chance: Random, seen: Callable[[str], None]
) -> None:
    start, seeds = chance.randrange(10**6), amount(6, 300)
    promised = deaths = met = 0
    for seed in range(start, start + seeds):
        try:
            world, meetings = await fate_of(store, seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        promised, deaths, met = (
            promised + len(world.promised),
            deaths + world.deaths,
            met + meetings,
        )
        await emptied(store)
    assert met > seeds * ROUNDS * EACH, "they hardly met"
    seen(
        f"{seeds} seeds of three processes at once on PostgreSQL, {met} changes of turn, "
        f"{promised} promises, {deaths} deaths, broken invariants 0"
    )

"""Replicas: standbys of PostgreSQL that answer look-ups, as long as they are fresh enough.

Handed to what only tells: suppression look-ups, explanations, rates, searches.  What decides on
sending asks the primary, always: the check at submit and the one before the mail goes out.  So does
the feed of events, whose cursors rest on locks that a standby does not see.

How fresh a standby is is not asked of clocks.  Every quarter of the bound the primary says how far
its log is written; a standby that has replayed that far knows all that was committed before the
question was put.  So one that is cut off, or follows nobody, gets old by itself, and one of an idle
primary does not.  One that is too old, fails, or is no standby of this primary is left alone, and
the primary answers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import structlog
from sqlalchemy import Connection, text

from analysis.pause import pause
from analysis.store import Store, StoreUnavailable, Work

log = structlog.get_logger()

T = TypeVar("T")

NEVER = float("-inf")
_MARKS = 16
"""Of the primary's log that are kept; four cover the bound."""

_WRITTEN = text(
    "SELECT system_identifier, CAST(pg_current_wal_insert_lsn() - '0/0' AS bigint)"
    " FROM pg_control_system()"
)
_REPLAYED = text(
    "SELECT system_identifier, CASE WHEN pg_is_in_recovery()"
    " THEN CAST(pg_last_wal_replay_lsn() - '0/0' AS bigint) END FROM pg_control_system()"
)


class Reads(Protocol):
    """What can be asked: a store, or replicas before one."""

    async def read(self, work: Work[T]) -> T: ...


@dataclass(slots=True)
class Standby:
    store: Store
    as_of: float = NEVER  # it knows all that was committed before, by the monotonic clock
    fresh: bool = False  # at the last look, so that a change is told once


class Replicas:
    """`lag`: seconds that an answer may be behind.  `monotonic` gives seconds."""

    def __init__(
        self,
        primary: Store,
        standbys: Sequence[Store],
        *,
        lag: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._primary = primary
        self._standbys = [Standby(store) for store in standbys]
        self._lag = lag
        self._monotonic = monotonic
        self._marks: deque[tuple[float, int, int]] = deque(maxlen=_MARKS)
        self._turn = 0

    async def read(self, work: Work[T]) -> T:
        """Run `work`, which must only read, on a fresh standby in turn, else on the primary."""
        oldest = self._monotonic() - self._lag
        if fresh := [standby for standby in self._standbys if standby.as_of >= oldest]:
            self._turn += 1
            chosen = fresh[self._turn % len(fresh)]
            try:
                return await chosen.store.read(work)
            except StoreUnavailable as error:
                self._turn_away(chosen, str(error))
        return await self._primary.read(work)

    async def look(self) -> None:
        """Find out how fresh each standby is."""
        asked_at = self._monotonic()
        try:
            self._marks.append((asked_at, *await self._primary.read(_written)))
        except StoreUnavailable:
            return  # nobody can say what is fresh; they get old by themselves
        await asyncio.gather(*(self._look_at(standby) for standby in self._standbys))

    async def _look_at(self, standby: Standby) -> None:
        try:
            async with asyncio.timeout(self._lag):
                system, replayed = await standby.store.read(_replayed)
        except (StoreUnavailable, TimeoutError) as error:
            self._turn_away(standby, str(error) or "it does not answer")
            return
        if replayed is None:
            self._turn_away(standby, "it is no standby")
            return
        known = (at for at, of, lsn in self._marks if of == system and lsn <= replayed)
        standby.as_of = max(known, default=NEVER)
        fresh = standby.as_of >= self._monotonic() - self._lag
        if fresh and not standby.fresh:
            log.info("a replica answers look-ups", replica=standby.store.url.render_as_string())
        if standby.fresh and not fresh:
            self._turn_away(standby, "it is behind by more than [database] replica_lag")
        standby.fresh = fresh

    def _turn_away(self, standby: Standby, why: str) -> None:
        if standby.fresh:
            name = standby.store.url.render_as_string()
            log.warning("a replica is left alone", replica=name, why=why)
        standby.as_of = NEVER
        standby.fresh = False

    async def serve(self, stop: asyncio.Event) -> None:
        """Look four times in the time that an answer may be behind, until `stop`."""
        while not stop.is_set():
            await self.look()
            await pause(stop, self._lag / 4)

    async def close(self) -> None:
        for standby in self._standbys:
            await standby.store.close()


def _written(tx: Connection) -> tuple[int, int]:
    system, lsn = tx.execute(_WRITTEN).one()
    return system, lsn


def _replayed(tx: Connection) -> tuple[int, int | None]:
    system, lsn = tx.execute(_REPLAYED).one()
    return system, lsn

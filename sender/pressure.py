"""Back-pressure: how much may wait before more is put off, so that it never comes to a full disk.

Off unless the operator sets limits (`[intake]`).  Intake asks here before it promises anything:
what is put off was not taken, and its sender comes again.  Each class has its own line: a
newsletter that waits puts off no login code.  Only new mail is put off; room that is kept free is
for what becomes of the mail that was taken.

The database is looked at now and then (`analysis.looking`); what this process took since is added.
So one process never lets more wait than may, and several together go past it by what the others
take between two looks.

Raises `Congested`, and `StoreFull` where the room is short.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy import Connection, text

from analysis.batch import Overloaded
from analysis.looking import keep_looking
from analysis.store import Store, StoreFull
from sender import backlog


class Congested(Overloaded):
    """As much of this class waits as may, or it waits too long."""


@dataclass(frozen=True, slots=True)
class Limits:
    """None: no limit."""

    waiting: int | None = None  # deliveries of one class
    oldest: float | None = None  # seconds for which the oldest due one of a class has waited
    free_space: int | None = None  # octets on the database's disk
    database_size: int | None = None  # octets of all it holds

    @property
    def any(self) -> bool:
        return (self.waiting, self.oldest, self.free_space, self.database_size) != (None,) * 4


class Observer(Protocol):
    def put_off(self, why: str) -> None:
        """A message was: `waiting`, `oldest` or `full`."""


@dataclass(slots=True)
class Pressure:
    """`free` tells how many octets the database's disk has left, where it is in reach."""

    store: Store
    limits: Limits
    clock: Callable[[], float]
    observer: Observer
    free: Callable[[], int] | None = None
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)  # class -> depth, oldest
    _full: bool = False
    _coming: Counter[str] = field(default_factory=Counter)  # of deliveries, before their commit
    _came: Counter[str] = field(default_factory=Counter)  # and since the last look

    @contextmanager
    def taking(self, class_: str, deliveries: int) -> Iterator[None]:
        """Room for so many deliveries while they are made durable."""
        if (why := self._against(class_, deliveries)) is not None:
            self.observer.put_off(why)
            raise StoreFull("no room") if why == "full" else Congested(f"{class_}: {why}")
        self._coming[class_] += deliveries
        try:
            yield
            self._came[class_] += deliveries
        finally:
            self._coming[class_] -= deliveries

    def _against(self, class_: str, deliveries: int) -> str | None:
        if self._full:
            return "full"
        waiting, oldest = self._seen.get(class_, (0, 0.0))
        waiting += self._coming[class_] + self._came[class_]
        if self.limits.waiting is not None and waiting + deliveries > self.limits.waiting:
            return "waiting"
        if self.limits.oldest is not None and oldest > self.limits.oldest:
            return "oldest"
        return None

    async def look(self) -> None:
        """See what there is; raises `StoreUnavailable`."""
        before = self._came.copy()
        limits = self.limits
        if limits.waiting is not None or limits.oldest is not None:
            now = self.clock()
            self._seen = await self.store.read(lambda tx: backlog.depth(tx, now))
        full = False
        if limits.database_size is not None:
            full = await self.store.read(size) > limits.database_size
        if limits.free_space is not None and self.free is not None:
            full = full or await asyncio.to_thread(self.free) < limits.free_space
        self._full = full
        self._came -= before

    async def serve(self, stop: asyncio.Event) -> None:
        """Look now and then.  What was seen stands while the database is away."""
        await keep_looking(self.look, stop, who="intake")


def size(tx: Connection) -> int:
    """Octets that the database takes; on SQLite without those that it would use again."""
    if tx.dialect.name == "postgresql":
        return int(tx.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    pages = {
        name: int(tx.exec_driver_sql(f"PRAGMA {name}").scalar_one())
        for name in ("page_count", "freelist_count", "page_size")
    }
    return (pages["page_count"] - pages["freelist_count"]) * pages["page_size"]

"""Carrying a process's counters over its end: written once a second, taken over at the start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from analysis.counters import keep, take_over
from analysis.metrics import Metrics
from analysis.pause import pause
from analysis.store import Store, StoreUnavailable
from carom.node import Node

log = structlog.get_logger()

EVERY = 1.0
"""Seconds: what a crash may lose of what was counted."""


class Carrying:
    def __init__(
        self, store: Store, metrics: Metrics, node: Node, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._node = node
        self._clock = clock
        self._written: dict[str, float] = {}

    async def take_up(self) -> None:
        """Go on where dead processes of this machine left off; to be done before any scrape."""
        now = self._clock()
        left = await self._store.write(
            lambda tx: take_over(tx, self._node.name, self._node.gone, now)
        )
        self._metrics.resume(left)
        self._written = self._metrics.counted()

    async def serve(self, stop: asyncio.Event) -> None:
        """Write what has changed, until `stop`."""
        while not stop.is_set():
            try:
                await self.write()
            except StoreUnavailable as error:
                log.warning("counters wait: the database is unavailable", error=str(error))
            await pause(stop, EVERY)

    async def put_down(self) -> None:
        """Write the last of them, when nothing counts any more."""
        try:
            await self.write()
        except StoreUnavailable as error:
            log.warning("counters of the last moment are lost", error=str(error))

    async def write(self) -> None:
        counted, now = self._metrics.counted(), self._clock()
        changed = {s: v for s, v in counted.items() if self._written.get(s) != v}
        if changed:
            await self._store.write(lambda tx: keep(tx, self._node.name, changed, now))
            self._written = counted

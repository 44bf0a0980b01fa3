"""Group commit: what arrives while a batch is being written goes into the next one together.

`Batch.put(item)` returns the item's own result after the transaction that holds it was committed.
One writer runs at a time per lane.  Unless told to `gather`, nobody waits for a timer: a lonely
item is written at the next turn of the loop, and while every turn brings company a crowd comes
together, to share one fsync and one hop to a thread.  If a batch fails for anything but the store
being unavailable, its items are tried one by one, so that one bad item cannot take its neighbours
down.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from analysis.store import StoreUnavailable

TURNS = 4
"""Turns of the loop for which a batch waits at most, while each of them brings more."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Overloaded(Exception):
    """More is waiting to be written than may wait; try again later."""


class Batch(Generic[Item, Result]):
    """`write(items)` must commit and give one result an item, in order."""

    def __init__(
        self,
        write: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        largest: int = 500,
        waiting: int = 20_000,
        lanes: int = 1,
        gather: float = 0.0,
    ) -> None:
        """`gather`: seconds that a batch which is not full waits for company, where nobody is in
        a hurry and a statement for many costs little more than one for a few."""
        self._write = write
        self._largest = largest
        self._most_waiting = waiting
        self._lanes = lanes
        self._gather = gather
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._draining = 0  # lanes that will look at the line again before they end

    async def put(self, item: Item) -> Result:
        """Raises what `write` raises for this item; `Overloaded` when the line is too long."""
        if len(self._waiting) >= self._most_waiting:
            raise Overloaded(f"{len(self._waiting)} items are waiting to be written")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._draining < self._lanes:
            self._draining += 1
            task = asyncio.create_task(self._drain())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await future

    async def _drain(self) -> None:
        # Counted down here and not when the task is done: between the last look and the end of
        # a task its callers go on, and what they put next must find a lane.
        try:
            while self._waiting:
                await self._company()
                size = min(self._largest, len(self._waiting))  # another lane may have taken all
                if batch := [self._waiting.popleft() for _ in range(size)]:
                    await self._settle(batch)
        finally:
            self._draining -= 1

    async def _company(self) -> None:
        """Let those come who are on their way."""
        if self._gather and len(self._waiting) < self._largest:
            await asyncio.sleep(self._gather)
        known = 0
        for _ in range(TURNS):
            if not known < len(self._waiting) < self._largest:
                return
            known = len(self._waiting)
            await asyncio.sleep(0)

    async def _settle(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = _matching(batch, await self._write([item for item, _ in batch]))
        except Exception as error:  # noqa: BLE001 - handed to those who wait for it
            if len(batch) > 1 and not isinstance(error, StoreUnavailable):
                for one in batch:
                    await self._settle([one])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)

    async def close(self) -> None:
        """Wait until everything that was put has been written."""
        while self._running:
            await asyncio.gather(*self._running)


def _matching(batch: Sequence[object], results: Sequence[Result]) -> Sequence[Result]:
    """A writer that answers for fewer than it was given would leave callers waiting for ever."""
    if len(results) != len(batch):
        raise RuntimeError(f"{len(results)} results for {len(batch)} items")
    return results

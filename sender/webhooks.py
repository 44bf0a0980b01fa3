"""The loop that tells webhooks: hand events over, claim what is due, post, write what came of it.

Any number of nodes run it.  Each endpoint has so many places on all of them together, and no other
endpoint waits for its places: a slow one holds up itself alone.  Nothing is in a transaction while
a post is on the network.  What came of a post is written within its lease, or another node posts it
again under the same id: at least once, never less.

Stopping: no new claims; posts under way may end within the grace, the rest are given back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson
import structlog

from analysis.batch import Batch
from analysis.lookup import Json, iso
from analysis.retry import Schedule
from analysis.store import Store, StoreUnavailable
from analysis.webhooks import TEST, Answer, Endpoint, Result
from sender.webhook_calls import (
    Call,
    Ended,
    claim,
    due,
    hand_over,
    judge,
    portions,
    release,
    settle,
)
from sender.webhook_http import Poster, Signed

log = structlog.get_logger()

SLACK = 45.0
"""Seconds of a lease beyond the longest post: for the DNS before it and writing after it."""
_GONE_EVENT = Answer(None, "the event is no longer kept", 0.0)


class Observer(Protocol):
    """Hears of every try that was written."""

    def told(self, result: Result) -> None: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """Times in seconds."""

    places: int = 20  # of one endpoint, on all nodes
    poll: float = 1.0
    grace: float = 10.0


class Webhooks:
    def __init__(
        self,
        store: Store,
        poster: Poster,
        schedule: Schedule,
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        observer: Observer,
        pace: Pace | None = None,
    ) -> None:
        self._store = store
        self._poster = poster
        self._schedule = schedule
        self._clock = clock
        self._random = random
        self._observer = observer
        self._pace = pace or Pace()
        self._ends: Batch[Ended, list[Endpoint]] = Batch(self._write, gather=0.005)
        self._active: dict[asyncio.Task[None], Call] = {}
        self._awake = asyncio.Event()

    async def serve(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                self._awake.clear()
                if not await self.round():
                    await self._rest(stopping)
        finally:
            stopping.cancel()
            await self._finish()

    async def round(self) -> int:
        """Hand over what is new and begin what is due; how much was begun."""
        try:
            now = self._clock()
            found, waits = await self._store.read(lambda tx: (portions(tx), due(tx, now)))
            if found:
                await self._store.write(lambda tx: hand_over(tx, found, now))
            calls = await self._claim() if found or waits else []
        except StoreUnavailable as error:
            log.warning("webhooks wait: the database is unavailable", error=str(error))
            return 0
        for call in calls:
            task = asyncio.create_task(self._tell(call))
            self._active[task] = call
            task.add_done_callback(self._ended)
        return len(calls)

    async def settled(self) -> None:
        """Wait for what is under way."""
        while self._active:
            await asyncio.wait(set(self._active))

    async def test(self, endpoint: Endpoint, event_id: str) -> tuple[Json, Answer]:
        """Post a `webhook.test` event now, past the queue; what was sent and what came of it."""
        now = self._clock()
        payload = {
            "id": event_id,
            "at": iso(now),
            "type": TEST,
            "timestamp": iso(now),
            "sequence": None,
            "message_id": None,
            "delivery_id": None,
            "data": {"webhook_id": endpoint.id},
        }
        return payload, await self._post(endpoint, payload)

    async def _claim(self) -> list[Call]:
        lease = self._poster.seconds + SLACK
        return await self._store.write(
            lambda tx: claim(tx, now=self._clock(), lease=lease, places=self._pace.places)
        )

    async def _tell(self, call: Call) -> None:
        answer = _GONE_EVENT
        if call.payload is not None:
            answer = await self._post(call.endpoint, call.payload)
        now = self._clock()
        ended = judge(call, answer, self._schedule, now, self._random)
        if call.payload is None:
            ended = Ended(call, answer, Result.FAILED, now, None)
        try:
            disabled = await self._ends.put(ended)
        except StoreUnavailable as error:
            log.warning("a webhook's end is not written: it is sent again", error=str(error))
            return
        self._observer.told(ended.result)
        for endpoint in disabled:
            log.warning("a webhook was disabled", webhook=endpoint.id, answer=answer.text[:100])

    async def _post(self, endpoint: Endpoint, payload: Json) -> Answer:
        now = self._clock()
        signed = Signed(payload["id"], orjson.dumps(payload), endpoint.secrets(now))
        return await self._poster.post(endpoint.url, signed, now=now)

    async def _write(self, ends: Sequence[Ended]) -> list[list[Endpoint]]:
        disabled = await self._store.write(lambda tx: settle(tx, ends))
        return [disabled, *([] for _ in ends[1:])]

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._active[task]
        self._awake.set()
        if not task.cancelled() and (error := task.exception()):
            log.error("telling a webhook failed by our own fault", error=repr(error))

    async def _rest(self, stopping: asyncio.Task[bool]) -> None:
        """Until a place is free, the next poll, or the end."""
        awake = asyncio.create_task(self._awake.wait())
        await asyncio.wait(
            {awake, stopping}, timeout=self._pace.poll, return_when=asyncio.FIRST_COMPLETED
        )
        awake.cancel()

    async def _finish(self) -> None:
        if self._active:
            await asyncio.wait(set(self._active), timeout=self._pace.grace)
        left = dict(self._active)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._ends.close()
        if left:
            try:
                await self._store.write(lambda tx: release(tx, list(left.values())))
            except StoreUnavailable as error:
                log.warning("webhooks are left to their leases", error=str(error))

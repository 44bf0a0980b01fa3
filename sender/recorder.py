"""The recorder: what came of an attempt is written, whatever happens.

Many records share a commit.  However long the database is away, it is tried again: to forget a 250
would send twice.  Where a record cannot be written for another reason, it is written without the
remote host's words, which are all in it that we did not make; should that fail too, the claim is
given back and waits longer each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

import structlog

from analysis import suppression
from analysis.batch import Batch
from analysis.reply import Reply
from analysis.store import Store, StoreUnavailable
from sender import leases
from sender.queue import Claim
from sender.record import Record, record

log = structlog.get_logger()

T = TypeVar("T")

UNRECORDED = 60.0
"""Seconds that a claim waits whose end could not be written; twice as long at each further try."""
UNRECORDED_MOST = 6 * 3600.0


class Observer(Protocol):
    """Hears of every record that was written, for metrics."""

    def attempted(self, record: Record) -> None: ...


class Recorder:
    """`gather`: seconds within which what ends is recorded together."""

    def __init__(
        self,
        store: Store,
        *,
        gather: float,
        limits: suppression.Limits,
        clock: Callable[[], float],
        observer: Observer,
    ) -> None:
        self._store = store
        self._limits = limits
        self._clock = clock
        self._observer = observer
        self._records: Batch[Record, bool] = Batch(self._write, gather=gather)

    async def put(self, done: Record) -> None:
        """Returns when it is written, or its claim is given back."""
        for version in _versions(done):
            try:
                if await _insist(lambda version=version: self._records.put(version)):  # type: ignore[misc]
                    self._observer.attempted(done)
            except Exception:
                # A fault of ours, in what is written or in who hears of it: nobody else may suffer.
                log.exception("an attempt could not be recorded", delivery=done.claim.delivery_id)
            else:
                return
        wait = min(UNRECORDED * 2 ** min(done.claim.epoch, 20), UNRECORDED_MOST)
        await _insist(lambda: self.release([done.claim], wait))

    async def release(self, claims: Sequence[Claim], wait: float = 0.0) -> None:
        """Give claims back, due again in `wait` seconds.  Raises `StoreUnavailable`."""
        now, held = self._clock(), [(claim.delivery_id, claim.epoch) for claim in claims]
        await self._store.write(
            lambda tx: leases.release(tx, held=held, now=now, due_at=now + wait)
        )

    async def close(self) -> None:
        """Wait until everything that was put has been written."""
        await self._records.close()

    async def _write(self, records: Sequence[Record]) -> list[bool]:
        now = self._clock()
        return await self._store.write(lambda tx: record(tx, records, now=now, limits=self._limits))


async def _insist(write: Callable[[], Awaitable[T]]) -> T:
    pause = 0.1
    while True:
        try:
            return await write()
        except StoreUnavailable as error:
            log.warning("cannot record yet: the database is unavailable", error=str(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)


def _versions(done: Record) -> Iterator[Record]:
    """As it is, then the same outcome with nothing in it that a remote host wrote."""
    yield done
    words = Reply(done.reply.code, None, "the answer could not be stored", done.reply.stage)
    yield replace(done, reply=words, verdict=replace(done.verdict, evidence=""), address="")

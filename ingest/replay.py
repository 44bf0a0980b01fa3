"""The replay's loop: every stored report and every final reply, read with today's rules.

Memory is bounded by a page, no transaction is longer than one report's, and reading is off the
event loop.  Without `apply` each piece of work is done and rolled back, so that what is shown is
what would happen.  It may be stopped at any point and run again; reports that came meanwhile are
the reader's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from analysis import rejudge, replay, suppression
from analysis.amends import Change, Memory
from analysis.facts import Arrival, Reading
from analysis.rejudge import Judge
from analysis.schema import raw_inbound
from analysis.store import Store, StoreUnavailable, Work
from ingest.inbox import Raw
from ingest.worker import arrival, meant

_Work = Work[list[Change]]

PAGE = 200
"""Rows looked up at once."""
MOST_OCTETS = 8_000_000
"""Octets of raw reports held at once, unless a single one is larger."""


@dataclass(frozen=True, slots=True)
class Step:
    """A piece of the way: how many were read, what changed, what could not be entered and why."""

    done: int
    changes: list[Change]
    failures: list[str]


class _Rehearsed(Exception):
    """Rolls back what was only to be shown."""

    def __init__(self, changes: list[Change]) -> None:
        super().__init__()
        self.changes = changes


class Replay:
    def __init__(
        self,
        store: Store,
        *,
        read: Callable[[bytes], Reading],
        judge: Judge,
        owner_of: Callable[[str, float], str | None],
        limits: suppression.Limits,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        apply: bool,
    ) -> None:
        """`owner_of` gives the delivery that a VERP local part was issued for, if it was genuine
        at the time given.  `read` and `judge` hold today's rules."""
        self._store = store
        self._read = read
        self._judge = judge
        self._owner_of = owner_of
        self._limits = limits
        self._clock = clock
        self._new_id = new_id
        self._apply = apply
        self._memory = Memory()

    async def size(self, since: float) -> int:
        """How many reports and replies there are to read."""
        told = select(func.count()).select_from(raw_inbound).where(*_stored(since))
        return await self._store.read(
            lambda tx: int(tx.execute(told).scalar_one()) + rejudge.count(tx, since)
        )

    async def run(self, since: float) -> AsyncIterator[Step]:
        """Read everything since a time (Unix seconds); a step for each piece of work."""
        async for step in self._reports(since):
            yield step
        async for step in self._replies(since):
            yield step

    async def _reports(self, since: float) -> AsyncIterator[Step]:
        after = ""
        while page := await self._store.read(partial(_sizes, after=after, since=since)):
            after = page[-1][0]
            for ids in _portions(page):
                raws = await self._store.read(partial(_contents, ids=ids))
                readings = await asyncio.to_thread(self._read_all, raws)
                yield await self._step(len(ids), await self._changed(raws, readings))

    def _read_all(self, raws: Sequence[Raw]) -> list[Reading]:
        return [meant(raw, self._read(raw.content)) for raw in raws]

    async def _changed(
        self, raws: Sequence[Raw], readings: Sequence[Reading]
    ) -> list[tuple[str, _Work]]:
        """Work for the reports that mean something else today."""
        now = self._clock()

        def compare(tx: Connection) -> list[Arrival]:
            arrivals = [self._arrival(tx, *pair) for pair in zip(raws, readings, strict=True)]
            return [one for one in arrivals if replay.differs(tx, one, self._memory, now)]

        return [
            (
                one.raw_id,
                partial(
                    replay.reread,
                    arrival=one,
                    memory=self._memory,
                    now=now,
                    limits=self._limits,
                    new_id=self._new_id,
                ),
            )
            for one in await self._store.read(compare)
        ]

    def _arrival(self, tx: Connection, raw: Raw, reading: Reading) -> Arrival:
        return arrival(tx, raw, reading, lambda token: self._owner_of(token, raw.received_at))

    async def _replies(self, since: float) -> AsyncIterator[Step]:
        after = ""
        while page := await self._store.read(
            partial(rejudge.page, after=after, since=since, limit=PAGE)
        ):
            after = page[-1].id
            yield await self._step(len(page), await self._judged_anew(page))

    async def _judged_anew(self, page: Sequence[Row[Any]]) -> list[tuple[str, _Work]]:
        """Work for the replies that mean something else today."""
        now = self._clock()

        def compare(tx: Connection) -> list[str]:
            differ = partial(rejudge.differs, judge=self._judge, memory=self._memory, now=now)
            return [row.id for row in page if differ(tx, row)]

        return [
            (
                delivery_id,
                partial(
                    rejudge.rejudge,
                    delivery_id=delivery_id,
                    judge=self._judge,
                    memory=self._memory,
                    now=now,
                    limits=self._limits,
                ),
            )
            for delivery_id in await self._store.read(compare)
        ]

    async def _step(self, done: int, work: Sequence[tuple[str, _Work]]) -> Step:
        step = Step(done, [], [])
        for what, one in work:
            try:
                step.changes.extend(await self._do(one))
            except StoreUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - what cannot be entered keeps nobody else out
                step.failures.append(f"{what}: {type(error).__name__}: {error}")
        return step

    async def _do(self, work: _Work) -> list[Change]:
        if self._apply:
            return await self._store.write(work)

        def rehearse(tx: Connection) -> None:
            raise _Rehearsed(work(tx))

        try:
            await self._store.write(rehearse)
        except _Rehearsed as done:
            return self._memory.rehearsed(done.changes)
        raise AssertionError("unreachable")


def _stored(since: float) -> tuple[ColumnElement[bool], ...]:
    return (raw_inbound.c.received_at >= since, raw_inbound.c.state != "new")


def _sizes(tx: Connection, *, after: str, since: float) -> list[tuple[str, int]]:
    """Ids and octets of the next page."""
    size = func.length(raw_inbound.c.content)
    wanted = select(raw_inbound.c.id, size).where(raw_inbound.c.id > after, *_stored(since))
    found = tx.execute(wanted.order_by(raw_inbound.c.id).limit(PAGE))
    return [(row[0], row[1] or 0) for row in found]


def _portions(page: Sequence[tuple[str, int]]) -> list[list[str]]:
    """Ids in order, cut where their contents would be too much at once."""
    portions: list[list[str]] = [[]]
    octets = 0
    for raw_id, size in page:
        if portions[-1] and octets + size > MOST_OCTETS:
            portions.append([])
            octets = 0
        portions[-1].append(raw_id)
        octets += size
    return portions


def _contents(tx: Connection, *, ids: Sequence[str]) -> list[Raw]:
    columns = [raw_inbound.c[field.name] for field in fields(Raw)]
    rows = tx.execute(select(*columns).where(raw_inbound.c.id.in_(ids)).order_by(raw_inbound.c.id))
    return [Raw(**row._mapping) for row in rows]

"""Warm-up: how many messages a new source may send to one provider today.

A ladder has a step for each day since it began; after the last one there is no bound.  What is
taken of a step is counted in the database, so that nodes share it and a restart forgets nothing.
A node takes a slab (a twentieth of the step) in one write and hands it out message by message;
what it has not used it puts back when it stops.  A crash loses at most a slab: fewer messages go
out that day, never more.

`StoreUnavailable` passes through: without the count nothing goes out by a ladder.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Connection, delete, select, update

from analysis.schema import warmup_counts
from analysis.store import Store, StoreUnavailable, insert_once

log = structlog.get_logger()

DAY = 86_400.0
MOST_STEPS = 366
KEPT_DAYS = 90
LOOK_AGAIN = 60.0
"""Seconds after which a step that was used up is asked for again: another node may have put back
what it did not use."""

_STEP = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Ladder:
    """`steps[n]` messages to each provider on day `since + n` (UTC days since 1970-01-01)."""

    steps: tuple[int, ...]
    since: int

    def limit(self, day: int) -> int | None:
        """How many that day: none before it begins; None: as many as there are."""
        if day < self.since:
            return 0
        return self.steps[day - self.since] if day - self.since < len(self.steps) else None


def parse_steps(text: str) -> tuple[int, ...]:
    """Read `50, 100, 200`, or raise ValueError."""
    steps = [step.strip() for step in text.split(",")]
    if len(steps) > MOST_STEPS or not all(map(_STEP.fullmatch, steps)):
        raise ValueError(
            f"{text[:40]!r} is no ladder, such as 50, 100, 200: messages a day, "
            f"for at most {MOST_STEPS} days"
        )
    return tuple(map(int, steps))


def next_day(now: float) -> float:
    """When the next step begins, in Unix seconds."""
    return (now // DAY + 1) * DAY


@dataclass(slots=True, eq=False)
class _Slab:
    """What this process has of one step."""

    day: int
    left: int = 0
    ask_again: float = 0.0
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class Taken:
    """One message's place on a ladder's step; given back where nothing was handed over."""

    source: str
    provider: str
    day: int


class Warmup:
    """`clock` is Unix seconds.  Use within one event loop."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self.clock = clock
        self._slabs: dict[tuple[str, str], _Slab] = {}  # sources of settings x providers

    async def take(self, source: str, provider: str, limit: int) -> Taken | None:
        """A place on today's step of `limit` messages, or None where it is used up."""
        slab = self._today(source, provider)
        if slab.left == 0 and self.clock() >= slab.ask_again:
            async with slab.asking:
                if slab.left == 0 and self.clock() >= slab.ask_again:
                    await self._fill(slab, source, provider, limit)
        if slab.left == 0:
            return None
        slab.left -= 1
        return Taken(source, provider, slab.day)

    def give_back(self, place: Taken) -> None:
        slab = self._slabs.get((place.source, place.provider))
        if slab is not None and slab.day == place.day:
            slab.left += 1

    async def put_down(self) -> None:
        """Put back what is left of the slabs; what cannot be is lost for the day."""
        left = {key: slab for key, slab in self._slabs.items() if slab.left}
        self._slabs.clear()
        if not left:
            return
        try:
            await self._store.write(lambda tx: _put_back(tx, left))
        except StoreUnavailable as error:
            log.warning("warmup.lost", places=sum(s.left for s in left.values()), error=str(error))

    def _today(self, source: str, provider: str) -> _Slab:
        day = int(self.clock() // DAY)
        slab = self._slabs.get((source, provider))
        if slab is None or slab.day != day:
            slab = self._slabs[source, provider] = _Slab(day)
        return slab

    async def _fill(self, slab: _Slab, source: str, provider: str, limit: int) -> None:
        wanted = max(1, limit // 20)
        slab.left += await self._store.write(
            lambda tx: reserve(tx, Taken(source, provider, slab.day), wanted, limit)
        )
        if slab.left == 0:
            slab.ask_again = self.clock() + LOOK_AGAIN


def reserve(tx: Connection, place: Taken, wanted: int, limit: int) -> int:
    """Take up to `wanted` of what is left of a step of `limit`; how many were taken."""
    row = {"day": place.day, "source": place.source, "provider": place.provider}
    if insert_once(tx, warmup_counts, [row | {"count": 0}], returning="day"):
        tx.execute(delete(warmup_counts).where(warmup_counts.c.day < place.day - KEPT_DAYS))
    here = [warmup_counts.c[name] == value for name, value in row.items()]
    count = tx.execute(select(warmup_counts.c.count).where(*here).with_for_update()).scalar_one()
    taken = max(0, min(wanted, limit - int(count)))
    if taken:
        tx.execute(update(warmup_counts).where(*here).values(count=warmup_counts.c.count + taken))
    return taken


def _put_back(tx: Connection, left: dict[tuple[str, str], _Slab]) -> None:
    for (source, provider), slab in sorted(left.items()):
        tx.execute(
            update(warmup_counts)
            .where(
                warmup_counts.c.day == slab.day,
                warmup_counts.c.source == source,
                warmup_counts.c.provider == provider,
            )
            .values(count=warmup_counts.c.count - slab.left)
        )

"""Warm-up: no day's step is ever overdrawn, whoever takes of it, and little of it is lost."""

from __future__ import annotations

import asyncio
from datetime import date

import pytest

from analysis.schema import warmup_counts
from analysis.store import Store, open_store
from sender.warmup import DAY, KEPT_DAYS, LOOK_AGAIN, Ladder, Warmup, next_day, parse_steps
from tests.storing import rows

MONDAY = 20_000
LADDER = Ladder((50, 100, 200), MONDAY)


class Clock:
    def __init__(self, day: int = MONDAY) -> None:
        self.now = day * DAY + 3_600.0

    def __call__(self) -> float:
        return self.now


def test_a_ladder_begins_and_ends() -> None:
    limits = [LADDER.limit(MONDAY + day) for day in range(-1, 4)]
    assert limits == [0, 50, 100, 200, None]


def test_steps_are_read() -> None:
    assert parse_steps("50, 100,200") == (50, 100, 200)
    for text in ("", "50,", "0", "-5", "5 0", "1e3", ", ".join(["1"] * 400)):
        with pytest.raises(ValueError, match="no ladder, such as 50, 100, 200"):
            parse_steps(text)


def test_the_next_step_begins_at_midnight_utc() -> None:
    midnight = (date(2027, 3, 2).toordinal() - date(1970, 1, 1).toordinal()) * DAY
    assert next_day(midnight - 1) == midnight
    assert next_day(midnight) == midnight + DAY


async def taken(warmup: Warmup, wanted: int, limit: int = 50, provider: str = "gmail") -> int:
    places = [await warmup.take("192.0.2.1", provider, limit) for _ in range(wanted)]
    return sum(place is not None for place in places)


@pytest.mark.anyio
async def test_a_step_is_shared_by_nodes_and_never_overdrawn(
    store: Store, migrated_url: str
) -> None:
    other, clock = open_store(migrated_url), Clock()
    try:
        nodes = [Warmup(each, clock) for each in (store, other) for _ in range(2)]
        found = await asyncio.gather(*(taken(node, 30) for node in nodes for _ in range(2)))
        assert sum(found) == 50
        assert await taken(nodes[0], 10, provider="yahoo") == 10
    finally:
        await other.close()


@pytest.mark.anyio
async def test_writes_are_for_many(store: Store) -> None:
    """A twentieth of the step at a time."""
    writes = 0

    class Counted:
        async def write(self, work: object) -> object:
            nonlocal writes
            writes += 1
            return await store.write(work)  # type: ignore[arg-type]

    warmup = Warmup(Counted(), Clock())  # type: ignore[arg-type]
    assert await taken(warmup, 1_000, 1_000) == 1_000
    assert writes == 20
    assert await taken(warmup, 500, 1_000) == 0
    assert writes == 21, "a step that is used up is not asked for again at once"


@pytest.mark.anyio
async def test_what_was_not_handed_over_is_there_for_others(store: Store) -> None:
    clock = Clock()
    warmup, other = Warmup(store, clock), Warmup(store, clock)
    place = await warmup.take("192.0.2.1", "gmail", 1)
    assert place is not None
    assert await taken(other, 1, 1) == 0
    warmup.give_back(place)
    await warmup.put_down()
    assert await taken(other, 1, 1) == 0, "it asks again after a while"
    clock.now += LOOK_AGAIN
    assert await taken(other, 1, 1) == 1


@pytest.mark.anyio
async def test_the_count_outlives_a_restart_and_a_day_begins_anew(store: Store) -> None:
    clock = Clock()
    assert await taken(Warmup(store, clock), 49) == 49
    assert await taken(Warmup(store, clock), 10) <= 1
    clock.now += DAY
    assert await taken(Warmup(store, clock), 150, 100) == 100
    clock.now += KEPT_DAYS * DAY
    await taken(Warmup(store, clock), 1)
    days = [row["day"] for row in await rows(store, warmup_counts)]
    assert days == [MONDAY + 1, MONDAY + 1 + KEPT_DAYS]


@pytest.mark.anyio
async def test_a_place_of_yesterday_is_none_today(store: Store) -> None:
    clock = Clock()
    warmup = Warmup(store, clock)
    place = await warmup.take("192.0.2.1", "gmail", 1)
    assert place is not None
    clock.now += DAY
    assert await taken(warmup, 2, 1) == 1
    warmup.give_back(place)
    assert await taken(warmup, 1, 1) == 0

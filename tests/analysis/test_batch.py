"""Group commit: a crowd shares a write, and no item pays for another's fault."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from analysis.batch import TURNS, Batch, Overloaded
from analysis.store import StoreUnavailable

pytestmark = pytest.mark.anyio


class Ledger:
    """Writes numbers down in batches; may be told to wait, to refuse one, or to be away."""

    def __init__(self, *, poison: int | None = None) -> None:
        self.batches: list[list[int]] = []
        self.poison = poison
        self.away = False
        self.open = asyncio.Event()
        self.open.set()
        self.begun = asyncio.Event()
        self.at_once = 0
        self.most_at_once = 0

    async def write(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.begun.set()
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.open.wait()
        finally:
            self.at_once -= 1
        if self.away:
            raise StoreUnavailable("gone")
        if self.poison in items:
            raise ValueError(f"cannot write {self.poison}")
        return [item * 10 for item in items]


async def put_all(batch: Batch[int, int], count: int) -> list[int | BaseException]:
    return await asyncio.gather(*(batch.put(n) for n in range(count)), return_exceptions=True)


async def test_a_lonely_item_is_written_at_once() -> None:
    ledger = Ledger()
    assert await Batch(ledger.write).put(7) == 70
    assert ledger.batches == [[7]]


async def test_a_crowd_shares_writes_and_each_gets_its_own_result() -> None:
    ledger = Ledger()
    assert await put_all(Batch(ledger.write), 100) == [n * 10 for n in range(100)]
    assert len(ledger.batches) <= 2


async def test_what_comes_during_a_write_goes_into_the_next_one_together() -> None:
    ledger = Ledger()
    batch = Batch(ledger.write)
    ledger.open.clear()
    first = asyncio.create_task(batch.put(0))
    await ledger.begun.wait()
    rest = [asyncio.create_task(batch.put(n)) for n in (1, 2, 3)]
    await asyncio.sleep(0)
    ledger.open.set()
    assert await asyncio.gather(first, *rest) == [0, 10, 20, 30]
    assert ledger.batches == [[0], [1, 2, 3]]


async def test_who_comes_turn_by_turn_is_waited_for_but_not_for_ever() -> None:
    ledger = Ledger()
    batch = Batch(ledger.write)
    puts = []
    for n in range(5 * TURNS):
        puts.append(asyncio.create_task(batch.put(n)))
        await asyncio.sleep(0)
    await asyncio.gather(*puts)
    first, *rest = ledger.batches
    assert TURNS <= len(first) <= TURNS + 2
    assert [*first, *(n for one in rest for n in one)] == list(range(5 * TURNS))


async def test_a_lane_that_finds_nothing_left_writes_nothing() -> None:
    ledger = Ledger()
    batch = Batch(ledger.write, lanes=3)
    assert await put_all(batch, 3) == [0, 10, 20]
    await batch.close()
    assert ledger.batches == [[0, 1, 2]]


async def test_whoever_puts_one_after_the_other_never_waits_for_a_third() -> None:
    """Between a lane's last look at the line and its end its callers go on."""
    batch = Batch(Ledger().write)
    async with asyncio.timeout(60):
        assert [await batch.put(n) for n in range(20)] == [n * 10 for n in range(20)]


@pytest.mark.parametrize("lanes", [1, 3])
async def test_no_more_writers_run_than_there_are_lanes(lanes: int) -> None:
    ledger = Ledger()
    batch = Batch(ledger.write, largest=5, lanes=lanes)
    ledger.open.clear()
    puts = asyncio.create_task(put_all(batch, 50))
    for _ in range(20):
        await asyncio.sleep(0)
    ledger.open.set()
    await puts
    assert ledger.most_at_once == lanes
    assert max(map(len, ledger.batches)) == 5


async def test_a_poisonous_item_fails_alone() -> None:
    answers = await put_all(Batch(Ledger(poison=3).write), 6)
    assert isinstance(answers[3], ValueError)
    assert [a for a in answers if not isinstance(a, ValueError)] == [0, 10, 20, 40, 50]


async def test_a_store_that_is_away_is_asked_once_for_all_of_them() -> None:
    ledger = Ledger()
    ledger.away = True
    answers = await put_all(Batch(ledger.write), 50)
    assert all(isinstance(answer, StoreUnavailable) for answer in answers)
    assert len(ledger.batches) <= 2


async def test_after_trouble_the_next_item_is_written() -> None:
    ledger = Ledger()
    batch = Batch(ledger.write)
    ledger.away = True
    await put_all(batch, 3)
    ledger.away = False
    assert await put_all(batch, 3) == [0, 10, 20]


async def test_a_full_line_turns_the_next_one_away() -> None:
    ledger = Ledger()
    ledger.open.clear()
    batch = Batch(ledger.write, waiting=3, largest=1)
    first = asyncio.create_task(batch.put(0))
    await ledger.begun.wait()
    line = [asyncio.create_task(batch.put(n)) for n in (1, 2, 3)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await batch.put(4)
    ledger.open.set()
    assert await asyncio.gather(first, *line) == [0, 10, 20, 30]


async def test_one_who_goes_away_takes_nobody_along() -> None:
    ledger = Ledger()
    ledger.open.clear()
    batch = Batch(ledger.write)
    leaving, staying = asyncio.create_task(batch.put(1)), asyncio.create_task(batch.put(2))
    await ledger.begun.wait()
    leaving.cancel()
    ledger.open.set()
    assert await staying == 20
    assert ledger.batches == [[1, 2]]  # what was put is written, whoever waits for it


async def test_close_waits_until_everything_is_written() -> None:
    ledger = Ledger()
    ledger.open.clear()
    batch = Batch(ledger.write, largest=2)
    puts = [asyncio.create_task(batch.put(n)) for n in range(5)]
    await ledger.begun.wait()
    closing = asyncio.create_task(batch.close())
    ledger.open.set()
    await closing
    assert sorted(n for written in ledger.batches for n in written) == list(range(5))
    assert all(put.done() for put in puts)


async def test_what_comes_while_a_batch_gathers_is_written_with_it() -> None:
    ledger = Ledger()
    batch = Batch(ledger.write, gather=0.05)

    async def later(item: int) -> int:
        await asyncio.sleep(0)
        return await batch.put(item)

    assert await asyncio.gather(batch.put(1), later(2), later(3)) == [10, 20, 30]
    assert ledger.batches == [[1, 2, 3]]


async def test_a_full_batch_gathers_no_longer() -> None:
    ledger = Ledger()
    batch = Batch(ledger.write, gather=3_600, largest=2)
    assert await asyncio.gather(batch.put(1), batch.put(2)) == [10, 20]

"""Answers are counted by the minute, of all processes together, and forgotten in time."""

from __future__ import annotations

import asyncio

import pytest

from analysis import tallies
from analysis.reply import Reply
from analysis.schema import refusals
from analysis.schema import tallies as table
from analysis.store import Store
from analysis.tallies import MOST_WORDINGS, Collected, Key, Outcome, totals, wordings
from tests.storing import NOW, rows

pytestmark = pytest.mark.anyio

TAKEN = Key("gmail", Outcome.ACCEPTED)
BLOCKED = Key("gmail", Outcome.REFUSED, "sender", "reputation")
REPUTATION = frozenset({"reputation"})


def said(words: str) -> Reply:
    return Reply(550, "5.7.1", words)


async def added(store: Store, *counted: tuple[float, Key]) -> None:
    collected = Collected()
    for at, key in counted:
        collected.count(at, key)
    await store.write(lambda tx: tallies.add(tx, collected))


async def counted(store: Store, window: float, now: float = NOW) -> dict[Key, int]:
    return dict(await store.read(lambda tx: totals(tx, now, window)))


async def test_many_processes_add_up(store: Store) -> None:
    await asyncio.gather(*(added(store, (NOW, TAKEN), (NOW, BLOCKED)) for _ in range(8)))
    assert await counted(store, 300) == {TAKEN: 8, BLOCKED: 8}


async def test_a_window_holds_what_came_within_it(store: Store) -> None:
    await added(store, *((NOW - 60 * minute, TAKEN) for minute in range(120)))
    assert await counted(store, 300) == {TAKEN: 5}
    assert await counted(store, 3_600) == {TAKEN: 60}
    assert (await counted(store, 86_400))[TAKEN] == 120


async def test_hours_outlive_minutes_and_go_in_the_end(store: Store) -> None:
    await added(store, (NOW, TAKEN))
    await store.write(lambda tx: tallies.forget(tx, NOW + 10 * 3_600))
    assert [row["span"] for row in await rows(store, table)] == [3_600]
    await store.write(lambda tx: tallies.forget(tx, NOW + 10 * 86_400))
    assert await rows(store, table) == []


async def test_words_are_kept_by_wording_without_addresses(store: Store) -> None:
    for n in range(3):
        collected = Collected()
        reply = said(f"<u{n}@example.net>: blocked for 192.0.2.{n}, ask postmaster@example.net")
        collected.heard(NOW + n, BLOCKED, reply, f"{n:026d}")
        await store.write(lambda tx, c=collected: tallies.add(tx, c))  # type: ignore[misc]
    [row] = await rows(store, refusals)
    assert (row["seen"], row["first_at"], row["last_at"]) == (3, NOW, NOW + 2)
    assert (row["first_delivery"], row["last_delivery"]) == (f"{0:026d}", f"{2:026d}")
    assert "@" not in row["example"]
    assert row["example"] == "550 5.7.1 (address) blocked for 192.0.2.2, ask (address)"
    found = await store.read(lambda tx: wordings(tx, "gmail", REPUTATION, since=NOW, most=5))
    assert [(category, word.seen) for category, word in found] == [("reputation", 3)]


def test_what_a_stranger_words_anew_each_time_fills_no_memory() -> None:
    collected = Collected()
    for n in range(1_000):
        collected.heard(NOW, BLOCKED, said("no " * (n % 50) + "x" * (n % 90)), None)
    assert len(collected.words) == MOST_WORDINGS


def test_counts_that_could_not_be_written_are_joined() -> None:
    first, second = Collected(), Collected()
    for one in (first, second):
        one.count(NOW, TAKEN)
        one.heard(NOW, BLOCKED, said("no"), "a")
    first.join(second)
    assert first.counts[int(NOW) // 60, TAKEN] == 2
    assert first.words["gmail", "reputation", "no"].seen == 2

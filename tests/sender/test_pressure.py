"""Back-pressure: no more waits than may, each class for itself, and room comes back by itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from analysis.schema import deliveries
from analysis.store import Store, StoreFull, StoreUnavailable
from sender.pressure import Congested, Limits, Pressure, size
from sender.unsent import cancel
from tests.sender.test_intake import opened, order
from tests.storing import NOW, rows, sent_to, submission, submitted

pytestmark = pytest.mark.anyio


@dataclass
class Heard:
    """Why messages were put off."""

    whys: list[str] = field(default_factory=list)

    def put_off(self, why: str) -> None:
        self.whys.append(why)


def pressure(store: Store, heard: Heard | None = None, **limits: Any) -> Pressure:
    return Pressure(store, Limits(**limits), lambda: NOW, heard or Heard(), free=lambda: 1_000)


async def taken(pressed: Pressure, store: Store, *orders: Any) -> int:
    """How many of the orders, all at once, were taken."""
    intake = opened(store, pressure=pressed)
    found = await asyncio.gather(*(intake.accept(one) for one in orders), return_exceptions=True)
    assert all(not isinstance(one, Exception) or isinstance(one, Congested) for one in found)
    return sum(not isinstance(one, Exception) for one in found)


async def test_never_more_waits_than_may_also_between_two_looks(store: Store) -> None:
    heard = Heard()
    pressed = pressure(store, heard, waiting=7)
    await sent_to(store, "first@example.net", "second@example.net")
    await pressed.look()
    crowd = [order(f"u{n}@example.net") for n in range(20)]
    assert await taken(pressed, store, *crowd) == 5
    assert heard.whys == ["waiting"] * 15
    await pressed.look()
    assert await taken(pressed, store, *crowd) == 0
    assert len(await rows(store, deliveries)) == 7


async def test_a_message_to_several_needs_room_for_each(store: Store) -> None:
    pressed = pressure(store, waiting=3)
    both = order("a@example.net", "b@example.net")
    assert [await taken(pressed, store, both) for _ in range(2)] == [1, 0]
    assert await taken(pressed, store, order("c@example.net")) == 1


async def test_a_newsletter_that_waits_puts_off_no_login_code(store: Store) -> None:
    pressed = pressure(store, waiting=1)
    assert await taken(pressed, store, order(class_="bulk"), order(class_="bulk")) == 1
    assert await taken(pressed, store, order(class_="otp"), order()) == 2


async def test_what_leaves_makes_room(store: Store) -> None:
    pressed = pressure(store, waiting=1)
    waits = submission()
    await submitted(store, waits)
    await pressed.look()
    assert await taken(pressed, store, order()) == 0
    await store.write(lambda tx: cancel(tx, waits.id, now=NOW))
    await pressed.look()
    assert await taken(pressed, store, order()) == 1


async def test_what_could_not_be_taken_leaves_its_room_to_others(store: Store) -> None:
    pressed = pressure(store, waiting=1)
    with pytest.raises(RuntimeError), pressed.taking("bulk", 1):
        raise RuntimeError
    with pressed.taking("bulk", 1):
        pass
    with pytest.raises(Congested), pressed.taking("bulk", 1):
        pass


async def test_mail_that_has_waited_too_long_puts_off_more_of_its_class(store: Store) -> None:
    heard = Heard()
    pressed = pressure(store, heard, oldest=60.0)
    await sent_to(store, "ann@example.net", at=NOW - 60.0)
    await pressed.look()
    assert await taken(pressed, store, order()) == 1
    await sent_to(store, "bob@example.net", at=NOW - 61.0)
    await pressed.look()
    assert await taken(pressed, store, order(), order(class_="otp")) == 1
    assert heard.whys == ["oldest"]


@pytest.mark.parametrize("short", [{"free_space": 1_001}, {"database_size": 1}])
async def test_room_that_runs_short_is_kept_for_what_becomes_of_mail(
    store: Store, short: dict[str, int]
) -> None:
    heard = Heard()
    pressed = pressure(store, heard, **short)
    await pressed.look()
    with pytest.raises(StoreFull):
        await opened(store, pressure=pressed).accept(order(class_="otp"))
    pressed.limits = Limits(free_space=1_000, database_size=1_000_000_000)
    await pressed.look()
    assert await taken(pressed, store, order()) == 1
    assert heard.whys == ["full"]


async def test_a_probe_finds_room_always(store: Store) -> None:
    pressed = pressure(store, waiting=0, free_space=2_000)
    await pressed.look()
    assert await taken(pressed, store, order(probe="canary")) == 1


async def test_what_was_seen_stands_while_the_database_is_away(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    pressed, stop = pressure(store, waiting=1), asyncio.Event()
    await sent_to(store, "ann@example.net")
    await pressed.look()

    async def away(_work: object) -> None:
        stop.set()
        raise StoreUnavailable("gone")

    monkeypatch.setattr(store, "read", away)
    await pressed.serve(stop)
    with pytest.raises(Congested), pressed.taking("transactional", 1):
        pass


async def test_the_size_of_a_database_is_what_it_holds(store: Store) -> None:
    before = await store.read(size)
    noise = Random(1).randbytes(10_000)
    await submitted(store, *(submission(content=noise) for _ in range(100)))
    assert await store.read(size) - before > 500_000

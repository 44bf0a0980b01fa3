"""Soft bounces: distinct days count, and what comes after them."""

from __future__ import annotations

import pytest

from analysis.soft_marks import forget, mark
from analysis.store import Store
from analysis.suppression import Limits
from tests.storing import DAY, LIMITS, NOW, hash_of

pytestmark = pytest.mark.anyio

ANN, BOB = "ann@example.net", "bob@example.net"


async def soft(
    store: Store, now: float, *addresses: str, limits: Limits = LIMITS, late: bool = False
) -> set[bytes]:
    hashes = [hash_of(a) for a in addresses or (ANN,)]
    return await store.write(
        lambda tx: mark(
            tx, hashes, now, late=late, enough=limits.soft_days, window=limits.soft_window
        )
    )


async def test_soft_bounces_count_by_distinct_days(store: Store) -> None:
    for hour in range(20):
        assert await soft(store, NOW // DAY * DAY + hour * 3600) == set()
    assert await soft(store, NOW + DAY) == set()
    assert await soft(store, NOW + 2 * DAY) == {hash_of(ANN)}


async def test_soft_bounces_outside_the_window_are_forgotten(store: Store) -> None:
    window = Limits(soft_days=3, soft_window=10 * DAY)
    await soft(store, NOW, limits=window)
    await soft(store, NOW + 5 * DAY, limits=window)
    assert await soft(store, NOW + 10 * DAY, limits=window) == set()
    assert await soft(store, NOW + 11 * DAY, limits=window) == {hash_of(ANN)}


async def test_soft_bounces_of_others_count_for_nothing(store: Store) -> None:
    await soft(store, NOW, ANN, BOB)
    await soft(store, NOW + DAY, BOB)
    assert await soft(store, NOW + 2 * DAY, ANN, BOB) == {hash_of(BOB)}


async def test_a_success_makes_soft_bounces_forgotten(store: Store) -> None:
    await soft(store, NOW)
    await soft(store, NOW + DAY)
    await store.write(lambda tx: forget(tx, [hash_of(ANN)]))
    assert await soft(store, NOW + 2 * DAY) == set()

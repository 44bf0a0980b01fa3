"""A pause ends by its time or by the order to stop."""

from __future__ import annotations

import asyncio

import pytest

from analysis.pause import pause

pytestmark = pytest.mark.anyio


async def test_a_pause_ends_at_once_when_it_is_time_to_stop() -> None:
    stop = asyncio.Event()
    stop.set()
    async with asyncio.timeout(60):
        await pause(stop, 3_600)


async def test_a_pause_ends_by_its_time_though_nobody_stops() -> None:
    stop = asyncio.Event()
    async with asyncio.timeout(60):
        await pause(stop, 0.001)
    assert not stop.is_set()

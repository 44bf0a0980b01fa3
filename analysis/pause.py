"""A pause between two rounds of regular work, cut short when it is time to stop or to go on."""

from __future__ import annotations

import asyncio


async def pause(until: asyncio.Event, seconds: float | None) -> bool:
    """Wait so long (None: for ever), or until the event is set; whether it is."""
    try:
        async with asyncio.timeout(seconds):
            await until.wait()
    except TimeoutError:
        return False
    return True

"""Looks at the database now and then, for what must be known more often than it can be asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from analysis.pause import pause
from analysis.store import StoreUnavailable

log = structlog.get_logger()

EVERY = 1.0
SHARE = 20


async def keep_looking(
    look: Callable[[], Awaitable[None]], stop: asyncio.Event, *, who: str
) -> None:
    """Look once a second, or so much more seldom that looking takes one part in `SHARE` of the
    time.  What was seen stands while the database is away; `who` is told in the log then."""
    while not stop.is_set():
        began = time.monotonic()
        try:
            await look()
        except StoreUnavailable as error:
            log.warning("looks later: the database is unavailable", who=who, error=str(error))
        await pause(stop, max(EVERY, SHARE * (time.monotonic() - began)))

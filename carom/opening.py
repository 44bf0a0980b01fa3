"""Opening the database for one command: connect, migrate, run, close."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from analysis import migrate
from analysis.store import Store, open_store
from carom.settings import Settings
from carom.settings.keyfiles import privacy_keys

T = TypeVar("T")


async def ready_store(settings: Settings) -> Store:
    """The store of these settings, brought to the newest schema."""
    store = open_store(settings.database.url, keys=privacy_keys(settings))
    try:
        await store.write(migrate.upgrade)
    except BaseException:
        await store.close()
        raise
    return store


def with_store(settings: Settings, use: Callable[[Store], Awaitable[T]]) -> T:
    """Run `use` with the store of these settings and close it."""

    async def run() -> T:
        store = await ready_store(settings)
        try:
            return await use(store)
        finally:
            await store.close()

    return asyncio.run(run())

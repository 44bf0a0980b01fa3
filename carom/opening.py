"""Opening the database for one command: connect, migrate, run, close."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import structlog

from analysis import keyed_hash, migrate
from analysis.replicas import Replicas
from analysis.store import Store, open_store
from carom.settings import Settings
from carom.settings.keyfiles import privacy_keys

log = structlog.get_logger()

_HERE = "carom.db"  # what the default URL names

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


def replicas(settings: Settings, primary: Store) -> Replicas:
    """The standbys of these settings before their primary; nothing is connected yet."""
    database, keys = settings.database, privacy_keys(settings)
    standbys = [open_store(url, keys=keys) for url in database.replicas]
    return Replicas(primary, standbys, lag=database.replica_lag, monotonic=time.monotonic)


async def tell_of_lost_keys(store: Store) -> None:
    """Whom an entry protects that no key finds any more is written to again: say so."""
    if lost := await store.read(keyed_hash.orphans):
        log.error(
            "suppressions of erased addresses are void: their key is not in [privacy] keys",
            entries=lost,
        )


def free_space(store: Store) -> Callable[[], int] | None:
    """What tells the octets left on the disk of a SQLite store; other disks are out of sight."""
    if store.url.get_backend_name() != "sqlite":
        return None
    folder = Path(store.url.database or "").absolute().parent
    return lambda: shutil.disk_usage(folder).free


def _tell_of_a_new_database(settings: Settings) -> None:
    """Whoever asks in the wrong folder must not take an empty answer for the truth."""
    named = "url" in settings.database.model_fields_set
    if not named and not Path(_HERE).exists():
        sys.stderr.write(
            f"carom: no settings here, so this is a new ./{_HERE}; name yours with --config,"
            " or in CAROM_CONFIG\n"
        )


def with_store(settings: Settings, use: Callable[[Store], Awaitable[T]]) -> T:
    """Run `use` with the store of these settings and close it."""
    _tell_of_a_new_database(settings)

    async def run() -> T:
        store = await ready_store(settings)
        try:
            return await use(store)
        finally:
            await store.close()

    return asyncio.run(run())

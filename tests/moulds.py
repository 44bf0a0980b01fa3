"""What every story begins with, made once in a process and copied: a set-up and a database.

Two keys of a set-up take as much time as a short story, and so do forty migrations.  That both are
made rightly has tests of its own (`tests.carom.test_init`, `tests.analysis.test_migrate`).
"""

from __future__ import annotations

import asyncio
import atexit
import random
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from analysis import migrate
from analysis.store import open_store
from carom import setup

_SQLITE = "sqlite:///"


def set_up(folder: Path, domain: str, bounces: str) -> Path:
    """A set-up as `carom init` writes it, with keys that others have, too; its settings file."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(_set_up(domain, bounces), folder, dirs_exist_ok=True)
    return folder / setup.DEFAULT_FILE


def lay_down(url: str) -> None:
    """Our tables, and nothing in them, where this URL names a SQLite file that is not there yet."""
    file = Path(url.removeprefix(_SQLITE))
    if url.startswith(_SQLITE) and not file.exists():
        shutil.copy(sqlite(), file)


@cache
def sqlite() -> Path:
    """A SQLite file with our tables and nothing in them."""
    file = _room() / "carom.db"
    upgrade(f"{_SQLITE}{file}")
    return file


def upgrade(url: str) -> None:
    """Migrate a database; also from within a running loop, so in a thread of its own."""

    async def run() -> None:
        store = open_store(url)
        await store.write(migrate.upgrade)
        await store.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(run())).result()


@cache
def _set_up(domain: str, bounces: str) -> Path:
    folder = _room() / domain
    setup.write(folder, setup.plan(domain, bounces), random.Random(7).randbytes)
    return folder


@cache
def _room() -> Path:
    room = Path(tempfile.mkdtemp(prefix="carom-moulds-"))
    atexit.register(shutil.rmtree, room, ignore_errors=True)
    return room

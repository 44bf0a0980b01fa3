"""The console's small world: one for each test that changes it, one for all that only look."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.carom.console_peer import Console, console, peopled


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[Console]:
    async with console(tmp_path / "mail") as made:
        yield made


@pytest.fixture
async def desk(empty: Console) -> Console:
    """The small world of `console_cast`, signed in with every scope."""
    return await peopled(empty)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for the module, so that tests which change nothing can share a world."""
    return "asyncio"


@pytest.fixture(scope="module")
async def view(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Console]:
    """The same world, for tests that only look."""
    async with console(tmp_path_factory.mktemp("console") / "mail") as made:
        yield await peopled(made)

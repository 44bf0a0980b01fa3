"""R10: a node sleeps past its lease while another takes its work: it wakes and writes nothing stale.

A paused process (SIGSTOP, a virtual machine put aside) does not know that it slept.  Its records
bear an epoch that has moved on, and just before the final dot it asks itself whether its lease
still runs: what another has taken over gets no dot, and so no second copy.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from analysis.store import open_store
from tests.faults.books import balanced, nobody_suppressed
from tests.faults.conftest import Amount
from tests.flows.house import carom_house, environment, until
from tests.flows.mortal import Fate, mortal
from tests.flows.test_kill import lost_attempts
from tests.peers.counting_sink import CountingSink

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]

LEASE = 5.0  # the shortest that the settings allow
TO = "ann@known.example"


class Waiting(CountingSink):
    """Holds its answers to DATA back, so that a sender can fall asleep before its dot."""

    def __init__(self) -> None:
        super().__init__()
        self.before_data = asyncio.Event()
        self.at_data = 0

    async def _go_on(self) -> None:
        self.at_data += 1
        await self.before_data.wait()


@asynccontextmanager
async def another_node(
    folder: Path, database_url: str, sink: CountingSink
) -> AsyncIterator[Fate]:
    """`carom serve --role sender` as a process with a name of its own."""
    fate = Fate([])
    config = folder / "carom" / "carom.toml"
    settings = environment(database_url, mx=sink.port) | {"CAROM_SENDER__LEASE": f"{LEASE:g}s"}
    async with mortal(folder, config, settings, fate):
        yield fate

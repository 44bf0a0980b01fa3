"""R14: hours in little: steady mail with one fault in a hundred leaks nothing and balances.

The full form runs for 15 minutes, `CAROM_SOAK` seconds otherwise.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.amounts import Amount
from tests.faults.traffic import Clients
from tests.flows.house import carom_house, until
from tests.peers.counting_sink import CountingSink

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(3_600)]

MB = 1_048_576
GROWTH = 1.0  # MB in ten minutes, once warm
WAITING = 500
"""Messages that were submitted and not handed over, at most: a queue that grows is no leak."""


class Faulty(CountingSink):
    """One message in a hundred each: hung up on after the dot, put off, hung up on at RCPT."""

    def __init__(self, chance: Random) -> None:
        super().__init__()
        self._chance = chance
        self.faults = 0
        self.handed_over = 0  # for good: not hung up on, and so not sent again

    def _answer(self, recipient: str) -> bytes:
        if self._chance.random() < 0.01:
            self.faults += 1
            return b"451 4.3.0 Try again\r\n"
        return super()._answer(recipient)

    def _take(
        self, writer: asyncio.StreamWriter, content: bytes, sender: str, recipient: str
    ) -> None:
        if self._chance.random() < 0.01:
            self.faults += 1
            self.handed_over -= 1
            writer.transport.abort()  # before: its answer goes nowhere
        super()._take(writer, content, sender, recipient)
        self.handed_over += 1
        del self.copies[:-50]
        del self.began[:-50]


def resident() -> float:
    """MB of this process, which is Carom, its clients and its host."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MB


def descriptors() -> int:
    return len(os.listdir("/dev/fd"))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
async def test_steady_mail_with_faults_leaks_nothing(
    tmp_path: Path, amount: Amount, chance: Random, seen: Callable[[str], None]
) -> None:
    seconds = float(os.environ.get("CAROM_SOAK", amount(3, 900)))
    url = f"sqlite:///{tmp_path / 'carom.db'}"
    sink = Faulty(chance)
    async with sink, carom_house(tmp_path, url, mx=sink.port) as carom:
        clients, number, turns = Clients(carom), 0, 0
        began, warm, marks = time.monotonic(), 0.0, []
        while (passed := time.monotonic() - began) < seconds:
            await clients.insist_each(f"user{n}@known.example" for n in range(number, number + 20))
            number += 20
            turns += 1
            await until(lambda: _keeps_up(sink, number), 600.0)  # noqa: B023  asked at once
            while len(clients.promised) > WAITING:  # or this test would be the leak
                clients.promised.pop()
            del clients.kept[:-50]
            if sink.copies and turns % 5 == 0:
                copy = chance.choice(sink.copies)
                await clients.report(copy.return_path, copy.recipient)
            if not warm and passed > seconds / 3:
                await clients.settled(600.0)
                gc.collect()
                warm, open_ = passed, descriptors()
            if warm and turns % 20 == 0:
                marks.append((passed, resident()))
        books = await clients.settled(600.0)
        gc.collect()
        assert sum(books.values()) == number
        assert descriptors() <= open_ + carom.engine.settings.sender.site_connections
        growth = _slope(marks) * 600.0
        assert growth <= GROWTH or seconds < 600, f"{growth:.1f} MB in ten minutes"
    seen(
        f"{seconds:g} s, {number} messages, {sink.faults} faults: accounts balance, "
        f"{growth:+.1f} MB/10 min (meaningful from 10 min on), "
        f"descriptors {descriptors() - open_:+d}"
    )


async def _keeps_up(sink: Faulty, number: int) -> bool:
    """Steady mail: no more waits than a while ago."""
    return number - sink.handed_over <= WAITING


def _slope(marks: list[tuple[float, float]]) -> float:
    """MB a second, by least squares."""
    if len(marks) < 2:
        return 0.0
    middle = sum(at for at, _ in marks) / len(marks)
    level = sum(size for _, size in marks) / len(marks)
    spread = sum((at - middle) ** 2 for at, _ in marks)
    return sum((at - middle) * (size - level) for at, size in marks) / spread if spread else 0.0

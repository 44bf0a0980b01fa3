"""R5: the disk fills up, again and again: later is said, nothing is lost, and it goes on by itself.

The store lies on a disk of 16 MB of its own, which other files fill up; that takes root's rights.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.amounts import Amount
from tests.faults.traffic import Clients
from tests.flows.house import House, carom_house, until
from tests.peers.counting_sink import CountingSink

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("error::ResourceWarning")]

SIZE = 16 * 1024 * 1024
_BALLAST = 64 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MB; skipped where none can be had."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(place)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a disk of its own needs root and the right to mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@contextmanager
def filled_up(disk: Path) -> Iterator[None]:
    """Not an octet is free within the block."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (_BALLAST, 1):
            try:
                while file.write(bytes(size)) == size:
                    continue
            except OSError:
                continue
    try:
        yield
    finally:
        ballast.unlink()


async def fills_up(
    carom: House, full: Callable[[], AbstractContextManager[None]], times: int
) -> str:
    """Both doors say later while it is full and take mail soon afterwards, so many times."""
    clients, slowest = Clients(carom), 0.0
    await clients.insist("first@known.example")
    await clients.settled()
    path = await carom.return_path(await carom.submit("reported@known.example"))
    for turn in range(times):
        with full():
            await refused_everywhere(clients, turn, path)
        began = time.monotonic()
        await clients.insist(f"after{turn}@known.example")
        await until(lambda: clients.report(path, "reported@known.example"), 60.0)
        slowest = max(slowest, time.monotonic() - began)
    await clients.settled()
    return f"{times} x full, {clients.later} x 452 or 503, missing 0, recovered in {slowest:.1f} s"


async def refused_everywhere(clients: Clients, turn: int, path: str) -> None:
    """Until nothing is taken any more: what fits into pages that are there may still be."""
    for number in range(2_000):
        if not await clients.post(f"full{turn}x{number}@known.example"):
            break
    else:
        raise AssertionError("a full disk took everything")
    assert (await clients.carom.client.get("/healthz")).status_code == 200
    for _ in range(200):
        if not await clients.report(path, "reported@known.example"):
            assert clients.last_word.startswith("452 4.3.1 "), clients.last_word
            return
    raise AssertionError("a full disk took every report")


async def test_a_full_disk_is_later_and_never_a_loss(
    small_disk: Path, tmp_path: Path, amount: Amount, seen: Callable[[str], None]
) -> None:
    url = f"sqlite:///{small_disk / 'carom.db'}"
    async with (
        CountingSink() as sink,
        carom_house(tmp_path, url, mx=sink.port, troubled=True) as carom,
    ):
        seen(await fills_up(carom, lambda: filled_up(small_disk), amount(1, 10)))

"""R11: the system's clock jumps under a running Carom: nothing expires early, no lease breaks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from analysis.schema import attempts
from carom.steady import Steady
from tests.amounts import Amount
from tests.faults.books import nobody_suppressed
from tests.faults.traffic import Clients, people
from tests.flows.house import carom_house, until
from tests.peers.counting_sink import CountingSink

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("error::ResourceWarning")]

HOUR, DAY, TEN_YEARS = 3_600, 86_400, 315_576_000  # seconds


async def test_no_jump_of_the_clock_ends_a_message_or_breaks_a_lease(
    tmp_path: Path, amount: Amount, seen: Callable[[str], None]
) -> None:
    ahead = [0.0]
    clock = Steady(lambda: time.time() + ahead[0])
    url = f"sqlite:///{tmp_path / 'carom.db'}"
    jumps = amount.some((TEN_YEARS, -HOUR), (HOUR, -HOUR, DAY, -DAY, TEN_YEARS))
    async with (
        CountingSink() as sink,
        carom_house(tmp_path, url, mx=sink.port, clock=clock, CAROM_SENDER__LEASE="5s") as carom,
    ):
        clients = Clients(carom)
        for jump in jumps:
            sink.gate.clear()
            await clients.insist_each(people(10, f"jump{jump}x"))

            async def under_way() -> bool:
                return sink.held >= 5

            await until(under_way)
            ahead[0] = jump
            await _a_round_of_housekeeping(carom.engine.worker.wake)
            sink.gate.set()
            await clients.settled()
            ahead[0] = 0.0
        books = await clients.settled()
        assert books["delivered"] == sum(books.values()) == 10 * len(jumps), "expired too early"
        lost = select(func.count()).where(attempts.c.result == "lost")
        assert await carom.books(lambda tx: tx.execute(lost).scalar_one()) == 0, "a broken lease"
        assert set(Counter(copy.recipient for copy in sink.copies).values()) == {1}
        await carom.books(nobody_suppressed)
    hours = ", ".join(f"{jump / HOUR:+g} h" for jump in jumps)
    seen(f"{hours}: wrong expiries 0, broken leases 0")


async def _a_round_of_housekeeping(wake: Callable[[], None]) -> None:
    """It comes every quarter of a lease and by no sign of ours; so wait for the time."""
    over = time.monotonic() + 1.5

    async def is_over() -> bool:
        wake()
        return time.monotonic() > over

    await until(is_over)

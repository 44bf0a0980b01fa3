"""Two machines with the same settings on one database are one system."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flows.house import carom_house, until
from tests.peers.counting_sink import CountingSink

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("error::ResourceWarning")]


async def test_a_machine_that_starts_takes_nothing_that_another_has_under_way(
    tmp_path: Path, database_url: str
) -> None:
    to = [f"user{number}@known.example" for number in range(5)]
    async with (
        CountingSink() as sink,
        carom_house(tmp_path / "one", database_url, mx=sink.port, node="one") as one,
    ):
        sink.gate.clear()
        sent = await one.submit_each(to)

        async def all_are_at_the_last_dot() -> bool:
            return sink.held == len(to)

        await until(all_are_at_the_last_dot)
        async with carom_house(tmp_path / "two", database_url, mx=sink.port, node="two") as two:
            late = await two.submit("late@known.example")

            async def another_came() -> bool:
                return sink.held > len(to)

            await until(another_came)
            sink.gate.set()
            for each in (*sent, late):
                await two.becomes(each, "delivered")
        assert sorted(copy.recipient for copy in sink.copies) == ["late@known.example", *to]

"""R4: every Nth call to the database fails, before it is done or after: no false promise."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from tests.amounts import Amount
from tests.faults.traffic import Clients, people
from tests.flows.house import carom_house
from tests.peers.counting_sink import CountingSink

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("error::ResourceWarning")]


@dataclass(slots=True)
class Faults:
    """Every `every`th statement of this process fails while it is above 0."""

    every: int = 0
    done_all_the_same: bool = False  # the answer is lost, not the deed
    calls: int = 0
    failed: int = 0

    def before(self, *call: Any) -> None:
        if not self.done_all_the_same:
            self._fail(call[2])

    def after(self, *call: Any) -> None:
        if self.done_all_the_same:
            self._fail(call[2])

    def commit(self, *_: Any) -> None:
        """PostgreSQL's, which is no statement here."""
        self.before(None, None, "COMMIT")

    def _fail(self, statement: str) -> None:
        if self.every and statement != "ROLLBACK":
            self.calls += 1
            if self.calls % self.every == 0:
                self.failed += 1
                raise OperationalError(statement, {}, sqlite3.OperationalError("disk I/O error"))


@contextmanager
def database_faults() -> Iterator[Faults]:
    faults = Faults()
    heard = {
        "before_cursor_execute": faults.before,
        "after_cursor_execute": faults.after,
        "commit": faults.commit,
    }
    for name, hear in heard.items():
        event.listen(Engine, name, hear)
    try:
        yield faults
    finally:
        for name, hear in heard.items():
            event.remove(Engine, name, hear)


@pytest.mark.parametrize("done", [False, True], ids=["not done", "done, answer lost"])
async def test_whatever_call_fails_nothing_is_promised_falsely(
    database_url: str, tmp_path: Path, done: bool, amount: Amount, seen: Callable[[str], None]
) -> None:
    with database_faults() as faults:
        async with (
            CountingSink() as sink,
            carom_house(
                tmp_path, database_url, mx=sink.port, troubled=True, CAROM_SENDER__LEASE="5s"
            ) as carom,
        ):
            clients = Clients(carom)
            faults.done_all_the_same = done
            asked = await storm(clients, sink, faults, amount)
            assert clients.later, "calls failed before anybody's eyes"
            await clients.insist_each([*asked, *people(5, "afterwards")])
            books = await clients.settled()
            assert books["delivered"] + books["bounced"] == sum(books.values())
            assert sum(books.values()) == len(asked) + 5, "asked again, and once is once"
            copies = Counter(copy.recipient for copy in sink.copies)
            assert max(copies.values()) == 1, (
                "the lost answer to a claim or a record doubled a copy"
            )
    seen(
        f"{faults.failed} of {faults.calls} calls failed: {len(clients.promised)} promises kept, "
        f"{clients.later} times 451 or 503, false acknowledgements 0"
    )


async def storm(clients: Clients, sink: CountingSink, faults: Faults, amount: Amount) -> list[str]:
    """Submissions and reports while calls fail, from every single one to one in a hundred."""
    asked: list[str] = []
    for every in amount.some((1, 7, 37), (1, 2, 3, 5, 7, 11, 13, 17, 23, 29, 41, 61, 97)):
        faults.every = every
        for to in people(amount(10, 40), f"every{every}x"):
            asked.append(to)
            await clients.post(to)
        for copy in sink.copies[-3:]:
            await clients.report(copy.return_path, copy.recipient)
    faults.every = 0
    return asked

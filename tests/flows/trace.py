"""A trace of a real run on one PostgreSQL: each transaction whole, in the order of their ends.

    with recorded() as trace:
        ...a Carom lives...

While it is recorded, the transactions of this process go one after the other: each has its turn
from when its connection is taken out of the pool until it is back.  So the order is the true one,
and a replay sees at each statement what the run saw.  What was rolled back is left out.  What other
processes do, or drivers without SQLAlchemy, is not heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import Pool
from sqlalchemy.util import await_only

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """As the driver was given it: text with `$1`, and parameters; many rows of them, or one."""

    text: str
    rows: tuple[Row, ...]
    many: bool
    count: int  # rows that it answered with or changed; -1: the driver does not say


Transaction = tuple[Statement, ...]


@contextmanager
def recorded() -> Iterator[list[Transaction]]:
    """What is committed while the block lasts, of all engines of this process."""
    trace: list[Transaction] = []
    open_: dict[Connection, list[Statement]] = {}
    turn, whose = asyncio.Lock(), set[Any]()

    def begin(conn: Connection) -> None:
        open_[conn] = []

    def hear(
        conn: Connection, cursor: Any, text: str, given: Any, _context: Any, many: bool
    ) -> None:
        rows = tuple(map(tuple, given)) if many else (tuple(given),)
        open_[conn].append(Statement(text, rows, many, -1 if many else cursor.rowcount))

    def commit(conn: Connection) -> None:
        if said := open_.pop(conn):
            trace.append(tuple(said))

    def roll_back(conn: Connection) -> None:
        open_.pop(conn, None)

    def take_turn(_raw: Any, connection: Any, _proxy: Any) -> None:
        await_only(turn.acquire())
        whose.add(connection)

    def end_turn(_raw: Any, connection: Any) -> None:
        if connection in whose:  # one that was cancelled in line has none to end
            whose.remove(connection)
            turn.release()

    hears: list[tuple[Any, str, Any]] = [
        (Engine, "begin", begin),
        (Engine, "after_cursor_execute", hear),
        (Engine, "commit", commit),
        (Engine, "rollback", roll_back),
        (Pool, "checkout", take_turn),
        (Pool, "checkin", end_turn),
    ]
    for one in hears:
        event.listen(*one)
    try:
        yield trace
    finally:
        for one in hears:
            event.remove(*one)

"""Days: on PostgreSQL the tables that hold whole mail are cut by day, so that a day goes at once.

Ids are ULIDs and begin with their time: a day is a range of the primary key, and who looks a row up
by its id reads one partition.  Dropping one costs the same however much is in it, where deleting
row by row would write all of it to the log once more and leave holes.  SQLite has no partitions:
everything here does nothing there.

A table has these parts:

    bodies_old          all that is older than when the table was cut, as it was
    bodies_20270131     one day, UTC
    bodies_rest         the default: what no other part takes, so that no write is ever refused

`make` makes the days to come; `drop` takes one that is over.  Both take a lock that shuts others
out for milliseconds and are given up when they wait longer than `PATIENCE` for it: whoever queues
behind them waits as long.  Both may be done twice, by any node, at any time.

Not cut: what is found by other things than its id (deliveries, messages, attempts, events): each
such look would have to ask every day (`docs/scale.md`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, Connection, Select, Table, select, text

from analysis.ids import first_id
from analysis.schema import bodies, raw_inbound

DAY = 86_400.0
AHEAD = 7
"""Days that are made before they come: as long may the service that makes them stand still."""
PATIENCE = "2s"
MOST_MOVED = 1_000
"""Rows that are still needed when their day goes; a day that has more goes row by row."""

CUT: tuple[Column[str], ...] = (bodies.c.message_id, raw_inbound.c.id)

Held = Callable[[str, str], Select[Any]]
"""The keys that are still needed of those from the first up to the second."""


@dataclass(frozen=True, slots=True)
class Part:
    """One partition but for the default one; `end` is the first id that is beyond it."""

    name: str
    start: str  # empty: from the beginning
    end: str


def whole(tx: Connection, at: float) -> float:
    """The time up to which rows older than `at` go by themselves: their days go at once."""
    return at // DAY * DAY if _cuts(tx) else at


def parts(tx: Connection, table: Table) -> list[Part]:
    """In the order of what is in them."""
    rows = tx.execute(
        text(
            "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i"
            " JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = CAST(:table AS regclass)"
        ),
        {"table": table.name},
    )
    found = [(name, _BOUND.fullmatch(bound)) for name, bound in rows]
    return sorted(
        (Part(name, bound[1] or "", bound[2]) for name, bound in found if bound),
        key=lambda part: part.end,
    )


_BOUND = re.compile(r"FOR VALUES FROM \((?:MINVALUE|'(\w+)')\) TO \('(\w+)'\)")


def make(tx: Connection, key: Column[str], *, now: float) -> list[str]:
    """Make the days from today on that are missing; the names of those that were made.

    A day that came before it was made stays in the default part, where its rows are by now.
    """
    if not _cuts(tx):
        return []
    table = key.table
    made: list[str] = []
    last = max((part.end for part in parts(tx, table)), default="")
    for day in range(int(now // DAY), int(now // DAY) + AHEAD + 1):
        start, end = first_id(day * DAY), first_id((day + 1) * DAY)
        if end <= last:
            continue
        if not made:
            _be_patient(tx)
        late = select(key).where(key >= start, key < end).limit(1)
        if tx.execute(late).first() is None:
            name = f"{table.name}_{datetime.fromtimestamp(day * DAY, UTC):%Y%m%d}"
            tx.exec_driver_sql(
                f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table.name}"
                f" FOR VALUES FROM ('{start}') TO ('{end}')"
            )
            made.append(name)
    return made


def drop(tx: Connection, key: Column[str], held: Held, *, at: float) -> str | None:
    """Drop the oldest part whose rows were all made before `at`; its name, or None.

    What `held` finds of it moves to the default part.
    """
    if not _cuts(tx):
        return None
    table = key.table
    for part in parts(tx, table):
        if part.end > first_id(at):
            break
        needed = list(tx.execute(held(part.start, part.end).limit(MOST_MOVED + 1)).scalars())
        if len(needed) > MOST_MOVED:
            continue
        _be_patient(tx)
        if needed:
            _move(tx, key, part, needed)
        tx.exec_driver_sql(f"DROP TABLE IF EXISTS {part.name}")
        return part.name
    return None


def _move(tx: Connection, key: Column[str], part: Part, needed: list[str]) -> None:
    """Take a part off its table, and put these rows of it back: the default part has them then."""
    table = key.table.name
    tx.exec_driver_sql(f"ALTER TABLE {table} DETACH PARTITION {part.name}")
    tx.exec_driver_sql(
        f"INSERT INTO {table} SELECT * FROM {part.name}"  # noqa: S608  names of ours
        f" WHERE {key.name} = ANY($1::varchar[])",
        (needed,),
    )


def _be_patient(tx: Connection) -> None:
    tx.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}'")


def _cuts(tx: Connection) -> bool:
    return tx.dialect.name == "postgresql"

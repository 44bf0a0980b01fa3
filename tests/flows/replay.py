"""A trace played again over several databases, each of which stands for a server.

    async with connected(urls) as servers:
        figures = await Replay(servers, Spread(len(servers))).play(trace)

Each transaction begins on the servers that its statements go to.  Where it changed rows on several
it is committed in two phases (PREPARE TRANSACTION, COMMIT PREPARED), elsewhere by COMMIT.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from sqlalchemy import Table, select
from sqlalchemy.dialects import postgresql

from analysis.schema import metadata
from tests.flows.spread import HOME, KEYS, Place, Spread, everywhere, tables
from tests.flows.trace import Row, Statement, Transaction


@dataclass(slots=True)
class Figures:
    transactions: int = 0
    statements: int = 0  # parts, as servers hear them
    two_phase: list[Transaction] = field(default_factory=list)  # changed rows on several servers
    told: int = 0  # transactions that were told to write on several, whether rows changed or not
    touched: Counter[int] = field(default_factory=Counter)  # transactions by number of servers
    everywhere: list[Statement] = field(default_factory=list)
    astray: list[Statement] = field(default_factory=list)  # found other rows than in the run


@asynccontextmanager
async def connected(urls: Sequence[str]) -> AsyncIterator[list[asyncpg.Connection]]:
    """A connection to each."""
    async with AsyncExitStack() as stack:
        servers = []
        for url in urls:
            one = await asyncpg.connect(
                url.replace("+asyncpg", ""), ssl=False, server_settings={"jit": "off"}
            )
            stack.push_async_callback(one.close)
            servers.append(one)
        yield servers


class Replay:
    def __init__(self, servers: Sequence[asyncpg.Connection], spread: Spread) -> None:
        self._servers = servers
        self._spread = spread
        self._name = 0

    async def play(self, trace: Sequence[Transaction]) -> Figures:
        figures = Figures()
        for transaction in trace:
            await self._one(transaction, figures)
        return figures

    async def _one(self, transaction: Transaction, figures: Figures) -> None:
        begun: set[int] = set()
        told: set[int] = set()
        changed: set[int] = set()
        for said, parts in self._spread.of(transaction):
            counts = []
            for server, part in parts.items():
                if server not in begun:
                    await self._servers[server].execute("BEGIN")
                    begun.add(server)
                counts.append(await _say(self._servers[server], part))
                if not part.text.startswith(("SELECT", "SET")):
                    told.add(server)
                    changed |= {server} if counts[-1] else set()
            figures.statements += len(parts)
            if everywhere(said.text):
                figures.everywhere.append(said)
            elif tables(said.text) and not said.many and sum(counts) != said.count:
                figures.astray.append(said)
        figures.transactions += 1
        figures.touched[len(begun)] += 1
        figures.told += len(told) > 1
        if len(changed) > 1:
            figures.two_phase.append(transaction)
        await self._commit(begun, changed if len(changed) > 1 else set())

    async def _commit(self, begun: set[int], in_two_phases: set[int]) -> None:
        self._name += 1
        for server in in_two_phases:
            await self._servers[server].execute(f"PREPARE TRANSACTION 't{self._name}s{server}'")
        for server in in_two_phases:
            await self._servers[server].execute(f"COMMIT PREPARED 't{self._name}s{server}'")
        for server in begun - in_two_phases:
            await self._servers[server].execute("COMMIT")


async def _say(server: asyncpg.Connection, said: Statement) -> int:
    """How many rows it answered with or changed; 1 where PostgreSQL does not say."""
    if said.many:
        await server.executemany(said.text, said.rows)
        return 1
    [row] = said.rows
    last = (await server.execute(said.text, *row)).split()[-1]
    return int(last) if last.isdigit() else 1


async def rows(server: asyncpg.Connection, table: Table) -> Counter[Row]:
    """All rows of a table."""
    query = str(select(table).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    return Counter(tuple(row) for row in await server.fetch(query))


async def contents(server: asyncpg.Connection) -> dict[str, Counter[Row]]:
    """All rows of all tables."""
    return {table.name: await rows(server, table) for table in metadata.sorted_tables}


def strangers(found: dict[str, Counter[Row]], server: int, place: Place) -> list[tuple[str, Row]]:
    """Rows that do not belong on the server they were found on."""
    return [
        (name, row)
        for name, some in found.items()
        for row in some
        if (server_of(metadata.tables[name], row, place)) not in (None, server)
    ]


def server_of(table: Table, row: Row, place: Place) -> int | None:
    """Where a row belongs; None: anywhere."""
    names: Any = table.columns.keys()
    if table.name in KEYS and not KEYS[table.name]:
        return None
    known = (row[names.index(key)] for key in KEYS.get(table.name, ()))
    return next((place(key) for key in known if key is not None), HOME)

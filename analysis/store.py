"""The database: one door, two engines, the same work on both.

Work is a plain function of a SQLAlchemy `Connection`; `write` runs it in a transaction of its own
and returns after COMMIT, `read` runs it in one whose statements see one moment on SQLite and each
its own on PostgreSQL.  A function given to the store must touch nothing but the connection: it runs
off the event loop (SQLite, in a thread) or inside a greenlet (PostgreSQL, asyncpg), and never while
anything is on the network.

How each engine is held to its promises is in `analysis.sqlite_store` and `analysis.postgres_store`;
the statements that they write differently are here, once.  Group commit is the caller's: many items
go into one `write` (`analysis.batch`).

Trouble of the database itself raises `StoreUnavailable`, whose text is for logs, never for peers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import Connection, Table, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url

from analysis.postgres_store import PostgresStore
from analysis.sqlite_store import SqliteStore
from analysis.store_terms import StoreFull as StoreFull
from analysis.store_terms import StoreUnavailable as StoreUnavailable
from analysis.store_terms import T
from analysis.store_terms import Work as Work

IN_LIMIT = 500
"""Most values in one IN list; longer lists are cut into chunks."""


class Store(Protocol):
    url: URL

    async def write(self, work: Work[T]) -> T: ...
    async def read(self, work: Work[T]) -> T: ...
    async def close(self) -> None: ...


def open_store(
    url: str, *, readers: int = 3, connections: int = 12, keys: Sequence[bytes] = ()
) -> Store:
    """The store behind `sqlite:///file` or `postgresql://user@host/name`.

    `keys`: what erased addresses are known by; work finds them with its connection
    (`analysis.keyed_hash`).  Raises ValueError for any other kind of URL.
    Nothing is connected yet.
    """
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            return SqliteStore(parsed.set(drivername="sqlite+pysqlite"), readers, keys)
        case "postgresql":
            return PostgresStore(parsed.set(drivername="postgresql+asyncpg"), connections, keys)
        case other:
            raise ValueError(f"{other!r} is no database of ours; use sqlite:// or postgresql://")


def insert_once(
    tx: Connection, table: Table, rows: list[dict[str, Any]], *, returning: str | None = None
) -> list[Any]:
    """Insert the rows that are not there yet; doubles by any unique key are left alone.

    With `returning`, gives that column of the rows that were really inserted.
    """
    if not rows:
        return []
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).on_conflict_do_nothing()
    if returning is None:
        tx.execute(statement, rows)
        return []
    inserted: list[Any] = []
    for chunk in chunks(rows, IN_LIMIT // 5):
        result = tx.execute(statement.values(chunk).returning(table.c[returning]))
        inserted.extend(result.scalars())
    return inserted


def upsert(
    tx: Connection, table: Table, rows: list[dict[str, Any]], *, keys: tuple[str, ...]
) -> None:
    """Insert the rows, or bring the ones with the same `keys` up to date.

    In the order of their keys: two writers of the same rows then never wait for each other.
    """
    if not rows:
        return
    rows = sorted(rows, key=lambda row: [row[name] for name in keys])
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    tx.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=changed), rows)


def chunks(items: list[T], size: int) -> list[list[T]]:
    """`items` cut into lists of at most `size`."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def ping(tx: Connection) -> None:
    """The cheapest question there is: is the database there?"""
    tx.execute(text("SELECT 1"))

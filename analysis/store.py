"""The database: one door, two engines, the same work on both.

Work is a plain function of a SQLAlchemy `Connection`; `write` runs it in a transaction of its own
and returns after COMMIT, `read` runs it in one whose statements see one moment on SQLite and each
its own on PostgreSQL.  A function given to the store must touch
nothing but the connection: it runs off the event loop (SQLite, in a thread) or inside a greenlet
(PostgreSQL, asyncpg), and never while anything is on the network.

SQLite: WAL, synchronous=FULL, one writer thread that owns one connection, `BEGIN IMMEDIATE`
(the driver's own mode loses updates silently), a few readers.  Group commit is the caller's: many
items go into one `write` (`analysis.batch`).  PostgreSQL: a bounded pool; isolation READ
COMMITTED, with rows locked where a decision rests on them.

Trouble of the database itself raises `StoreUnavailable`, whose text is for logs, never for peers.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Protocol, TypeVar

import orjson
from sqlalchemy import Connection, Engine, Table, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

OPTION = "privacy_keys"
"""The execution option of every connection that holds the keys of `open_store`."""

T = TypeVar("T")
Work = Callable[[Connection], T]

IN_LIMIT = 500
"""Most values in one IN list; longer lists are cut into chunks."""

DEADLOCKS = 3
"""How often PostgreSQL may roll work back for a rival's sake before we call that trouble."""


class StoreUnavailable(Exception):
    """The database cannot do its work now: gone, locked, full.  Try again later."""


class StoreFull(StoreUnavailable):
    """There is no room left where the database lies."""


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


class SqliteStore:
    def __init__(self, url: URL, readers: int, keys: Sequence[bytes] = ()) -> None:
        self.url = url
        self._engine = sqlite_engine(url).execution_options(**{OPTION: tuple(keys)})
        self._writer = ThreadPoolExecutor(1, "sqlite-writer")
        self._readers = ThreadPoolExecutor(readers, "sqlite-reader")
        self._turn = _Turn(url.database or "")
        self._local = threading.local()
        self._opened: list[Connection] = []

    async def write(self, work: Work[T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, self._write, work)

    async def read(self, work: Work[T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._run, "BEGIN", work)

    def _write(self, work: Work[T]) -> T:
        with self._turn:
            return self._run("BEGIN IMMEDIATE", work)

    def _run(self, begin: str, work: Work[T]) -> T:
        try:
            connection = self._connection()
            try:
                connection.exec_driver_sql(begin)
                result = work(connection)
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                self._roll_back(connection)
                raise
        except (OperationalError, InterfaceError) as error:
            raise _trouble(error) from error
        return result

    def _connection(self) -> Connection:
        """This thread's own connection, kept: opening one costs more than most work."""
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._local.connection = connection
            self._opened.append(connection)
        return connection

    def _roll_back(self, connection: Connection) -> None:
        """SQLite may have rolled back by itself (disk full); a second ROLLBACK is then an error.

        A connection that cannot go back is given up: it would refuse every BEGIN to come.
        """
        raw = connection.connection.dbapi_connection
        if raw is None or not raw.in_transaction:
            return
        try:
            connection.exec_driver_sql("ROLLBACK")
        except DBAPIError:
            del self._local.connection
            self._opened.remove(connection)
            connection.close()
            raise

    async def close(self) -> None:
        loop = asyncio.get_running_loop()
        for pool in (self._readers, self._writer):
            await loop.run_in_executor(None, pool.shutdown)
        for connection in self._opened:
            connection.close()
        self._engine.dispose()
        self._turn.close()


class _Turn:
    """Whose turn it is to write, where several processes do: a lock of the system, first come first
    served.

    SQLite's own way to wait for a writer is to look again after longer and longer pauses.  With two
    processes that write much, one in a hundred writes then waited for a second; in line, 30 ms.
    """

    def __init__(self, database: str) -> None:
        self._path = f"{database}-turn"
        self._file: int | None = None

    def __enter__(self) -> None:
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_CREAT | os.O_RDONLY, 0o644)
            fcntl.flock(self._file, fcntl.LOCK_EX)
        except OSError as error:
            database = self._path.removesuffix("-turn")
            raise StoreUnavailable(f"{database} cannot be opened: {error.strerror}") from error

    def __exit__(self, *_: object) -> None:
        assert self._file is not None
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _written(value: Any) -> str:
    return orjson.dumps(value).decode()


_JSON: dict[str, Any] = {"json_serializer": _written, "json_deserializer": orjson.loads}
"""JSON columns by orjson: every event has one, and Python's own costs six times as much."""


def sqlite_engine(url: URL) -> Engine:
    """An engine whose connections are durable (synchronous=FULL) and leave BEGIN to us.

    A file that it makes is its owner's alone, whatever the umask says, and so are the log and the
    index that SQLite puts beside it: they take over its mode.
    """
    engine = create_engine(
        url,
        poolclass=NullPool,
        connect_args={"check_same_thread": False, "timeout": 30},
        **_JSON,
    )

    @event.listens_for(engine, "do_connect")
    def make(*_: Any) -> None:
        # Only where there is none: to close a second descriptor of a file that is open would let go
        # of SQLite's locks.  What else is wrong SQLite says in its own words.
        with suppress(OSError):
            os.close(os.open(url.database or "", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))

    @event.listens_for(engine, "connect")
    def settle(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        _turn_to_wal(connection)
        for pragma in (
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=30000",
            "cache_size=-8000",  # KiB a connection: the hot index pages of a million rows
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    return engine


def _turn_to_wal(connection: sqlite3.Connection) -> None:
    """Write-ahead logging, kept by the file once set.

    Where several starters meet at a new file, SQLite refuses all but one at once, whatever its busy
    timeout says; the others ask again, for ten seconds at most.
    """
    for last in (*[False] * 199, True):
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
        except sqlite3.OperationalError:
            if last:
                raise
            time.sleep(0.05)
        else:
            return


class PostgresStore:
    def __init__(self, url: URL, connections: int, keys: Sequence[bytes] = ()) -> None:
        self.url = url
        self._engine: AsyncEngine = create_async_engine(
            url,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=30,
            execution_options={OPTION: tuple(keys)},
            **_JSON,
            pool_pre_ping=False,  # a lost connection shows as StoreUnavailable and is tried again
            connect_args={
                "timeout": 10,
                "server_settings": {"application_name": "carom", "jit": "off"},
            },
        )

    async def write(self, work: Work[T]) -> T:
        return await self._run(work)

    async def read(self, work: Work[T]) -> T:
        return await self._run(work)

    async def _run(self, work: Work[T]) -> T:
        for again in range(DEADLOCKS, -1, -1):
            try:
                async with self._engine.begin() as connection:
                    return await connection.run_sync(work)
            except (OperationalError, InterfaceError, PoolTimeout, OSError) as error:
                raise StoreUnavailable(str(error)) from error
            except DBAPIError as error:
                if again and _class_of(error) == _ROLLED_BACK:
                    continue
                if error.connection_invalidated or _passes(error):
                    raise _trouble(error) from error
                raise
        raise AssertionError("unreachable")

    async def close(self) -> None:
        await self._engine.dispose()


_ROLLED_BACK = "40"
_PASSING = frozenset({"08", _ROLLED_BACK, "53", "57", "58"})
"""SQLSTATE classes that pass: connection, rolled back, resources, operator intervention."""
_NOT_IN_TIME = "55P03"  # a lock that was waited for as long as `lock_timeout` says


def _passes(error: DBAPIError) -> bool:
    return _class_of(error) in _PASSING or getattr(error.orig, "sqlstate", None) == _NOT_IN_TIME


def _class_of(error: DBAPIError) -> str:
    return (getattr(error.orig, "sqlstate", None) or "")[:2]


def _trouble(error: DBAPIError) -> StoreUnavailable:
    full = (
        getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        or getattr(error.orig, "sqlstate", None) == _DISK_FULL
    )
    return (StoreFull if full else StoreUnavailable)(str(error.orig))


_DISK_FULL = "53100"  # PostgreSQL's SQLSTATE


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

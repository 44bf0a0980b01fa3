"""The store on SQLite: WAL, synchronous=FULL, one writer, a few readers.

One writer thread owns one connection and begins each transaction with `BEGIN IMMEDIATE` (the
driver's own mode loses updates silently).  Where several processes write, they do so in turn.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.pool import NullPool

from analysis.store_terms import JSON, OPTION, StoreUnavailable, T, Work, trouble


class SqliteStore:
    def __init__(self, url: URL, readers: int, keys: Sequence[bytes] = ()) -> None:
        self.url = url
        self._engine = _engine(url).execution_options(**{OPTION: tuple(keys)})
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
            raise trouble(error) from error
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


def _engine(url: URL) -> Engine:
    """An engine whose connections are durable (synchronous=FULL) and leave BEGIN to us.

    A file that it makes is its owner's alone, whatever the umask says, and so are the log and the
    index that SQLite puts beside it: they take over its mode.
    """
    engine = create_engine(
        url,
        poolclass=NullPool,
        connect_args={"check_same_thread": False, "timeout": 30},
        **JSON,
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

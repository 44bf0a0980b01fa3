"""The store on PostgreSQL, by asyncpg: a bounded pool, READ COMMITTED.

Rows are locked where a decision rests on them.  Work that is rolled back for a rival's sake is done
again, a few times; so it must bear to be done more than once, as all work on a `Connection` does
that touches nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from analysis.store_terms import JSON, OPTION, StoreUnavailable, T, Work, trouble

DEADLOCKS = 3
"""How often PostgreSQL may roll work back for a rival's sake before we call that trouble."""


class PostgresStore:
    def __init__(self, url: URL, connections: int, keys: Sequence[bytes] = ()) -> None:
        self.url = url
        self._engine: AsyncEngine = create_async_engine(
            url,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=30,
            execution_options={OPTION: tuple(keys)},
            **JSON,
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
                    raise trouble(error) from error
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

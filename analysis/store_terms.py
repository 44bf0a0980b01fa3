"""What both stores go by: the work they are given, the trouble they may have, how JSON is written.

Trouble of the database itself is `StoreUnavailable`, whose text is for logs, never for peers.  What
an engine says of itself (its classes of SQLSTATE) is with its store.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

import orjson
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

OPTION = "privacy_keys"
"""The execution option of every connection that holds the keys of `open_store`."""

T = TypeVar("T")
Work = Callable[[Connection], T]


class StoreUnavailable(Exception):
    """The database cannot do its work now: gone, locked, full.  Try again later."""


class StoreFull(StoreUnavailable):
    """There is no room left where the database lies."""


_DISK_FULL = "53100"  # PostgreSQL's SQLSTATE


def trouble(error: DBAPIError) -> StoreUnavailable:
    """What a driver's error is to whoever gave the work."""
    full = (
        getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        or getattr(error.orig, "sqlstate", None) == _DISK_FULL
    )
    return (StoreFull if full else StoreUnavailable)(str(error.orig))


def _written(value: Any) -> str:
    return orjson.dumps(value).decode()


JSON: dict[str, Any] = {"json_serializer": _written, "json_deserializer": orjson.loads}
"""JSON columns by orjson: every event has one, and Python's own costs six times as much."""

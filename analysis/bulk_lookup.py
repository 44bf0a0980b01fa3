"""Many look-ups at once: the same answers as `suppression.standing`, by one statement.

Asked by mailing tools for whole lists, so what counts is the cost of an address that nothing stands
against: no object is made for it, and the statement is handed to the driver as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, exists, select

from analysis import keyed_hash
from analysis.address import key_of
from analysis.schema import suppressions
from analysis.store import chunks
from analysis.suppression import Reason, Suppression, by_weight

MOST_VALUES = 10_000
"""In one statement; SQLite takes 32,766 variables."""

_COLUMNS = (
    "address_hash, stream, reason, address, since, until, evidence, actor,"
    " category, rule, delivery_id, probed_by"
)
_WITH_ARRAY = (
    f"SELECT {_COLUMNS} FROM suppressions"  # noqa: S608  names of ours
    " WHERE address_hash = ANY($1::bytea[]) AND (until IS NULL OR until > $2)"
)


def hash_of(text: str) -> bytes:
    """The hash of an address, or `AddressError`."""
    return sha256(key_of(text).encode()).digest()


def standing(tx: Connection, hashes: Iterable[bytes], now: float) -> dict[bytes, list[Suppression]]:
    """Every reason that stands against these addresses now, the weightiest first."""
    asked = list(set(hashes))
    found: dict[bytes, list[Suppression]] = {}
    for row in _rows(tx, asked, now):
        found.setdefault(bytes(row[0]), []).append(_entry(row, bytes(row[0])))
    if keyed_hash.keys(tx) and _any_erased(tx):
        forms = keyed_hash.keyed_forms(tx, asked)
        for row in _rows(tx, list(forms), now):
            one = forms[bytes(row[0])]
            found.setdefault(one, []).append(_entry(row, one))
    for entries in found.values():
        by_weight(entries)
    return found


def _any_erased(tx: Connection) -> bool:
    erased = select(exists().where(suppressions.c.erased_by.is_not(None)))
    return bool(tx.execute(erased).scalar_one())


def _rows(tx: Connection, hashes: Sequence[bytes], now: float) -> Iterable[Sequence[Any]]:
    for chunk in chunks(list(hashes), MOST_VALUES):
        if tx.dialect.name == "postgresql":
            yield from tx.exec_driver_sql(_WITH_ARRAY, (chunk, now))
        else:
            yield from tx.exec_driver_sql(_with_list(len(chunk)), (*chunk, now))


def _with_list(count: int) -> str:
    return (
        f"SELECT {_COLUMNS} FROM suppressions"  # noqa: S608  names of ours
        f" WHERE address_hash IN ({','.join('?' * count)}) AND (until IS NULL OR until > ?)"
    )


def _entry(row: Sequence[Any], asked: bytes) -> Suppression:
    _, stream, reason, *rest = row
    return Suppression(asked, stream, Reason(reason), *rest)

"""Reading a list of suppressed addresses, whoever wrote it, without holding it.

Entries come in the order of the file, and between them a `Refusal` for each line that cannot be
taken, with its number and the reason; its neighbours are taken.  The header of a CSV is line 1; in
a JSON document objects are counted.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO, TypeVar

from analysis.address import AddressError, address_hash, parse
from analysis.exchange import tables
from analysis.exchange.cells import checked_stream, harmful, read_hash, read_text, read_time
from analysis.exchange.dialects import DIALECTS, named, recognised
from analysis.exchange.dialects.shape import Dialect, Row
from analysis.exchange.writing import FIELDS
from analysis.reply import clean
from analysis.suppression import EVERY_STREAM, Limits, Suppression

T = TypeVar("T")

FORMATS = ("auto", *(one.name for one in DIALECTS if one.name != "own"), "csv", "ndjson")
MOST_EVIDENCE = 1_000
_HEAD = 4_096


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for a whole file.  `stream`: of lines that say none."""

    now: float
    actor: str
    limits: Limits
    stream: str = EVERY_STREAM


@dataclass(frozen=True, slots=True)
class Refusal:
    line: int
    why: str


def read_list(
    file: BinaryIO, terms: Terms, format_: str = "auto"
) -> Iterator[Suppression | Refusal]:
    """Read a file that can go back to its beginning; `format_` is one of `FORMATS`."""
    head = file.read(_HEAD).decode("utf-8-sig", "replace")
    file.seek(0)
    text = tables.as_text(file)
    dialect = None if format_ == "auto" else named(format_)
    try:
        for number, row in _rows(text, head, format_, dialect):
            try:
                if isinstance(row, ValueError):
                    raise row
                dialect = dialect or _dialect_of(row)
                yield _entry(dialect.ours(row), terms)
            except ValueError as error:  # AddressError is one
                yield Refusal(number, str(error))
                if dialect is None:
                    return
    finally:
        text.detach()  # the file is its owner's to close


def batches(found: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most `size`, as they come."""
    rest = iter(found)
    while part := list(islice(rest, size)):
        yield part


def _rows(
    text: io.TextIOWrapper, head: str, format_: str, dialect: Dialect | None
) -> Iterator[tables.Numbered]:
    start = head.lstrip()
    if format_ == "csv" or (not start.startswith(("[", "{")) and format_ != "ndjson"):
        return tables.of_csv(text, _headings(head, dialect))
    if format_ == "ndjson" or not _is_document(start):
        return tables.of_ndjson(text)
    return tables.of_json(text)


def _is_document(start: str) -> bool:
    """One object over several lines, or one that begins with a list: not an object a line."""
    first = start.partition("\n")[0].rstrip()
    return start[0] == "[" or not first.endswith("}") or "[{" in first[:200]


def _headings(head: str, dialect: Dialect | None) -> list[str] | None:
    """Names for a CSV that begins with an address at once, where a dialect writes such files."""
    try:
        first = next(csv.reader([head.partition("\n")[0]]), [])
    except csv.Error:
        return None  # it is told as a refusal, once rows are read
    for one in DIALECTS if dialect is None else (dialect,):
        if one.bare and len(first) == len(one.bare) and "@" in first[0]:
            return list(one.bare)
    return None


def _dialect_of(row: Row) -> Dialect:
    found = recognised(frozenset(row))
    if found is None:
        raise ValueError(
            f"the columns are none we know: name them {', '.join(FIELDS)}, or say --format"
        )
    return found


def _entry(row: Row, terms: Terms) -> Suppression:
    hashed, address = _identity(row)
    reason = row["reason"]
    since = _named(row, "since", read_time)
    until = _named(row, "until", read_time)
    start = terms.now if since is None else min(since, terms.now)
    evidence = clean(harmful(read_text(row, "evidence")), MOST_EVIDENCE)
    return Suppression(
        address_hash=hashed,
        stream=_named(row, "stream", checked_stream) or terms.stream,
        reason=reason,
        address=address,
        since=start,
        until=terms.limits.until(reason, start) if until is None else until,
        evidence=evidence or "imported",
        actor=terms.actor,
    )


def _named(row: Row, name: str, reader: Any) -> Any:
    """A cell that may be empty; a refusal names it."""
    if (value := row.get(name)) in (None, ""):
        return None
    try:
        return reader(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _identity(row: Row) -> tuple[bytes, str | None]:
    given = harmful(read_text(row, "address"))
    if given:
        try:
            address = parse(given)
        except AddressError as error:
            raise ValueError(f"address: {error}") from error
        return address_hash(address.key), address.wire
    return read_hash(read_text(row, "hash")), None

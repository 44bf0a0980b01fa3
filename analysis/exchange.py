"""The suppression list as CSV and NDJSON, in and out.

Columns: `address` (or `email`), `hash`, `stream`, `reason`, `since`, `until`, `evidence`, `actor`;
only an address or a hash is needed.  What is exported can be imported.  A cell that a spreadsheet
would run as a formula is written with a `'` in front, which is taken off again when it is read.

A line that cannot be taken is refused with its number and the reason; its neighbours are taken.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson

from analysis.address import AddressError, address_hash, parse
from analysis.lookup import iso
from analysis.reply import clean
from analysis.suppression import EVERY_STREAM, Limits, Reason, Suppression

T = TypeVar("T")

FIELDS = ("address", "hash", "stream", "reason", "since", "until", "evidence", "actor")
MOST_REFUSALS = 1_000
"""Refused lines that are named; more are counted."""
MOST_EVIDENCE = 1_000

_STREAM = re.compile(r"\*|[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)
_LATEST = 253_402_300_799.0  # the year 9999, past which ISO 8601 cannot write
_FORMULA = ("=", "+", "-", "@")
_MADE_HARMLESS = tuple(f"'{first}" for first in _FORMULA)


@dataclass(slots=True)
class Imported:
    """What was read: `refused` has line numbers, the header of a CSV being line 1."""

    entries: list[Suppression] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    refusals: int = 0

    def refuse(self, line: int, error: Exception) -> None:
        self.refusals += 1
        if len(self.refused) < MOST_REFUSALS:
            self.refused.append({"line": line, "error": str(error)})


def read_list(content: bytes, kind: str, *, now: float, actor: str, limits: Limits) -> Imported:
    """Read a whole file; `kind` is csv or ndjson.  Raises ValueError if it is not text at all."""
    text = content.decode("utf-8-sig")
    found = Imported()
    for line, row in _csv(text) if kind == "csv" else _ndjson(text):
        try:
            if isinstance(row, Exception):
                raise row
            found.entries.append(_entry(row, now, actor, limits))
        except ValueError as error:  # AddressError is one
            found.refuse(line, error)
    return found


def _csv(text: str) -> Iterator[tuple[int, dict[str, Any] | Exception]]:
    lines = csv.reader(io.StringIO(text.replace("\0", ""), newline=""))
    try:
        names = [name.strip().lower() for name in next(lines, [])]
        if not {"address", "email", "hash"}.intersection(names):
            yield 1, ValueError(f"the first line must name the columns: {', '.join(FIELDS)}")
            return
        for cells in lines:
            if any(cells):
                yield lines.line_num, dict(zip(names, cells, strict=False))
    except csv.Error as error:
        yield lines.line_num, ValueError(f"not CSV: {error}")


def _ndjson(text: str) -> Iterator[tuple[int, dict[str, Any] | Exception]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield number, ValueError(f"not JSON: {error}")
            continue
        yield number, row if isinstance(row, dict) else ValueError("expected an object")


def _entry(row: dict[str, Any], now: float, actor: str, limits: Limits) -> Suppression:
    hashed, address = _identity(row)
    reason = _text(row, "reason") or Reason.MANUAL.value
    if reason not in set(Reason):
        raise ValueError(f"reason: expected one of {', '.join(Reason)}")
    since = _read(row, "since", read_time)
    until = _read(row, "until", read_time)
    start = now if since is None else min(since, now)
    return Suppression(
        address_hash=hashed,
        stream=_read(row, "stream", checked_stream) or EVERY_STREAM,
        reason=Reason(reason),
        address=address,
        since=start,
        until=limits.until(Reason(reason), start) if until is None else until,
        evidence=clean(_harmful(_text(row, "evidence")), MOST_EVIDENCE) or "imported",
        actor=actor,
    )


def _read(row: dict[str, Any], name: str, reader: Callable[[Any], T]) -> T | None:
    """A cell that may be empty; a refusal names it."""
    if (value := row.get(name)) in (None, ""):
        return None
    try:
        return reader(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _identity(row: dict[str, Any]) -> tuple[bytes, str | None]:
    given = _harmful(_text(row, "address") or _text(row, "email"))
    if given:
        try:
            address = parse(given)
        except AddressError as error:
            raise ValueError(f"address: {error}") from error
        return address_hash(address.key), address.wire
    return read_hash(_text(row, "hash")), None


def read_hash(text: str) -> bytes:
    """The SHA-256 of an address's key, in hexadecimal."""
    try:
        hashed = bytes.fromhex(text) if text.isascii() else b""
    except ValueError:
        hashed = b""
    if len(hashed) != 32:
        raise ValueError("expected an address, or the SHA-256 of one as 64 hexadecimal digits")
    return hashed


def checked_stream(name: Any) -> str:
    """`*` or the name of a stream."""
    if not isinstance(name, str) or not _STREAM.fullmatch(name):
        raise ValueError("expected `*`, or lower-case letters, digits, - and _, at most 32")
    return name


def read_time(value: Any) -> float | None:
    """Unix seconds, or ISO 8601 with a zone; None and empty text are no time."""
    if value is None or value == "":
        return None
    try:
        at = float(value) if not isinstance(value, str) or _number(value) else _iso(value)
    except (ValueError, TypeError, OverflowError):
        at = -1.0
    if isinstance(value, bool) or not 0 <= at <= _LATEST:
        raise ValueError(
            "expected ISO 8601 with a zone, such as 2026-11-23T12:00:00Z, or Unix seconds"
        )
    return at


def _number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def _iso(text: str) -> float:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no zone")
    return moment.astimezone(UTC).timestamp()


def _text(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{name}: expected text")  # noqa: TRY004  a refusal like the others
    return value.strip()


def header(kind: str) -> bytes:
    return (",".join(FIELDS) + "\r\n").encode() if kind == "csv" else b""


def lines(entries: Iterable[Suppression], kind: str) -> bytes:
    """Entries as lines of the file, without its header."""
    if kind == "ndjson":
        return b"".join(
            orjson.dumps(entry_view(e), option=orjson.OPT_APPEND_NEWLINE) for e in entries
        )
    out = io.StringIO(newline="")
    table = csv.writer(out)
    for entry in entries:
        view = entry_view(entry)
        table.writerow([_harmless(view[name]) for name in FIELDS])
    return out.getvalue().encode()


def entry_view(entry: Suppression) -> dict[str, Any]:
    """An entry of the list as JSON shows it."""
    return {
        "address": entry.address,
        "hash": entry.address_hash.hex(),
        "stream": entry.stream,
        "reason": entry.reason.value,
        "since": iso(entry.since),
        "until": iso(entry.until),
        "evidence": entry.evidence,
        "actor": entry.actor,
    }


def _harmless(text: str | None) -> str:
    """One line, and text even to a spreadsheet."""
    line = " ".join((text or "").split())
    return f"'{line}" if line.startswith(_FORMULA) else line


def _harmful(text: str) -> str:
    return text[1:] if text.startswith(_MADE_HARMLESS) else text

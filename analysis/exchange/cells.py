"""Cells of a list: addresses, hashes, streams, times, and text that no spreadsheet runs.

Each reader gives a value or raises ValueError with words for whoever wrote the file.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

_STREAM = re.compile(r"\*|[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)
_LATEST = 253_402_300_799.0  # the year 9999, past which ISO 8601 cannot write
_FORMULA = ("=", "+", "-", "@")
_MADE_HARMLESS = tuple(f"'{first}" for first in _FORMULA)


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


def read_any_time(value: Any) -> float | None:
    """A time as others write it: also RFC 5322 section 3.3, and ISO 8601 without a zone for UTC.

    What cannot be read is no time: when an address came on another's list is not worth a refusal.
    """
    try:
        return read_time(value)
    except ValueError:
        pass
    text = str(value).strip()[:64]
    for reader in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = reader(text)
            at = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
        except (ValueError, TypeError, OverflowError):
            continue
        return at if 0 < at <= _LATEST else None
    return None


def read_text(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{name}: expected text")  # noqa: TRY004  a refusal like the others
    return value.strip()


def harmless(text: str | None) -> str:
    """One line, and text even to a spreadsheet."""
    line = " ".join((text or "").split())
    return f"'{line}" if line.startswith(_FORMULA) else line


def harmful(text: str) -> str:
    """What `harmless` was given."""
    return text[1:] if text.startswith(_MADE_HARMLESS) else text


def _number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def _iso(text: str) -> float:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no zone")
    return moment.astimezone(UTC).timestamp()

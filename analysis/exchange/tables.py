"""Files as rows: CSV, one JSON object a line, or JSON documents with a list in them.

Rows come one by one with the number of their line (in a JSON document: of the object), so that a
file may be larger than memory.  What is no row is an exception in its place, and its neighbours are
read, except where nothing after it can be trusted: a line without end, JSON that is broken.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson

LONGEST_LINE = 100_000
"""Characters of a line, or of an object in a JSON document."""
_PIECE = 65_536
_BETWEEN = re.compile(r"[\s,]*")
_LIST = re.compile(r"\A\s*(?:\{[^\[\]]{0,2000}?)?\[", re.ASCII)

Row = dict[str, Any]
Numbered = tuple[int, Row | ValueError]


def as_text(file: BinaryIO) -> io.TextIOWrapper:
    """The file as text; octets that are not UTF-8 become characters that no cell may hold."""
    return io.TextIOWrapper(
        file, encoding="utf-8-sig", errors="surrogateescape", newline="", write_through=True
    )


def of_csv(text: io.TextIOBase, headings: list[str] | None) -> Iterator[Numbered]:
    """Rows under the names of the first line, or under `headings` where it names none."""
    table = csv.reader(_lines(text))
    names = headings
    try:
        for cells in table:
            if names is None:
                names = [plain_name(cell) for cell in cells]
            elif any(cells):
                yield table.line_num, _checked(dict(zip(names, cells, strict=False)))
    except csv.Error as error:
        yield table.line_num, ValueError(f"not CSV: {error}; nothing after it was read")
    except ValueError as error:
        yield table.line_num + 1, error


def of_ndjson(text: io.TextIOBase) -> Iterator[Numbered]:
    number = 0
    try:
        for number, line in enumerate(_lines(text), start=1):
            if line.strip():
                yield number, _object(line)
    except ValueError as error:
        yield number + 1, error


def of_json(text: io.TextIOBase) -> Iterator[Numbered]:
    """The objects of the first list in a document: `[{...}]` or `{"items": [{...}], ...}`."""
    buffer = text.read(_PIECE)
    start = _LIST.match(buffer)
    if start is None:
        yield 1, ValueError("expected a JSON document with a list of objects")
        return
    place, number, decoder = start.end(), 0, json.JSONDecoder()
    while True:
        between = _BETWEEN.match(buffer, place)
        place = between.end() if between else place
        if buffer.startswith("]", place):
            return
        try:
            found, place = decoder.raw_decode(buffer, place)
        except (ValueError, RecursionError):
            more = text.read(_PIECE)
            buffer, place = buffer[place:] + more, 0
            if not more or len(buffer) > LONGEST_LINE + _PIECE:
                yield number + 1, ValueError("not JSON; nothing after it was read")
                return
            continue
        number += 1
        yield number, _named(found)


def plain_name(text: str) -> str:
    """`EmailAddress`, `Email address` and `email_address` are one name."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _lines(text: io.TextIOBase) -> Iterator[str]:
    while line := text.readline(LONGEST_LINE):
        if len(line) >= LONGEST_LINE:
            raise ValueError("the line is too long; nothing after it was read")
        yield line.replace("\0", "") if "\0" in line else line


def _object(line: str) -> Row | ValueError:
    try:
        return _named(orjson.loads(line.encode()))
    except UnicodeEncodeError:
        return ValueError("not UTF-8")
    except orjson.JSONDecodeError as error:
        return ValueError(f"not JSON: {error}")


def _named(found: Any) -> Row | ValueError:
    if not isinstance(found, dict):
        return ValueError("expected an object")
    return _checked({plain_name(name): value for name, value in found.items()})


def _checked(row: Row) -> Row | ValueError:
    for value in row.values():
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                return ValueError("not UTF-8")
    return row

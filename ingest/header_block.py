"""Header blocks: where one ends, which fields it holds, what type it gives the body.

Bounded like all of `ingest.mime`: what is over a limit is not looked at, and no bytes raise.
"""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Final

from ingest.charsets import decode_words, guess

MAX_HEADER_BYTES: Final = 100_000
MAX_HEADER_LINES: Final = 2_000

_HEADER_LINE = re.compile(r"\n(?![ \t])")
_FIELD_NAME = re.compile(r"[!-9;-~]{1,80}[ \t]{0,4}:", re.ASCII)
_TYPE = re.compile(r"\s{0,20}([\w.+-]{1,60}/[\w.+-]{1,80})", re.ASCII)
_PARAMETER = re.compile(
    r';[\s;]{0,40}([\w*-]{1,40})\s{0,10}=\s{0,10}(?:"([^"]{0,300})"|([^\s;"]{1,300}))', re.ASCII
)


class Headers:
    """A header block: names without case, values unfolded, every repetition kept in order."""

    __slots__ = ("_values", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._values: dict[str, list[str]] = {}
        for line in _HEADER_LINE.split(text, MAX_HEADER_LINES)[:MAX_HEADER_LINES]:
            if match := _FIELD_NAME.match(line):
                name = line[: match.end() - 1].rstrip().lower()
                value = line[match.end() :].replace("\n", " ").strip()
                self._values.setdefault(name, []).append(value)

    def get(self, name: str) -> str:
        """The first value of a field as it stands, '' where there is none."""
        values = self._values.get(name)
        return values[0] if values else ""

    def all(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def word(self, name: str) -> str:
        """The first value with its encoded words decoded.  RFC 2047."""
        return decode_words(self.get(name))

    @property
    def names(self) -> Set[str]:
        return self._values.keys()

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __bool__(self) -> bool:
        return bool(self._values)


def split(data: bytes) -> tuple[str, bytes]:
    """Header block and body of a message or part."""
    if data[:1] == b"\n":
        return "", data[1:]
    if data[:5] in (b"From ", b">From"):  # an mbox line in front
        end = data.find(b"\n")
        data = data[end + 1 :] if 0 <= end < 300 else data
    end = data.find(b"\n\n", 0, MAX_HEADER_BYTES)
    if end < 0:
        end = data.find(b"\n \n", 0, MAX_HEADER_BYTES)  # a blank line that kept a space
    if end < 0:
        block, body = data[:MAX_HEADER_BYTES], data[MAX_HEADER_BYTES:]
    else:
        block, body = data[:end], data[end + 2 :]
    head = guess(block)
    if not _FIELD_NAME.match(head):
        return "", data
    return head, body


def content_type(headers: Headers) -> tuple[str, dict[str, str]]:
    value = headers.get("content-type")[:2_000]
    match = _TYPE.match(value)
    return (match[1].lower() if match else "text/plain"), parameters_of(value)


def parameters_of(value: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(value[:2_000]):
        found.setdefault(match[1].lower().rstrip("*"), match[2] or match[3] or "")
    return found

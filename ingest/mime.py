"""Hostile bytes made into a flat list of parts, in time and memory that the limits below bound.

Owns the byte level: line ends, multipart boundaries, transfer encodings; `ingest.header_block`
reads the header of each part.  A splitter of our own instead of `email.parser`: that one recurses
by nesting, copies every line and takes seconds for a crafted megabyte.  Only what reports need is
kept: nothing is ever re-serialised from here.

Promises: never raises for any bytes; walks without recursion; each byte is looked at a bounded
number of times.  What is over a limit is left unread and named in `Mail.defects`.
Refuses: to open compressed parts.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Final

from ingest.charsets import base64_bytes, decode_text, decode_words
from ingest.header_block import (
    MAX_HEADER_BYTES,
    MAX_HEADER_LINES,
    Headers,
    content_type,
    parameters_of,
    split,
)
from ingest.html_text import html_to_text

MAX_BYTES: Final = 10_000_000
"""Bytes of a message that are looked at; the listener takes no more unless it is told to."""
MAX_PARTS: Final = 200
MAX_DEPTH: Final = 20
MAX_SCAN_BYTES: Final = 4_000_000
"""Bytes searched for the boundaries of one multipart."""
MAX_DELIMITERS: Final = 20_000
"""Lines of one multipart that begin like a delimiter, whether they are one or not."""
MAX_READABLE: Final = 30
"""Parts whose text is read."""
MAX_TEXT: Final = 64_000
"""Characters of a decoded part that are read."""

_DELIMITER = re.compile(rb"(?:^|\n)--([!-~]{4,70})[ \t]{0,5}\n")
_MESSAGES = frozenset({"message/rfc822", "message/global", "message/partial"})
_HEADERS_ONLY = frozenset(
    {
        "text/rfc822-headers",
        "text/rfc822-header",
        "message/rfc822-headers",
        "message/global-headers",
    }
)


@dataclass(frozen=True)
class Part:
    """One leaf of the message.  `body` is as sent; `text` is decoded, cut, with `\\n` line ends."""

    headers: Headers
    type: str  # lower case, `text/plain` where nothing readable is said
    parameters: dict[str, str]
    body: bytes
    depth: int

    @cached_property
    def filename(self) -> str:
        disposition = parameters_of(self.headers.get("content-disposition"))
        name = disposition.get("filename") or self.parameters.get("name") or ""
        return decode_words(name)

    @property
    def is_message(self) -> bool:
        """Whether the part is returned mail, whole or only its headers."""
        return self.type in _MESSAGES or self.type in _HEADERS_ONLY

    @cached_property
    def decoded(self) -> bytes:
        """The start of the body without its transfer encoding.  RFC 2045 section 6."""
        encoding = self.headers.get("content-transfer-encoding").lower()
        if "base64" in encoding:
            return base64_bytes(self.body[: MAX_TEXT * 6])
        if "quoted-printable" in encoding:
            return binascii.a2b_qp(self.body[: MAX_TEXT * 6])
        return self.body[: MAX_TEXT * 4]

    @property
    def content(self) -> bytes:
        """All of the body without its transfer encoding: a file."""
        encoding = self.headers.get("content-transfer-encoding").lower()
        if "base64" in encoding:
            return base64_bytes(self.body)
        return binascii.a2b_qp(self.body) if "quoted-printable" in encoding else self.body

    @cached_property
    def text(self) -> str:
        text = decode_text(self.decoded, self.parameters.get("charset", ""))
        return text.replace("\r\n", "\n").replace("\r", "\n")[:MAX_TEXT]

    @cached_property
    def plain(self) -> str:
        """The text as people read it: HTML without its tags."""
        return html_to_text(self.text) if self.type == "text/html" else self.text


@dataclass(frozen=True)
class Mail:
    """A message: its header block, its leaves in order, what could not be read."""

    headers: Headers
    type: str
    parameters: dict[str, str]
    parts: tuple[Part, ...]
    body: bytes
    defects: tuple[str, ...] = ()

    def first(self, *types: str) -> Part | None:
        return next((part for part in self.parts if part.type in types), None)

    @cached_property
    def notice(self) -> str:
        """What the report says to people: every plain text, or the HTML where there is none."""
        texts = (part for part in self.parts if part.type in ("text/plain", "text/html"))
        readable = list(islice(texts, MAX_READABLE))
        plain = [part.plain for part in readable if part.type == "text/plain" and not part.filename]
        if not any("@" in text for text in plain):
            plain = [part.plain for part in readable]
        return "\n".join(plain)[:MAX_TEXT]

    @cached_property
    def returned(self) -> Headers:
        """Header block of the first returned message; empty where none came back as a part."""
        for part in self.parts:
            if part.is_message:
                block = part.decoded if part.headers.get("content-transfer-encoding") else part.body
                return Headers(split(block.lstrip(b"\n"))[0])
        return Headers("")


@dataclass
class _Walk:
    parts: list[Part] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)
    seen: int = 0

    def defect(self, words: str) -> None:
        if words not in self.defects:
            self.defects.append(words)


def read_mime(raw: bytes) -> Mail:
    """Take a message apart.  Any bytes give a `Mail`, if only one with a single text part."""
    walk = _Walk()
    if len(raw) > MAX_BYTES:
        walk.defect(f"only the first {MAX_BYTES} bytes were read")
    data = _lines(raw[:MAX_BYTES])
    head, body = split(data)
    headers = Headers(head)
    if len(head) >= MAX_HEADER_BYTES or head.count("\n") >= MAX_HEADER_LINES:
        walk.defect("the header is too long")
    kind, parameters = content_type(headers)
    _collect(walk, headers, kind, parameters, body)
    return Mail(headers, kind, parameters, tuple(walk.parts), body, tuple(walk.defects))


def _collect(
    walk: _Walk, headers: Headers, kind: str, parameters: dict[str, str], body: bytes
) -> None:
    """Walk the tree in reading order with a stack, not the interpreter's."""
    stack = [(headers, kind, parameters, body, 0)]
    while stack:
        headers, kind, parameters, body, depth = stack.pop()
        boundary = _boundary(kind, parameters, body)
        pieces = _pieces(walk, body, boundary, depth) if boundary else []
        if not pieces:
            leaf = "text/plain" if kind.startswith("multipart/") else kind
            walk.parts.append(Part(headers, leaf, parameters, body, depth))
            continue
        for piece in reversed(pieces):
            inner_head, inner_body = split(piece)
            inner = Headers(inner_head)
            inner_kind, inner_parameters = content_type(inner)
            stack.append((inner, inner_kind, inner_parameters, inner_body, depth + 1))


def _boundary(kind: str, parameters: dict[str, str], body: bytes) -> str:
    """What parts the body; where the field lost it, what the first delimiter line says."""
    if not kind.startswith("multipart/"):
        return ""
    declared = parameters.get("boundary", "").rstrip()
    guess = None if declared else _DELIMITER.search(body[:4_000])
    return guess[1].decode("latin-1") if guess else declared


def _pieces(walk: _Walk, body: bytes, boundary: str, depth: int) -> list[bytes]:
    """Cut a multipart body at its delimiter lines.  RFC 2046 section 5.1.1."""
    if depth >= MAX_DEPTH:
        walk.defect("parts are nested too deep")
        return []
    delimiter = b"\n--" + boundary.encode("utf-8", "replace")
    scanned = b"\n" + body[:MAX_SCAN_BYTES]
    pieces: list[bytes] = []
    begin = -1
    at = scanned.find(delimiter)
    for _ in range(MAX_DELIMITERS):
        if at < 0:
            break
        line_end = scanned.find(b"\n", at + len(delimiter))
        line_end = len(scanned) if line_end < 0 else line_end
        rest = scanned[at + len(delimiter) : min(line_end, at + len(delimiter) + 80)].strip()
        if rest in (b"", b"--"):
            if begin >= 0:
                pieces.append(scanned[begin:at])
                walk.seen += 1
            begin = line_end + 1
            if rest == b"--":
                return pieces
            if walk.seen >= MAX_PARTS:
                walk.defect("too many parts")
                return pieces
        at = scanned.find(delimiter, max(line_end, at + 1))
    else:
        walk.defect("too many lines look like boundaries")
    if 0 <= begin < len(scanned):  # the closing delimiter is missing
        pieces.append(scanned[begin:])
    return pieces


def _lines(raw: bytes) -> bytes:
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n")
        if b"\n" not in raw[:MAX_HEADER_BYTES]:
            raw = raw.replace(b"\r", b"\n")
    return raw.removeprefix(b"\xef\xbb\xbf").lstrip(b"\n")

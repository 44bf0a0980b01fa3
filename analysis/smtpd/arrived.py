"""What has come in on a connection and nobody has read yet.

Four places must know of it without waiting for more, which asyncio's reader has no words for:
replies that leave together, recipients that are asked about together, STARTTLS, after which nothing
may follow, and content, whose first line needs the line end before it.  So they look into the
reader's buffer, as aiosmtpd does; here alone, so that a Python that names it otherwise fails here.
"""

from __future__ import annotations

import asyncio


def unread(reader: asyncio.StreamReader) -> bytearray:
    """The octets themselves, not a copy."""
    buffer: bytearray = reader._buffer  # type: ignore[attr-defined]
    return buffer


def whole_lines(reader: asyncio.StreamReader) -> list[bytes]:
    """The lines that have come to their CRLF, without it."""
    return bytes(unread(reader)).split(b"\r\n")[:-1]


def put_back(reader: asyncio.StreamReader, octets: bytes) -> None:
    """Let octets be read again, before all others."""
    unread(reader)[:0] = octets

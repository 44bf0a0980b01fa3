"""An SMTP client that does exactly what it is told, also what no honest one would do."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator


class Wire:
    """One connection.  `say` writes a line and returns the whole reply, lines joined by `\\n`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def reply(self) -> str:
        lines: list[str] = []
        while True:
            line = (await self.reader.readline()).decode()
            if not line:
                return "\n".join(lines)
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    async def say(self, line: str | bytes) -> str:
        self.write((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return await self.reply()

    def write(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def at_eof(self) -> bool:
        """Wait for the other side to close; whatever comes before is thrown away."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65_536):
                pass
        return True

    async def start_tls(self, context: ssl.SSLContext) -> None:
        transport = await asyncio.get_running_loop().start_tls(
            self.writer.transport,
            self.writer.transport.get_protocol(),
            context,
            server_hostname="127.0.0.1",
        )
        assert transport is not None
        self.reader._transport = transport  # type: ignore[attr-defined]
        self.writer._transport = transport  # type: ignore[attr-defined]


@contextlib.asynccontextmanager
async def dial(port: int, *, greet: bool = True) -> AsyncIterator[Wire]:
    """Connect to loopback; unless told otherwise, read the banner and say EHLO."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    wire = Wire(reader, writer)
    try:
        if greet:
            assert (await wire.reply()).startswith("220 ")
            assert (await wire.say("EHLO client.example.net")).startswith("250-")
        yield wire
    finally:
        writer.transport.abort()

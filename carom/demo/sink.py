"""The sink: one SMTP server on loopback that plays many mailbox providers.

Speaks enough of RFC 5321 and RFC 2920 for any client, and misbehaves by the recipient's role:
greylists, throttles, refuses, hangs up, stalls; and writes back afterwards by real SMTP.  What it
took is counted by Message-ID, so that the demo can say how many copies went over the wire.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast

from carom.demo.cast import role_of
from carom.demo.letters import bounce, complaint, out_of_office

PATIENCE = 60.0  # seconds without a command before the sink hangs up
MOST_OCTETS = 2_000_000
_ADDRESS = re.compile(rb"<([^<>\s]*)>")
_MESSAGE_ID = re.compile(rb"^message-id:\s*(<[^<>\s]+>)", re.IGNORECASE | re.MULTILINE)

WriteBack = Callable[[str, bytes], Awaitable[None]]
"""Send a letter to an address, from the null sender."""

_AT_RCPT = {
    "grey": b"451 4.7.1 Greylisted, please try again in 1 seconds",
    "busy": b"421 4.7.0 Too many messages from your address, slow down",
    "brim": b"452 4.2.2 The mailbox is over its quota",
}
"""What a role says the first time."""

_ALWAYS = {
    "nobody": b"550 5.1.1 No such user here",
    "block": b"554 5.7.1 Your address 127.0.0.1 is on our blocklist",
    "shut": b"452 4.2.2 The mailbox is over its quota",
}


@dataclass(slots=True)
class Sink:
    write_back: WriteBack
    seen: Counter[str] = field(default_factory=Counter)  # recipients asked for, by RCPT
    taken: Counter[str] = field(default_factory=Counter)  # copies, by Message-ID
    _server: asyncio.Server | None = None
    _letters: set[asyncio.Task[None]] = field(default_factory=set)
    _open: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)
    _closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> int:
        """Listen on a free loopback port; returns it."""
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, limit=MOST_OCTETS, backlog=512
        )
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """Finish the letters under way and hang up."""
        if self._letters:
            await asyncio.gather(*self._letters, return_exceptions=True)
        if self._server is not None:
            self._server.close()
        self._closed.set()
        for writer in self._open.values():
            writer.transport.abort()
        if self._open:  # whoever is cut off later, at the end of the loop, is told of with a trace
            await asyncio.wait(list(self._open), timeout=PATIENCE)

    @property
    def writing(self) -> bool:
        """Whether letters are still on their way."""
        return bool(self._letters)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        me = cast("asyncio.Task[None]", asyncio.current_task())
        self._open[me] = writer
        try:
            await self._converse(reader, writer)
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            pass  # the client has gone, or talks nonsense: there is nobody to tell
        finally:
            del self._open[me]
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx.providers.example ESMTP\r\n")
        sender = recipient = ""
        while True:
            async with asyncio.timeout(PATIENCE):
                line = await reader.readline()
            verb = line[:4].upper()
            match verb:
                case b"EHLO" | b"HELO":
                    writer.write(b"250-mx.providers.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
                case b"MAIL":
                    sender, recipient = _address(line), ""
                    writer.write(b"250 2.1.0 OK\r\n")
                case b"RCPT":
                    answer = self._answer(_address(line))
                    recipient = _address(line) if answer.startswith(b"2") else ""
                    writer.write(answer + b"\r\n")
                    if answer.startswith(b"421"):
                        await writer.drain()
                        return
                case b"DATA" if not recipient:
                    writer.write(b"503 5.5.1 No recipient\r\n")
                case b"DATA":
                    writer.write(b"354 Go ahead\r\n")
                    if not await self._take(reader, writer, sender, recipient):
                        return
                case b"RSET" | b"NOOP":
                    writer.write(b"250 2.0.0 OK\r\n")
                case b"QUIT" | b"":
                    return
                case _:
                    writer.write(b"500 5.5.2 What?\r\n")

    def _answer(self, recipient: str) -> bytes:
        role = role_of(recipient).name
        self.seen[recipient] += 1
        if role in _ALWAYS:
            return _ALWAYS[role]
        if role in _AT_RCPT and self.seen[recipient] == 1:
            return _AT_RCPT[role]
        return b"250 2.1.5 OK"

    async def _take(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        sender: str,
        recipient: str,
    ) -> bool:
        """Read a message and answer it as the role does; False to hang up."""
        first = self.seen[recipient] == 1
        role = role_of(recipient).name
        if role == "drop" and first:
            await reader.readuntil(b"\r\n")
            return False
        content = await reader.readuntil(b"\r\n.\r\n")
        if role == "stall" and first:
            await self._closed.wait()  # the client gives up first
            return False
        content = content[:-3].replace(b"\r\n..", b"\r\n.")
        if found := _MESSAGE_ID.search(content):
            self.taken[found[1].decode()] += 1
        writer.write(b"250 2.0.0 Taken\r\n")
        self._write_back(role, sender, recipient, content)
        return True

    def _write_back(self, role: str, sender: str, recipient: str, content: bytes) -> None:
        to, letter = sender, b""
        match role:
            case "ghost":
                letter = bounce(sender, recipient, content, "5.1.1", "550 5.1.1 No such user here")
            case "full":
                words = "552 5.2.2 The mailbox is over its quota"
                letter = bounce(sender, recipient, content, "5.2.2", words)
            case "angry":
                to = f"fbl@{sender.rpartition('@')[2]}"
                letter = complaint(to, recipient, content)
            case "away":
                letter = out_of_office(sender, recipient)
        if letter:
            task = asyncio.create_task(self._post(to, letter))
            self._letters.add(task)
            task.add_done_callback(self._letters.discard)

    async def _post(self, to: str, letter: bytes) -> None:
        await self.write_back(to, letter)


def _address(line: bytes) -> str:
    found = _ADDRESS.search(line)
    return found[1].decode("utf-8", "replace") if found else ""

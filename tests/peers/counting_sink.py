"""A mail host that remembers each copy it took, for stories in which the sender dies.

    async with CountingSink(tick=...) as sink:
        ...deliver to sink.port...
        assert sink.copies == [Copy("<1@example.com>", "b+...@bounces.example.com", "ann@...")]

`tick` is called at every moment at which a sender's death makes a difference: after RCPT, after
DATA, with the content here but not yet answered, and with the answer on its way.  A copy counts
from the moment at which the 250 is due, whether or not anybody is left to hear it.

Clear `gate` to hold the answers to the dot back; `held` says how many wait.  `go` does the same
for the answer to DATA, and `asked` says how many wait there.  `began` has when each content came.

By local part: `gone...` is refused for good (550), `later...` is put off the first time (451).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

_MESSAGE_ID = re.compile(rb"^message-id:\s*(<[^<>\s]+>)", re.IGNORECASE | re.MULTILINE)
_ADDRESS = re.compile(rb"<([^<>\s]*)>")
_MOST_OCTETS = 1_000_000
_EHLO = b"250-sink.example.net\r\n250-PIPELINING\r\n250 8BITMIME\r\n"


@dataclass(frozen=True, slots=True)
class Copy:
    """One message to one recipient, taken."""

    message_id: str
    return_path: str
    recipient: str


class CountingSink:
    def __init__(self, tick: Callable[[], None] = lambda: None) -> None:
        self.copies: list[Copy] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.held = 0
        self.go = asyncio.Event()
        self.go.set()
        self.asked = 0
        self.began: list[float] = []  # by the loop's clock
        self._tick = tick
        self._seen: set[str] = set()
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> CountingSink:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, limit=_MOST_OCTETS, backlog=512
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._converse(reader, writer)
        self._open.discard(writer)
        writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink.example.net ESMTP\r\n")
        sender = recipient = ""
        while line := await reader.readline():
            match line[:4].upper():
                case b"EHLO":
                    writer.write(_EHLO)
                case b"MAIL":
                    sender, recipient = _address(line), ""
                    writer.write(b"250 2.1.0 ok\r\n")
                case b"RCPT":
                    answer = self._answer(_address(line))
                    recipient = _address(line) if answer.startswith(b"250") else ""
                    writer.write(answer)
                    self._tick()
                case b"DATA" if recipient:
                    await self._asked()
                    writer.write(b"354 go\r\n")
                    self._tick()
                    content = await reader.readuntil(b"\r\n.\r\n")
                    await self._held()
                    self._take(writer, content, sender, recipient)
                case b"DATA":
                    writer.write(b"503 5.5.1 no recipient\r\n")
                case b"QUIT":
                    writer.write(b"221 2.0.0 bye\r\n")
                    await writer.drain()
                    return
                case _:
                    writer.write(b"250 2.0.0 ok\r\n")

    def _answer(self, recipient: str) -> bytes:
        if recipient.startswith("gone"):
            return b"550 5.1.1 No such user here\r\n"
        if recipient.startswith("later") and recipient not in self._seen:
            self._seen.add(recipient)
            return b"451 4.7.1 Greylisted, come back later\r\n"
        return b"250 2.1.5 ok\r\n"

    async def _asked(self) -> None:
        self.asked += 1
        await self.go.wait()
        self.asked -= 1

    async def _held(self) -> None:
        self.began.append(asyncio.get_running_loop().time())
        self.held += 1
        await self.gate.wait()
        self.held -= 1

    @property
    def open(self) -> int:
        """Connections there are."""
        return len(self._open)

    def _take(
        self, writer: asyncio.StreamWriter, content: bytes, sender: str, recipient: str
    ) -> None:
        found = _MESSAGE_ID.search(content)
        self._tick()
        self.copies.append(Copy(found[1].decode() if found else "", sender, recipient))
        writer.write(b"250 2.0.0 taken\r\n")
        self._tick()


def _address(line: bytes) -> str:
    found = _ADDRESS.search(line)
    return found[1].decode("utf-8", "replace") if found else ""

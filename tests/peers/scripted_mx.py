"""A mail host on loopback that misbehaves on purpose, at the stage it is told to.

    async with ScriptedMX({"rcpt": Say("550 5.1.1 no such user")}) as mx:
        ...deliver to mx.host...
        await mx.until(lambda: mx.open == 0)
        assert mx.received == []

A script maps a stage to an `Act`, or to a list of acts: one for each time the stage is reached, on
whatever connection, and good behaviour (`Go`) when the list is used up.

Stages: banner, ehlo, helo, starttls (the command), tls (the handshake), auth, mail, rcpt, data,
content (early, while it is still coming), dot (after all of it), idle (unasked, after the answer to
the dot), rset, quit.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

EXTENSIONS = ("PIPELINING", "SIZE 20000000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")


@dataclass(frozen=True)
class Go:
    """Behave."""


@dataclass(frozen=True)
class Say:
    """Answer with these lines instead; then hang up if `drop`, or read nothing more if `deaf`."""

    text: str  # lines separated by \n
    drop: bool = False
    deaf: bool = False  # at `content` only


@dataclass(frozen=True)
class Raw:
    """Send these bytes, whatever they are, as the answer."""

    data: bytes


@dataclass(frozen=True)
class Stall:
    """Answer nothing more, until the other side goes away.

    At `content` nothing is read either, so this host never learns that the other side went.
    """


@dataclass(frozen=True)
class Drop:
    """Hang up: with a FIN, or with an RST."""

    rst: bool = False


@dataclass(frozen=True)
class Drip:
    """Send this a byte at a time, over and over: an answer that never ends."""

    text: str
    seconds: float = 0.01


Act = Go | Say | Raw | Stall | Drop | Drip
Script = Mapping[str, Act | Sequence[Act]]


@dataclass
class Received:
    """A message that was accepted, and how."""

    mail_from: str
    rcpts: list[str]
    content: bytes  # as sent, dots unstuffed
    mail_line: str
    connection: int
    tls: bool
    user: str | None = None


class ScriptedMX:
    def __init__(
        self,
        script: Script | None = None,
        *,
        extensions: Sequence[str] = EXTENSIONS,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        receive_buffer: int | None = None,  # octets, to make flow control bite early
        address: str = "127.0.0.1",
    ) -> None:
        self.extensions = extensions
        self.tls = tls
        self.address = address
        self.port = 0
        self.received: list[Received] = []
        self.commands: list[str] = []  # every command line, of all connections
        self.sources: list[str] = []  # the peer's address of each connection
        self.server_names: list[str | None] = []  # SNI of each TLS handshake
        self.connections = 0
        self.open = 0
        self.play(script or {})
        self._implicit_tls = implicit_tls
        self._receive_buffer = receive_buffer
        self._server: asyncio.Server | None = None
        self._dialogues: set[asyncio.Task[None]] = set()
        self._watchers: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        if tls is not None:
            tls.sni_callback = lambda _, name, __: self.server_names.append(name)

    async def __aenter__(self) -> ScriptedMX:
        # The protocol is named because asyncio turns off Nagle only where it is.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if self._receive_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        listener.bind((self.address, 0))
        self.port = listener.getsockname()[1]
        self._server = await asyncio.start_server(
            self._accept, sock=listener, ssl=self.tls if self._implicit_tls else None
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for dialogue in self._dialogues:
            dialogue.cancel()
        await asyncio.gather(*self._dialogues, return_exceptions=True)

    def play(self, script: Script) -> None:
        """Act by this script from now on."""
        self._script = {
            stage: acts if isinstance(acts, Act) else list(acts) for stage, acts in script.items()
        }

    def act(self, stage: str) -> Act:
        """What the script says for this visit to `stage`."""
        acts = self._script.get(stage, Go())
        if isinstance(acts, list):
            return acts.pop(0) if acts else Go()
        return acts

    def scripted(self, stage: str) -> bool:
        return stage in self._script

    async def until(self, happened: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until something about this host is so; TimeoutError if it never is."""
        if happened():
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.append((happened, future))
        async with asyncio.timeout(seconds):
            await future

    def changed(self) -> None:
        for happened, future in self._watchers:
            if not future.done() and happened():
                future.set_result(None)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._dialogues.add(task)
        self.connections += 1
        self.open += 1
        self.sources.append(writer.get_extra_info("peername")[0])
        self.changed()
        dialogue = _Dialogue(self, reader, writer, self.connections, tls=self._implicit_tls)
        try:
            await dialogue.run()
        except (_HungUp, OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the script, the client or the end of the test ended it
        except RuntimeError:
            # uvloop, of any use of a transport whose client has gone: "the handler is closed"
            if not writer.is_closing():
                raise
        finally:
            writer.transport.abort()
            self._dialogues.discard(task)
            self.open -= 1
            self.changed()


class _HungUp(Exception):
    pass


@dataclass
class _Dialogue:
    mx: ScriptedMX
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int
    tls: bool
    mail: str | None = None
    rcpts: list[str] = field(default_factory=list)
    user: str | None = None

    async def run(self) -> None:
        await self.perform("banner", "220 mx.example.net ESMTP")
        while line := await self.reader.readline():
            command = line.decode("utf-8", "replace").rstrip("\r\n")
            self.mx.commands.append(command)
            self.mx.changed()
            await self.obey(command)

    async def obey(self, command: str) -> None:
        verb = command.split(" ")[0].split(":")[0].lower()
        handler = getattr(self, f"on_{verb}", None)
        if handler is None:
            await self.write(b"502 5.5.1 unknown command\r\n")
        else:
            await handler(command)

    async def perform(self, stage: str, answer: str) -> bool:
        """Do what the script says for `stage`; True if that was the good `answer`."""
        match self.mx.act(stage):
            case Go():
                await self.write(_lines(answer))
                return True
            case Say(text, drop):
                await self.write(_lines(text))
                if drop:
                    await self.drop(rst=False)
                return text[:1] in "23"
            case Raw(data):
                await self.write(data)
            case Drop(rst):
                await self.drop(rst=rst)
            case Stall():
                await self.stall()
            case Drip(text, seconds):
                await self.drip(text.encode(), seconds)
        return False

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def drop(self, *, rst: bool) -> None:
        if rst:
            wire: socket.socket = self.writer.get_extra_info("socket")
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self.writer.close()
            await self.writer.wait_closed()
        raise _HungUp

    async def stall(self) -> None:
        while await self.reader.read(65_536):
            pass
        raise _HungUp

    async def drip(self, data: bytes, seconds: float) -> None:
        while True:
            for octet in data:
                await self.write(bytes([octet]))
                await asyncio.sleep(seconds)

    async def on_ehlo(self, _: str) -> None:
        offers = [*self.mx.extensions]
        if self.mx.tls is not None and not self.tls:
            offers.append("STARTTLS")
        lines = ["mx.example.net at your service", *offers]
        dashes = ["-"] * (len(lines) - 1) + [" "]
        answer = "\n".join(f"250{dash}{line}" for dash, line in zip(dashes, lines, strict=True))
        await self.perform("ehlo", answer)

    async def on_helo(self, _: str) -> None:
        await self.perform("helo", "250 mx.example.net")

    async def on_starttls(self, _: str) -> None:
        if not await self.perform("starttls", "220 2.0.0 ready"):
            return
        match self.mx.act("tls"):
            case Go():
                assert self.mx.tls is not None
                await self.writer.start_tls(self.mx.tls)
                self.tls = True
            case Say(text):  # in the clear, where a handshake is awaited
                await self.write(_lines(text))
            case Raw(data):
                await self.write(data)
            case Drop(rst):
                await self.drop(rst=rst)
            case Drip(text, seconds):
                await self.drip(text.encode(), seconds)
            case Stall():
                await self.stall()

    async def on_auth(self, command: str) -> None:
        words = command.split(" ")
        if len(words) == 3 and words[1].upper() == "PLAIN":
            self.user = base64.b64decode(words[2]).split(b"\0")[1].decode()
        await self.perform("auth", "235 2.7.0 welcome")

    async def on_mail(self, command: str) -> None:
        if await self.perform("mail", "250 2.1.0 sender fine"):
            self.mail, self.rcpts = command, []

    async def on_rcpt(self, command: str) -> None:
        if self.mail is None:
            await self.write(b"503 5.5.1 MAIL first\r\n")
        elif await self.perform("rcpt", "250 2.1.5 recipient fine"):
            self.rcpts.append(_path(command))

    async def on_data(self, _: str) -> None:
        if not self.rcpts and not self.mx.scripted("data"):
            await self.write(b"554 5.5.1 no valid recipients\r\n")
        elif await self.perform("data", "354 go ahead"):
            await self.take_content()

    async def take_content(self) -> None:
        early = self.mx.act("content")
        content = bytearray()
        while (line := await self.reader.readuntil(b"\n")) != b".\r\n":
            if not isinstance(early, Go):
                await self.interrupt(early)
                early = Go()
            content += line[1:] if line.startswith(b".") else line
        if not self.rcpts:
            self.mail = None
            await self.write(b"554 5.5.1 no valid recipients\r\n")
            return
        message = self.finished(bytes(content))
        if await self.perform("dot", "250 2.0.0 taken"):
            self.mx.received.append(message)
            self.mx.changed()
        if not isinstance(act := self.mx.act("idle"), Go):
            await self.interrupt(act)

    async def interrupt(self, act: Act) -> None:
        """Act without having been asked."""
        match act:
            case Say(text, drop, deaf):
                await self.write(_lines(text))
                if drop:
                    await self.drop(rst=False)
                if deaf:
                    await self.interrupt(Stall())
            case Raw(data):
                await self.write(data)
            case Drop(rst):
                await self.drop(rst=rst)
            case Drip(text, seconds):
                await self.drip(text.encode(), seconds)
            case _:
                await asyncio.Event().wait()  # until this host is shut down

    def finished(self, content: bytes) -> Received:
        assert self.mail is not None
        mail, self.mail = self.mail, None
        return Received(
            _path(mail), self.rcpts, content, mail, self.number, tls=self.tls, user=self.user
        )

    async def on_rset(self, _: str) -> None:
        if await self.perform("rset", "250 2.0.0 forgotten"):
            self.mail, self.rcpts = None, []

    async def on_noop(self, _: str) -> None:
        await self.write(b"250 2.0.0 fine\r\n")

    async def on_quit(self, _: str) -> None:
        await self.perform("quit", "221 2.0.0 bye")
        raise _HungUp


def _lines(text: str) -> bytes:
    return b"".join(line.encode() + b"\r\n" for line in text.split("\n"))


def _path(command: str) -> str:
    return command[command.index("<") + 1 : command.index(">")]

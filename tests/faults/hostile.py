"""Clients who only want to hold what they were given: each on one connection, until told to stop.

A client that is sent away comes again after a while, as an attacker's would.  None of them reads
more than it must or sends quickly: what they cost is the place that they take.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from tests.servers import LOOPBACK

PAUSE = 0.5  # seconds between two octets, two lines, or two visits


@dataclass(slots=True)
class Line:
    """One connection of an attacker."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, octets: bytes) -> None:
        self.writer.write(octets)
        await self.writer.drain()

    async def until_sent_away(self) -> None:
        while await self.reader.read(4_096):
            pass

    async def over_and_over(self, octets: bytes, *, every: float = PAUSE) -> None:
        """Until the other side closes; one that only stops reading blocks us here."""
        away = asyncio.create_task(self.until_sent_away())
        try:
            while not away.done():
                await self.say(octets)
                await asyncio.wait({away}, timeout=every)
        finally:
            away.cancel()

    async def drip(self, octets: bytes) -> None:
        for octet in octets:
            await self.say(bytes([octet]))
            await asyncio.sleep(PAUSE)


Attack = Callable[[Line], Awaitable[None]]


async def _idles(line: Line) -> None:
    await line.until_sent_away()


async def _half_a_command(line: Line) -> None:
    await line.say(b"MAIL FR")
    await line.until_sent_away()


async def _a_line_without_end(line: Line) -> None:
    await line.over_and_over(b"x" * 1_000)


async def _recipients_without_end(line: Line) -> None:
    await line.say(b"EHLO x.example\r\nMAIL FROM:<>\r\n")
    await line.over_and_over(b"RCPT TO:<b+2345672345672345672345672345@bounces.example.com>\r\n")


async def _never_reads(line: Line) -> None:
    line.writer.transport.pause_reading()  # type: ignore[attr-defined]
    while True:
        await line.say(b"EHLO x.example\r\n" * 20)
        await asyncio.sleep(PAUSE)


async def _drips_a_command(line: Line) -> None:
    await line.drip(b"EHLO " + b"x" * 2_000)


async def _noops_for_ever(line: Line) -> None:
    await line.over_and_over(b"NOOP\r\n")


async def _stalls_in_starttls(line: Line) -> None:
    await line.say(b"EHLO x.example\r\n")
    await line.say(b"STARTTLS\r\n")
    await line.until_sent_away()


def drips_a_message(to: str) -> Attack:
    """With an address that is good: whoever had a mail of ours has one."""

    async def attack(line: Line) -> None:
        await line.say(b"EHLO x.example\r\nMAIL FROM:<>\r\n")
        await line.say(b"RCPT TO:<%s>\r\nDATA\r\n" % to.encode())
        await line.drip(b"Subject: " + b"x" * 2_000)

    return attack


SMTP: tuple[Attack, ...] = (
    _idles,
    _half_a_command,
    _a_line_without_end,
    _recipients_without_end,
    _never_reads,
    _drips_a_command,
    _noops_for_ever,
    _stalls_in_starttls,
)

_POST = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


async def _half_of_the_headers(line: Line) -> None:
    await line.say(_POST)
    await line.until_sent_away()


async def _headers_without_end(line: Line) -> None:
    await line.say(_POST)
    await line.over_and_over(b"X-More: x\r\n")


async def _half_of_the_body(line: Line) -> None:
    await line.say(_POST + b'Content-Length: 100000\r\n\r\n{"from": "')
    await line.until_sent_away()


async def _drips_the_body(line: Line) -> None:
    await line.say(_POST + b"Content-Length: 100000\r\n\r\n")
    await line.drip(b"{" + b" " * 2_000)


async def _keeps_alive_and_idles(line: Line) -> None:
    await line.say(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    await line.until_sent_away()


HTTP: tuple[Attack, ...] = (
    _half_of_the_headers,
    _headers_without_end,
    _half_of_the_body,
    _drips_the_body,
    _keeps_alive_and_idles,
)


@dataclass(slots=True)
class Siege:
    """So many attackers at a port, the ways in turn; `visits` counts their connections."""

    port: int
    ways: tuple[Attack, ...]
    visits: int = 0
    held: int = 0  # connections now
    _over: bool = False
    _attackers: list[asyncio.Task[None]] = field(default_factory=list)

    def begin(self, count: int) -> None:
        self._attackers = [
            asyncio.create_task(self._attack(self.ways[n % len(self.ways)])) for n in range(count)
        ]

    def come_no_more(self) -> None:
        """Who is inside goes on; nobody comes again."""
        self._over = True

    async def end(self) -> None:
        for attacker in self._attackers:
            attacker.cancel()
        await asyncio.gather(*self._attackers, return_exceptions=True)

    async def _attack(self, way: Attack) -> None:
        while not self._over:
            with suppress(OSError):
                await self._visit(way)
            await asyncio.sleep(PAUSE)

    async def _visit(self, way: Attack) -> None:
        plug = socket.socket()
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)  # the system hides less
        plug.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plug, (LOOPBACK, self.port))
        reader, writer = await asyncio.open_connection(sock=plug)
        self.visits += 1
        self.held += 1
        try:
            await way(Line(reader, writer))
        finally:
            self.held -= 1
            writer.transport.abort()

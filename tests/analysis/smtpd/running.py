"""A server on loopback, the postbox behind it, and what its tests say to it."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from analysis.smtpd import Conversation, Door, Limits, Reason, Server
from analysis.smtpd.door import is_loopback
from tests.peers.smtp_client import Wire

HOST = "127.0.0.1"
SECRET = "postgres://user:hunter2@db.example.com"


@dataclass
class Postbox:
    """A handler that takes everything, and fails or waits where it is told to."""

    mails: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    fault: Exception | None = None
    fault_at_rcpt: Exception | None = None
    gate: asyncio.Event | None = None
    entered: asyncio.Event = field(default_factory=asyncio.Event)

    async def mail(self, _talk: Conversation, _sender: str) -> str:
        return "250 2.1.0 OK"

    async def recipient(self, _talk: Conversation, address: str) -> str:
        if self.fault_at_rcpt:
            raise self.fault_at_rcpt
        return "250 2.1.5 OK"

    async def message(self, talk: Conversation, content: bytes) -> str:
        sender, recipients = talk.sender, list(talk.envelope.rcpt_tos)
        self.entered.set()
        if self.gate:
            await self.gate.wait()
        if self.fault:
            raise self.fault
        self.mails.append((sender, recipients, content))
        self.encrypted.append(talk.encrypted)
        return "250 2.0.0 Stored"

    @property
    def contents(self) -> list[bytes]:
        return [content for _, _, content in self.mails]


@dataclass
class Running:
    port: int
    server: Server
    box: Postbox
    refused: Counter[str]
    door: Door


def nobody(_client: str) -> bool:
    return False


@contextlib.asynccontextmanager
async def serving(
    limits: Limits | None = None,
    *,
    exempt: Callable[[str], bool] = is_loopback,
    tls: ssl.SSLContext | None = None,
    auth: tuple[str, ...] = (),
    tls_at_once: bool = False,
) -> AsyncIterator[Running]:
    limits = limits or Limits()
    box, refused, door = Postbox(), Counter[str](), Door(limits, exempt=exempt)

    def observe(reason: Reason) -> None:
        refused[reason] += 1

    server = Server(
        ["127.0.0.1:0"],
        lambda: box,
        hostname="mx.example.org",
        limits=limits,
        door=door,
        observe=observe,
        tls=tls,
        auth=auth,
        tls_at_once=tls_at_once,
    )
    [(_, port)] = await server.start()
    try:
        yield Running(port, server, box, refused, door)
    finally:
        await server.close(0)
        assert server.open == 0


async def envelope(wire: Wire, sender: str = "a@example.net", to: str = "b@example.org") -> None:
    assert await wire.say(f"MAIL FROM:<{sender}>") == "250 2.1.0 OK"
    assert await wire.say(f"RCPT TO:<{to}>") == "250 2.1.5 OK"


async def data(wire: Wire, octets: bytes) -> str:
    """Send a message whose octets, end and all, are given."""
    await envelope(wire)
    assert (await wire.say("DATA")).startswith("354 ")
    wire.write(octets)
    return await wire.reply()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another task is about to do; the test's own timeout is the end of patience."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 what is waited for is on the other side of a socket
            await asyncio.sleep(0.01)


def resident() -> int:
    """Octets of memory this process holds, on Linux."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def with_the_handler(at: Running, wire: Wire) -> None:
    """A message is sent whole, and its handler has it; the answer waits for the box's gate."""
    await envelope(wire)
    await wire.say("DATA")
    wire.write(b"x\r\n.\r\n")
    await at.box.entered.wait()

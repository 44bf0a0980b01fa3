"""A listening socket where something comes before the conversation: a balancer's word, or TLS.

Connections of `balancers` begin with a PROXY header (`analysis.smtpd.proxied`); all others are
taken as they are.  At most `MOST` headers are awaited at once, each for a few seconds.  TLS, where
it is spoken at once, begins after the header.

asyncio tells a protocol of its connection only when the handshake is over, and a handshake can be
held up for a minute.  So a guest arrives before it: whoever only begins one takes a place too.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Protocol, cast

import structlog

from analysis.smtpd.door import client_address
from analysis.smtpd.proxied import client_of

log = structlog.get_logger()

MOST = 500
PAUSE = 1.0
"""Seconds without a new connection when the system has no room for one."""

Balancers = Sequence[IPv4Network | IPv6Network]


class Guest(Protocol):
    """What is more of a protocol (`asyncio.Protocol`) whose connection is counted early."""

    def arrive(self) -> bool:
        """Whether there is a place; it is taken from here on."""

    def depart(self) -> None:
        """Give the place back, unless that was done."""


class Gateway:
    """`welcome` makes the protocol for a client's address; `patience` is for a handshake, in
    seconds."""

    def __init__(
        self,
        listening: socket.socket,
        welcome: Callable[[str], Guest],
        *,
        balancers: Balancers,
        tls: ssl.SSLContext | None,
        patience: Callable[[], float],
    ) -> None:
        self._listening = listening
        self._welcome = welcome
        self._balancers = balancers
        self._tls = tls
        self._patience = patience
        self._unsaid = 0  # headers that are awaited
        self._waiting: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    async def close(self) -> None:
        """Take no more connections; who has not said whose it is, is hung up on."""
        tasks = {self._accepting, *self._waiting}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listening.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, peer = await loop.sock_accept(self._listening)
            except OSError as error:  # no descriptor left, or the client is gone already
                log.warning("smtpd.accept", error=error.strerror)
                await asyncio.sleep(PAUSE)
                continue
            task = loop.create_task(self._admit(sock, client_address(peer)))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    async def _admit(self, sock: socket.socket, peer: str) -> None:
        sock.setblocking(False)
        guest: Guest | None = None
        try:
            guest = self._welcome(await self._told(sock, peer) or peer)
            if self._tls is None:
                await self._seat(guest, sock)
            elif guest.arrive():
                await self._seat(guest, sock, ssl_handshake_timeout=self._patience())
            else:
                sock.close()
        except (OSError, EOFError, ValueError) as error:  # TimeoutError is an OSError
            log.debug("smtpd.gone", client=peer, how=type(error).__name__)
            _give_up(sock, guest)
        except asyncio.CancelledError:
            _give_up(sock, guest)
            raise

    async def _told(self, sock: socket.socket, peer: str) -> str:
        """Whose connection a balancer says it is."""
        if not self._is_balancer(peer):
            return ""
        if self._unsaid >= MOST:
            raise ConnectionAbortedError("too many balancers say nothing")
        self._unsaid += 1
        try:
            return await client_of(sock)
        finally:
            self._unsaid -= 1

    async def _seat(self, guest: Guest, sock: socket.socket, **tls: float) -> None:
        made = cast("asyncio.BaseProtocol", guest)
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: made, sock, ssl=self._tls, **tls)

    def _is_balancer(self, peer: str) -> bool:
        return bool(peer) and any(ip_address(peer) in network for network in self._balancers)


def _give_up(sock: socket.socket, guest: Guest | None) -> None:
    sock.close()
    if guest is not None:
        guest.depart()


async def bind(host: str, port: int, *, backlog: int = 100) -> list[socket.socket]:
    """Listen on every address of a name, or raise `OSError`."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, *_, address in found:
            sock = socket.create_server(address[:2], family=family, backlog=backlog)
            sock.setblocking(False)
            sockets.append(sock)
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets

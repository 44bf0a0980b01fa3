"""A listening socket behind load balancers: who comes from one is asked for first.

Connections of `balancers` begin with a PROXY header (`analysis.smtpd.proxied`); all others are
taken as they are.  At most `MOST` headers are awaited at once, each for a few seconds.  TLS, where
it is spoken at once, begins after the header.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

import structlog

from analysis.smtpd.door import client_address
from analysis.smtpd.proxied import client_of

log = structlog.get_logger()

MOST = 500
PAUSE = 1.0
"""Seconds without a new connection when the system has no room for one."""

Balancers = Sequence[IPv4Network | IPv6Network]


class Gateway:
    """`welcome` makes the protocol for a client's address."""

    def __init__(
        self,
        listening: socket.socket,
        welcome: Callable[[str], asyncio.Protocol],
        *,
        balancers: Balancers,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._listening = listening
        self._welcome = welcome
        self._balancers = balancers
        self._tls = tls
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
            if len(self._waiting) >= MOST:
                sock.close()
                continue
            task = loop.create_task(self._admit(sock, client_address(peer)))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    async def _admit(self, sock: socket.socket, peer: str) -> None:
        sock.setblocking(False)
        try:
            client = (await client_of(sock) if self._is_balancer(peer) else "") or peer
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._welcome(client), sock, ssl=self._tls
            )
        except (OSError, EOFError, ValueError) as error:  # TimeoutError is an OSError
            log.debug("smtpd.gone", client=peer, how=type(error).__name__)
            sock.close()
        except asyncio.CancelledError:
            sock.close()
            raise

    def _is_balancer(self, peer: str) -> bool:
        return bool(peer) and any(ip_address(peer) in network for network in self._balancers)


async def bind(host: str, port: int) -> list[socket.socket]:
    """Listen on every address of a name, or raise `OSError`."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, *_, address in found:
            sock = socket.create_server(address[:2], family=family, backlog=100)
            sock.setblocking(False)
            sockets.append(sock)
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets

"""A server of careful SMTP conversations in the running event loop.

`start` binds every address or none.  `close` stops accepting, sends idle clients away with 421,
lets those who are in the middle of a message come to their answer within the grace, and then ends
what is left.  No thread, no global.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from analysis.smtpd.connection import House
from analysis.smtpd.conversation import Conversation, Handler
from analysis.smtpd.door import Door, Limits, Reason
from analysis.smtpd.gateway import Balancers, Gateway, bind

_SHUTTING_DOWN = "421 4.3.2 Shutting down, try later"


def read_listen(listen: str) -> tuple[str, int]:
    """Read `127.0.0.1:2525` or `[::1]:2525`; raises `ValueError` in words for people."""
    host, colon, port = listen.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise ValueError(f"listen address {listen!r}: write it as 127.0.0.1:2525 or [::1]:2525")
    return host.removeprefix("[").removesuffix("]"), int(port)


class Server:
    """`handler` makes one handler a connection; `tls_at_once` speaks TLS from the first octet.

    `plain_auth` says which clients may log in without TLS; `dsn` offers RFC 3461.  `balancers`
    say by the PROXY protocol whose connection it is.
    """

    def __init__(
        self,
        listen: Sequence[str],
        handler: Callable[[], Handler],
        *,
        hostname: str,
        limits: Limits,
        door: Door,
        observe: Callable[[Reason], None],
        tls: ssl.SSLContext | None = None,
        tls_at_once: bool = False,
        auth: Iterable[str] = (),
        plain_auth: Callable[[str], bool] = lambda _client: False,
        dsn: bool = False,
        balancers: Balancers = (),
    ) -> None:
        self._listen = [read_listen(address) for address in listen]
        self._handler = handler
        self._house = House(hostname, limits, door, observe, tls, frozenset(auth), plain_auth, dsn)
        self._tls_at_once = tls if tls_at_once else None
        self._balancers = balancers
        self._servers: list[asyncio.Server] = []
        self._gateways: list[Gateway] = []

    @property
    def open(self) -> int:
        """Connections there are."""
        return len(self._house.open)

    async def start(self) -> list[tuple[str, int]]:
        """Bind, and return what was bound: hosts and ports, where a port 0 became a real one."""
        names = []
        try:
            for host, port in self._listen:
                names += await self._bind(host, port)
        except OSError:
            await self.close(0)
            raise
        return [(name[0], name[1]) for name in names]

    async def _bind(self, host: str, port: int) -> list[Any]:
        if self._balancers or self._tls_at_once is not None:
            sockets = await bind(host, port)
            self._gateways += [
                Gateway(
                    sock,
                    self._connect,
                    balancers=self._balancers,
                    tls=self._tls_at_once,
                    patience=lambda: self._house.door.patience,
                )
                for sock in sockets
            ]
            return [sock.getsockname() for sock in sockets]
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._connect, host, port)
        self._servers.append(server)
        return [sock.getsockname() for sock in server.sockets]

    async def close(self, grace: float) -> None:
        """Stop, at the latest `grace` seconds and one linger from now.  May be called twice."""
        for server in self._servers:
            server.close()
        for gateway in self._gateways:
            await gateway.close()
        self._gateways.clear()
        for talk in list(self._house.open):
            talk.end(_SHUTTING_DOWN, patiently=True)
        await self._empty(grace)
        for talk in list(self._house.open):
            talk.end(_SHUTTING_DOWN)
        for task in list(self._house.storing):
            task.cancel()
        await self._empty(0.2)
        for talk in list(self._house.open):
            talk.abort()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    def _connect(self, client: str = "") -> Conversation:
        return Conversation(self._handler(), self._house, client)

    async def _empty(self, seconds: float) -> None:
        """Wait until all have gone, or for so long."""
        waits: set[asyncio.Future[Any]] = {talk.gone for talk in self._house.open}
        waits |= self._house.storing
        if waits:
            await asyncio.wait(waits, timeout=seconds)

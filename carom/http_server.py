"""The HTTP server: uvicorn's h11 protocol in our own loop, with the deadlines that it has not.

Promises: an idle or dribbling client holds a connection no longer than the request deadline,
whether it withholds headers, body or the reading of its answer; more connections than allowed are
answered 503 and closed; too long headers are 431; `stop` ends listening at once, lets requests in
progress end for `GRACE` seconds, then cuts.  No signal handlers, no `Server` header, no access log.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from http import HTTPStatus
from math import ceil
from typing import Any, cast

import h11
from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from analysis.problem import RETRY_AFTER, Problem
from analysis.smtpd.gateway import Gateway, bind
from carom.settings.listeners import Api

_LOGGER = logging.getLogger("carom.http")
_LOGGER.setLevel(logging.ERROR)  # uvicorn warns of every stranger that speaks no HTTP

GRACE = 10.0
"""Seconds that requests in progress may still take when asked to stop."""


LINGER = 1.0
"""Seconds for which a closed connection may still read its last answer."""


async def serve_http(
    app: ASGIApp,
    host: str,
    port: int,
    *,
    limits: Api,
    stop: asyncio.Event,
    started: Callable[[int], None],
    tls: ssl.SSLContext | None = None,
) -> None:
    """Serve until `stop` is set; `started` is told the port.  Raises OSError if it is taken."""
    config = _config(app, limits)
    state = ServerState()
    bound, close = await _listen(lambda: _Protocol(config, state, limits), host, port, tls, limits)
    date = asyncio.get_running_loop().create_task(_tell_date(state))
    try:
        started(bound)
        await stop.wait()
    finally:
        await close()
        await _finish(state, GRACE)
        date.cancel()


async def _listen(
    made: Callable[[], _Protocol], host: str, port: int, tls: ssl.SSLContext | None, limits: Api
) -> tuple[int, Callable[[], Awaitable[None]]]:
    """The port, and what ends listening.  Under TLS a connection counts before its handshake."""
    if tls is None:
        server = await asyncio.get_running_loop().create_server(made, host, port, backlog=_BACKLOG)

        async def close() -> None:
            server.close()

        return server.sockets[0].getsockname()[1], close
    sockets = await bind(host, port, backlog=_BACKLOG)
    bound: int = sockets[0].getsockname()[1]
    gateways = [
        Gateway(
            one,
            lambda _client: made(),
            balancers=(),
            tls=tls,
            patience=lambda: limits.request_deadline,
        )
        for one in sockets
    ]

    async def close_all() -> None:
        for gateway in gateways:
            await gateway.close()

    return bound, close_all


_BACKLOG = 1024


def _config(app: ASGIApp, limits: Api) -> Config:
    config = Config(
        app,
        http=_Protocol,
        ws="none",
        loop="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=limits.header_limit,
        timeout_keep_alive=ceil(limits.request_deadline),
    )
    config.load()
    return config


async def _tell_date(state: ServerState) -> None:
    """RFC 9110 section 6.6.1: an origin server with a clock says the time."""
    while True:
        state.default_headers[:] = [(b"date", formatdate(time.time(), usegmt=True).encode())]
        await asyncio.sleep(1)


async def _finish(state: ServerState, grace: float) -> None:
    for connection in list(state.connections):
        if not connection.transport.is_closing():
            connection.shutdown()
    if state.tasks:
        _, left = await asyncio.wait(state.tasks, timeout=grace)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
    for connection in list(state.connections):
        connection.transport.abort()


class _Transport:
    """A transport whose `close` lets the client read the answer first.

    Closing a socket with unread octets in it resets the connection, and the reset may overtake the
    answer, so that a client which sends too much never hears why.  Instead the writing side is
    closed, what still comes is thrown away, and after `LINGER` the connection is cut.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._cut: asyncio.TimerHandle | None = None
        self.all_came = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self._cut is not None or self._transport.is_closing()

    def close(self) -> None:
        if self.is_closing():
            return
        if self.all_came or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._transport.write_eof()
            self._transport.resume_reading()
        # Also after close(), which waits for who never reads.
        loop = asyncio.get_running_loop()
        self._cut = loop.call_later(LINGER, self._transport.abort)

    def closed(self) -> None:
        if self._cut is not None:
            self._cut.cancel()


class _Protocol(H11Protocol):
    """One connection.  At most one timer runs for each thing that the client can withhold."""

    def __init__(self, config: Config, server_state: ServerState, limits: Api) -> None:
        super().__init__(config, server_state, app_state={})
        self.logger = _LOGGER
        self._limits = limits
        self._line: _Transport | None = None
        self._receiving: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def arrive(self) -> bool:
        """Twice as many as may be are not even told so."""
        if len(self.connections) >= 2 * self._limits.connections:
            return False
        self.connections.add(self)
        return True

    def depart(self) -> None:
        self.connections.discard(self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._line = _Transport(transport)
        super().connection_made(cast("asyncio.Transport", self._line))
        if len(self.connections) > 2 * self._limits.connections:
            transport.abort()
        elif len(self.connections) > self._limits.connections:
            self._refuse(_CROWDED)
        else:
            self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_receiving()
        self._stop_stalling()
        self._unset_keepalive_if_required()  # uvicorn leaves it running after a reset
        if self._line is not None:
            self._line.closed()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._receiving is None:
            self._await_request()
        self._note(came=False)
        super().data_received(data)
        if self.conn.their_state in _TOLD_ALL:
            self._stop_receiving()

    def handle_events(self) -> None:
        super().handle_events()
        self._note(came=self.conn.their_state in _TOLD_ALL)

    def _note(self, *, came: bool) -> None:
        if self._line is not None:
            self._line.all_came = came

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(self._limits.request_deadline, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_stalling()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE:
            self._stop_receiving()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  uvicorn's signature
        """What h11 cannot read: 400, or 431 where the headers do not end."""
        error = sys.exception()
        status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        self._refuse(_TOO_LONG if status == 431 else _UNREADABLE)

    def _await_request(self) -> None:
        self._receiving = self.loop.call_later(self._limits.request_deadline, self._too_slow)

    def _too_slow(self) -> None:
        """408 if the answer has not begun; the connection goes either way."""
        self._refuse(_SLOW)

    def _refuse(self, problem: Problem) -> None:
        """Answer in place of the application and close."""
        if self.transport.is_closing():
            return
        if self._may_answer():
            self.transport.write(_rendered(problem))
        if (cycle := self._cycle()) is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()

    def _may_answer(self) -> bool:
        """Not in the middle of an answer, nor a second time to a body that goes on and on."""
        cycle = self._cycle()
        if cycle is None or not cycle.response_started:
            return True
        return cycle.response_complete and self.conn.their_state is not h11.SEND_BODY

    def _cycle(self) -> RequestResponseCycle | None:
        return self.cycle  # uvicorn's annotation does not say that there may be none yet

    def _stop_receiving(self) -> None:
        if self._receiving is not None:
            self._receiving.cancel()
            self._receiving = None

    def _stop_stalling(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


_TOLD_ALL = frozenset({h11.DONE, h11.MUST_CLOSE, h11.CLOSED, h11.ERROR})

_SLOW = Problem(408, "too-slow", "the request did not come in time")
_UNREADABLE = Problem(400, "not-http", "the request is not HTTP/1.1 as RFC 9112 has it")
_TOO_LONG = Problem(431, "headers-too-large", "the request's headers are too long")
_CROWDED = Problem(
    503,
    "crowded",
    "too many connections are open; try again",
    headers={"Retry-After": str(RETRY_AFTER)},
)


def _rendered(problem: Problem) -> bytes:
    """A whole HTTP/1.1 answer, after which the connection is closed."""
    response = problem.response()
    headers: list[tuple[Any, Any]] = [
        (b"date", formatdate(time.time(), usegmt=True).encode()),
        *response.raw_headers,
        (b"connection", b"close"),
    ]
    lines = [f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}".encode()]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + bytes(response.body)

"""The gate: what every HTTP request must keep to before anything looks at it.

One length: where a request has both Content-Length and Transfer-Encoding, or is HTTP/1.0 with the
latter, two servers in a row may see its end, and so the next request, at different places.  Header
size, body size by Content-Length and again by the octets that really come, and a deadline
from the request's headers to the first octet of the answer.  A streamed answer may take longer;
how slowly a client may send and read is the protocol's business (`carom.http_server`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analysis.problem import RETRY_AFTER, Problem

LARGE = ("/v1/messages", "/v1/suppressions/import")
"""Paths whose bodies may hold attachments or whole lists."""

_ALWAYS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Octets and seconds."""

    body: int = 12_000_000
    large_body: int = 25_000_000
    header: int = 16_000
    deadline: float = 30.0

    def of(self, path: str) -> int:
        return self.large_body if path.startswith(LARGE) else self.body


class Gate:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, bounds: Bounds) -> None:
        self._app = app
        self._bounds = bounds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        passage = _Passage(self._bounds.of(scope["path"]), receive, send)
        try:
            self._admit(scope)
            async with asyncio.timeout(self._bounds.deadline) as passage.timer:
                await self._app(scope, passage.receive, passage.send)
        except Problem as problem:
            passage.timer = None
            await problem.response()(scope, receive, passage.send)
        except TimeoutError:
            if passage.started or passage.timer is None or not passage.timer.expired():
                raise
            passage.timer = None
            await _late().response()(scope, receive, passage.send)

    def _admit(self, scope: Scope) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if sum(len(name) + len(value) + 4 for name, value in headers) > self._bounds.header:
            raise Problem(431, "headers-too-large", f"at most {self._bounds.header} octets")
        names = {name for name, _ in headers}
        if b"transfer-encoding" in names and (
            b"content-length" in names or scope.get("http_version") == "1.0"
        ):
            raise _two_lengths()
        limit = self._bounds.of(scope["path"])
        for name, value in headers:
            if name == b"content-length" and (not value.isdigit() or int(value[:20]) > limit):
                raise too_large(limit)


class _Passage:
    """One request on its way: counts what comes, notes when the answer has begun."""

    def __init__(self, limit: int, receive: Receive, send: Send) -> None:
        self.started = False
        self.timer: asyncio.Timeout | None = None
        self._limit = limit
        self._came = 0
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._came += len(message.get("body", b""))
            if self._came > self._limit:
                raise too_large(self._limit)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            if self.timer is not None:
                self.timer.reschedule(None)
            message = {**message, "headers": [*message.get("headers", ()), *_ALWAYS]}
        await self._send(message)


def too_large(limit: int) -> Problem:
    return Problem(413, "body-too-large", f"the body may have {limit} octets at most")


def _two_lengths() -> Problem:
    """RFC 9112 section 6.1: such a connection is not used again."""
    return Problem(
        400,
        "not-http",
        "a request has one length: Content-Length or Transfer-Encoding",
        headers={"Connection": "close"},
    )


def _late() -> Problem:
    return Problem(
        503,
        "too-slow",
        "no answer could be given in time; ask what became of it before trying again",
        headers={"Retry-After": str(RETRY_AFTER)},
    )

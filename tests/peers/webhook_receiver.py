"""An HTTP server on loopback that takes webhooks, and answers as it is told to.

async with WebhookReceiver() as receiver:
    receiver.say(500)
    ...post to receiver.url...
    assert receiver.got[0].body["type"] == "bounced"
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Got:
    headers: dict[str, str]
    content: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def body(self) -> Any:
        return orjson.loads(self.content)


class WebhookReceiver:
    def __init__(self) -> None:
        self.got: list[Got] = []
        self.connections = 0
        self.under_way = 0
        self.most_under_way = 0
        self.gate = asyncio.Event()  # clear it to hold answers back
        self.gate.set()
        self.raw = b""  # an answer of any octets, in place of a status
        self.port = 0
        self._came = asyncio.Condition()
        self._statuses: deque[int] = deque()
        self._usual = 204
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?a=1"

    def say(self, *statuses: int, then: int | None = None) -> None:
        """Answer with these, one after the other, and with `then` after them."""
        self._statuses = deque(statuses)
        self._usual = self._usual if then is None else then

    async def arrived(self, count: int) -> None:
        """Wait until so many have come."""
        async with asyncio.timeout(60), self._came:
            await self._came.wait_for(lambda: len(self.got) >= count)

    async def __aenter__(self) -> WebhookReceiver:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
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
        self.connections += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
            headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in lines)}
            content = await reader.readexactly(int(headers["content-length"]))
            self.got.append(Got(headers, content))
            async with self._came:
                self._came.notify_all()
            status = self._statuses.popleft() if self._statuses else self._usual
            await self.gate.wait()
            writer.write(self.raw or _answer(status))
            await writer.drain()
        self.under_way -= 1
        self._open.discard(writer)
        writer.close()


def _answer(status: int) -> bytes:
    body = b"" if status == 204 else b"as told"
    head = f"HTTP/1.1 {status} So\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Location: http://127.0.0.1:1/\r\n\r\n" + body

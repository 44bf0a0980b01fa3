"""The HTTP server against real clients: slow, greedy, broken and too many; it never hangs."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from carom.gate import Bounds, Gate
from carom.http_server import serve_http
from carom.settings.listeners import Api
from tests.peers.certificates import certificate_for

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Echo:
    """Answers with how many octets came; `hold` makes it wait until told."""

    def __init__(self) -> None:
        self.hold = asyncio.Event()
        self.hold.set()
        self.reached = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/early":
            await _answer(send, 401, b"no")
            return
        if scope["path"] == "/endless":
            await _endless(send)
            return
        came = 0
        while True:
            message = await receive()
            came += len(message.get("body", b""))
            if not message.get("more_body"):
                break
        self.reached.set()
        await self.hold.wait()
        await _answer(send, 200, str(came).encode())


async def _answer(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _endless(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
        await asyncio.sleep(0)


@asynccontextmanager
async def serving(
    app: Any, *, deadline: float = 0.3, connections: int = 500, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, Callable[[], None]]]:
    """The port, and what stops the server."""
    stop = asyncio.Event()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    limits = Api(request_deadline=deadline, connections=connections)
    gate = Gate(app, Bounds(body=1_000_000, deadline=5.0))
    task = asyncio.create_task(
        serve_http(gate, "127.0.0.1", 0, limits=limits, stop=stop, started=port.set_result, tls=tls)
    )
    try:
        yield await port, stop.set
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)


async def said(port: int, *parts: bytes) -> bytes:
    """Everything the server answers to these octets until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.transport.abort()


def status(answer: bytes) -> int:
    return int(answer.split()[1])


def problem(answer: bytes) -> Any:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return json.loads(body)


async def test_requests_on_one_connection_are_answered() -> None:
    close = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with serving(Echo()) as (port, _):
        answer = await said(port, GET, GET, close)
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert b"\r\ndate: " in answer.lower()
    assert b"server:" not in answer.lower()


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (b"GET / HT",),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n", b"12345"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\n123"),
    ],
)
async def test_what_does_not_come_in_time_is_408_and_closed(parts: tuple[bytes, ...]) -> None:
    async with serving(Echo()) as (port, _):
        answer = await said(port, *parts)
    assert status(answer) == 408
    assert problem(answer)["type"] == "urn:carom:problem:too-slow"


async def test_a_second_request_is_timed_like_the_first() -> None:
    async with serving(Echo()) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        assert (await reader.readuntil(b"\r\n\r\n0")).startswith(b"HTTP/1.1 200")
        writer.write(b"GET / HT")
        assert status(await asyncio.wait_for(reader.read(), 60)) == 408
        writer.transport.abort()


async def test_dribbling_wins_no_time() -> None:
    """An octet now and then does not start the clock again."""
    async with serving(Echo(), deadline=0.3) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answer = asyncio.create_task(reader.read())
        writer.write(b"GET / HTTP/1.1\r\nX-A: ")
        while not answer.done():
            writer.write(b"x")
            await asyncio.wait({answer}, timeout=0.05)
        assert status(answer.result()) == 408
        writer.transport.abort()


async def test_an_idle_connection_is_closed() -> None:
    """uvicorn's own timer counts whole seconds; ours is as short as it says."""
    async with serving(Echo(), deadline=1.0) as (port, _):
        answer = await said(port, GET)
    assert status(answer) == 200
    assert answer.endswith(b"\r\n\r\n0")


async def _write_on(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)  # between tries to write to whom has gone


async def test_who_does_not_read_the_answer_is_cut_off() -> None:
    async with serving(Echo(), deadline=0.3) as (port, _):
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(GET.replace(b"/ ", b"/endless ", 1))
        writer.transport.pause_reading()
        with pytest.raises(ConnectionError):
            await _write_on(writer)


async def test_a_body_that_goes_on_after_its_answer_ends_with_the_connection() -> None:
    """The answer comes at once and whole; the rest is thrown away until the deadline."""
    async with serving(Echo(), deadline=0.3) as (port, _):
        head = b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
        answer = await said(port, head, b"x" * 5_000)
    assert status(answer) == 401
    assert answer.count(b"HTTP/1.1") == 1


async def test_a_large_body_is_refused_and_held_nowhere() -> None:
    async with serving(Echo(), deadline=5.0) as (port, _):
        head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        told = await said(port, head + b"Content-Length: 1000001\r\n\r\n")
        assert status(told) == 413
        piece = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
        came = await said(
            port, head + b"Transfer-Encoding: chunked\r\n\r\n", *[piece] * 20, b"0\r\n\r\n"
        )
        assert status(came) == 413


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX A: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"x" * 17_000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"x" * 17_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 40_000, 431),
    ],
)
async def test_what_is_no_request_is_refused(octets: bytes, expected: int) -> None:
    async with serving(Echo(), deadline=1.0) as (port, _):
        answer = await said(port, octets)
    assert status(answer) == expected
    problem(answer)


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_a_request_of_two_lengths_is_the_last_of_its_connection(head: bytes) -> None:
    """What a proxy took for its body is not obeyed as a request."""
    app = Echo()
    async with serving(app) as (port, _):
        answer = await said(port, head + b"2\r\nab\r\n0\r\n\r\n" + GET)
    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1 400 ") == 1
    assert b"HTTP/1.1 200 " not in answer
    assert not app.reached.is_set()


async def test_a_broken_body_is_400_once() -> None:
    async with serving(Echo()) as (port, _):
        head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = await said(port, head, b"zz\r\n")
    assert status(answer) == 400
    assert answer.count(b"content-type") == 1


async def test_more_connections_than_allowed_are_503() -> None:
    async with serving(Echo(), deadline=2.0, connections=3) as (port, _):
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        crowded = await said(port)
        assert status(crowded) == 503
        assert problem(crowded)["type"] == "urn:carom:problem:crowded"
        for _, writer in held:
            writer.close()
            await writer.wait_closed()
        assert status(await said(port, GET)) == 200


async def test_stopping_lets_a_request_in_progress_end() -> None:
    app = Echo()
    app.hold.clear()
    async with serving(app, deadline=5.0) as (port, stop):
        answer = asyncio.create_task(said(port, GET))
        await app.reached.wait()
        stop()
        while True:  # nobody is let in any more
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:
                break
            writer.transport.abort()
        app.hold.set()
        assert status(await answer) == 200


async def test_a_port_that_is_taken_is_an_error_at_once() -> None:
    async with serving(Echo()) as (port, _):
        with pytest.raises(OSError, match="address already in use"):
            await serve_http(
                Echo(),
                "127.0.0.1",
                port,
                limits=Api(),
                stop=asyncio.Event(),
                started=lambda _: None,
            )


async def test_who_only_begins_a_handshake_takes_a_place() -> None:
    certificate = certificate_for("127.0.0.1")
    async with serving(Echo(), deadline=60.0, connections=1, tls=certificate.server) as (port, _):
        _, begun = await asyncio.open_connection("127.0.0.1", port)
        begun.write(b"\x16")
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=certificate.client)
        crowded = await asyncio.wait_for(reader.read(), 60)
        assert problem(crowded)["type"] == "urn:carom:problem:crowded"
        for one in (begun, writer):
            one.transport.abort()


async def test_twice_as_many_handshakes_as_connections_are_the_most() -> None:
    certificate = certificate_for("127.0.0.1")
    async with serving(Echo(), deadline=60.0, connections=1, tls=certificate.server) as (port, _):
        begun = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        assert await asyncio.wait_for(begun[2][0].read(), 60) == b""
        for _, writer in begun:
            writer.transport.abort()


async def test_a_handshake_that_drags_on_is_hung_up_on() -> None:
    certificate = certificate_for("127.0.0.1")
    async with serving(Echo(), deadline=0.2, tls=certificate.server) as (port, _):
        assert await said(port, b"\x16") == b""

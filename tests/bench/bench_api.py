"""How fast the HTTP API answers: submissions a second, and lookups among a million suppressions.

    python -m tests.bench.bench_api [--rows 1000000] [--seconds 5]

The server runs in a process of its own over real sockets; the client speaks the least HTTP that
will do, so that what is measured is mostly the server.  Prints one line a figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvloop

from analysis.address import address_hash
from carom import assembly
from carom.http_server import serve_http
from carom.web import create_app
from tests.carom.web_peer import made

LETTER = {
    "from": "Ada <ada@example.com>",
    "to": ["bob@example.net"],
    "subject": "Your code is 123456",
    "text": "Your code is 123456. It is good for ten minutes.",
    "html": "<p>Your code is <b>123456</b>. It is good for ten minutes.</p>",
}


def serve(folder: Path, line: Connection) -> None:
    """The child: tells its port, serves until the parent speaks."""

    async def run() -> None:
        settings, key = made(folder)
        async with await assembly.build(settings) as parts:
            fill(str(parts.store.url.database), line.recv())
            stop = asyncio.Event()
            loop = asyncio.get_running_loop()
            loop.add_reader(line.fileno(), stop.set)
            app = create_app(parts)
            await serve_http(
                app,
                "127.0.0.1",
                0,
                limits=settings.api,
                stop=stop,
                started=lambda port: line.send((port, key)),
            )

    uvloop.run(run())


def fill(database: str, rows: int) -> None:
    """That many suppressions, straight into the table."""
    with sqlite3.connect(database) as raw:
        raw.executemany(
            "INSERT INTO suppressions (address_hash, stream, reason, address, since, evidence,"
            " actor) VALUES (?, '*', 'hard_bounce', ?, 1, '550 5.1.1 no such user', 'bench')",
            ((address_hash(one), one) for one in map(address, range(rows))),
        )
    raw.close()


def address(number: int) -> str:
    return f"user{number}@example.net"


class Client:
    """One kept connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str):
        self._reader = reader
        self._writer = writer
        self._key = key

    @classmethod
    async def to(cls, port: int, key: str) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", port), key)

    async def call(self, method: str, path: str, body: bytes = b"") -> bytes:
        self._writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {self._key}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        if head[9:12] not in (b"200", b"202"):
            raise RuntimeError(head.decode())
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return await self._reader.readexactly(int(length))


async def at_full_speed(
    port: int, key: str, connections: int, seconds: float, call: Callable[[Client], Any]
) -> tuple[float, list[float]]:
    """Calls a second and the time of each, in seconds."""
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def one() -> None:
        client = await Client.to(port, key)
        while (began := time.perf_counter()) < end:
            await call(client)
            times.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    return len(times) / (time.perf_counter() - began), times


async def at_a_rate(
    port: int, key: str, rate: float, seconds: float, call: Callable[[Client], Any]
) -> list[float]:
    """Times from when each call was due, so that a stall counts against all it delays."""
    idle = [await Client.to(port, key) for _ in range(50)]
    times: list[float] = []
    tasks = set()

    async def one(due: float) -> None:
        client = idle.pop()
        await call(client)
        times.append(time.perf_counter() - due)
        idle.append(client)

    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.add(asyncio.create_task(one(due)))
    await asyncio.gather(*tasks)
    return times


def quantiles(times: list[float]) -> str:
    ordered = sorted(times)
    at = {name: ordered[int(len(ordered) * q)] for name, q in (("p50", 0.5), ("p99", 0.99))}
    return ", ".join(f"{name} {1000 * t:.2f} ms" for name, t in at.items())


async def measure(port: int, key: str, rows: int, seconds: float) -> None:
    chance = random.Random(1)

    async def look_up(client: Client) -> None:
        known = address(chance.randrange(2 * rows))  # every second one is on the list
        await client.call("GET", f"/v1/suppressions/{known}?stream=default")

    async def look_up_many(client: Client) -> None:
        many = [address(chance.randrange(2 * rows)) for _ in range(1000)]
        await client.call(
            "POST", "/v1/suppressions/lookup", json.dumps({"addresses": many}).encode()
        )

    async def submit(client: Client) -> None:
        await client.call("POST", "/v1/messages", json.dumps(LETTER).encode())

    batch = json.dumps({"messages": [LETTER] * 100}).encode()

    async def submit_batch(client: Client) -> None:
        await client.call("POST", "/v1/messages/batch", batch)

    times = await at_a_rate(port, key, 200, seconds, look_up)
    print(f"single lookup at 200/s, {rows} rows: {quantiles(times)}")
    rate, times = await at_full_speed(port, key, 20, seconds, look_up)
    print(f"single lookup, 20 connections: {rate:.0f}/s, {quantiles(times)}")
    rate, times = await at_full_speed(port, key, 2, seconds, look_up_many)
    print(f"bulk lookup of 1000, 2 connections: {1000 * rate:.0f} addresses/s, {quantiles(times)}")
    rate, times = await at_full_speed(port, key, 50, seconds, submit)
    print(f"POST /v1/messages, 50 connections: {rate:.0f}/s, {quantiles(times)}")
    rate, times = await at_full_speed(port, key, 4, seconds, submit_batch)
    print(f"batches of 100, 4 connections: {100 * rate:.0f} messages/s, {quantiles(times)}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--seconds", type=float, default=5.0)
    given = arguments.parse_args()
    ours, theirs = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        child = multiprocessing.get_context("spawn").Process(
            target=serve, args=(Path(folder) / "mail", theirs)
        )
        child.start()
        ours.send(given.rows)
        port, key = ours.recv()
        try:
            asyncio.run(measure(port, key, given.rows, given.seconds))
        finally:
            ours.send(None)
            child.join()


if __name__ == "__main__":
    main()

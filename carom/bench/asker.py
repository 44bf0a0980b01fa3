"""A client process of the lookup benchmark: asks at a steady rate, prints the latencies as JSON.

Apart from the service's own process, so that the two do not share one interpreter's lock.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

CONNECTIONS = 8


async def ask(port: int, key: str, rate: int, count: int) -> list[float]:
    """Seconds from writing each request to having read its answer."""
    start = time.perf_counter() + 0.2
    parts = await asyncio.gather(
        *(
            _connection(port, key, start, rate, range(n, count, CONNECTIONS))
            for n in range(CONNECTIONS)
        )
    )
    return [wait for part in parts for wait in part]


async def _connection(port: int, key: str, start: float, rate: int, turns: range) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    waits = []
    for turn in turns:
        await asyncio.sleep(max(0.0, start + turn / rate - time.perf_counter()))
        began = time.perf_counter()
        address = f"user{turn * 7919 % 1_000_000}@example.net"
        writer.write(
            f"GET /v1/suppressions/{address} HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {key}\r\n\r\n".encode()
        )
        await _answer(reader)
        waits.append(time.perf_counter() - began)
    writer.close()
    return waits


async def _answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode())
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    await reader.readexactly(length)


if __name__ == "__main__":
    port, rate, count = (int(argument) for argument in sys.argv[1:4])
    found = asyncio.run(ask(port, sys.stdin.readline().strip(), rate, count))
    sys.stdout.write(json.dumps(found))

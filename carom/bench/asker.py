"""A client process of the HTTP benchmarks: asks at a steady rate, prints the latencies as JSON.

    python -m carom.bench.asker PORT RATE COUNT < question.json

Apart from the service's own process, so that the two do not share one interpreter's lock.  The
question is a JSON object: `key`, `method`, `path`, `body`; `{n}` in path or body is a number that
differs from one request to the next.  RATE is requests a second, or 0: as fast as answers come.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

CONNECTIONS = 8


async def ask(port: int, question: dict[str, str], rate: int, count: int) -> list[float]:
    """Seconds from when each request was due to having read its answer."""
    start = time.perf_counter() + 0.2
    parts = await asyncio.gather(
        *(
            _connection(port, question, start, rate, range(n, count, CONNECTIONS))
            for n in range(CONNECTIONS)
        )
    )
    return [wait for part in parts for wait in part]


async def _connection(
    port: int, question: dict[str, str], start: float, rate: int, turns: range
) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    waits = []
    for turn in turns:
        due = start + turn / rate if rate else time.perf_counter()
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        writer.write(_request(question, turn))
        await _answer(reader)
        waits.append(time.perf_counter() - due)
    writer.close()
    return waits


def _request(question: dict[str, str], turn: int) -> bytes:
    number = str(turn * 7919 % 1_000_000)
    path, body = (question[part].replace("{n}", number) for part in ("path", "body"))
    return (
        f"{question['method']} {path} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {question['key']}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def _answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 202")):
        raise RuntimeError(head.decode())
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    await reader.readexactly(length)


if __name__ == "__main__":
    port, rate, count = (int(argument) for argument in sys.argv[1:4])
    found = asyncio.run(ask(port, json.load(sys.stdin), rate, count))
    sys.stdout.write(json.dumps(found))

"""A client that hands in mail by SMTP as fast as it is taken, in a process of its own.

    python -m carom.bench.submitter PORT CONNECTIONS MESSAGES [KEY] < content

Pipelines as RFC 2920 allows; logs in with the key where there is one.  The messages are shared out
among the connections, one recipient each.  Prints the seconds from the first MAIL to the last 250.
"""

from __future__ import annotations

import asyncio
import base64
import sys
import time

from carom.runtime import run

_ENVELOPE = b"MAIL FROM:<shop@bench.example>\r\nRCPT TO:<user%d@d%d.example>\r\nDATA\r\n"


async def _hand_in(port: int, connections: int, messages: int, key: str, content: bytes) -> float:
    lines = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections)]
    for line in lines:
        await _greet(*line, key)
    numbers = iter(range(messages))
    started = time.perf_counter()

    async def work(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in numbers:
            writer.write(_ENVELOPE % (number, number % 20))
            for expected in (b"250", b"250", b"354"):
                await _reply(reader, expected)
            writer.write(content)
            await _reply(reader, b"250")

    await asyncio.gather(*(work(*line) for line in lines))
    taken = time.perf_counter() - started
    for _, writer in lines:
        writer.transport.abort()
    return taken


async def _greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
    await _reply(reader, b"220")
    writer.write(b"EHLO client.bench.example\r\n")
    await _reply(reader, b"250")
    if key:
        credentials = base64.b64encode(f"\0apikey\0{key}".encode())
        writer.write(b"AUTH PLAIN " + credentials + b"\r\n")
        await _reply(reader, b"235")


async def _reply(reader: asyncio.StreamReader, expected: bytes) -> None:
    while (line := await reader.readline())[3:4] == b"-":
        pass
    if line[:3] != expected:
        raise RuntimeError(f"expected {expected.decode()}, got {line.decode(errors='replace')}")


if __name__ == "__main__":
    _port, _connections, _messages, *_key = sys.argv[1:]
    _content = sys.stdin.buffer.read() + b".\r\n"
    _numbers = int(_port), int(_connections), int(_messages)
    sys.stdout.write(f"{run(_hand_in(*_numbers, ''.join(_key), _content))}\n")

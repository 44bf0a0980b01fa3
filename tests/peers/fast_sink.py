"""The fastest SMTP sink that asyncio allows: accepts everything, keeps nothing but a count.

For benchmarks, where the peer must not be the ceiling.  Offers PIPELINING.  In a process of its
own: `python -m tests.peers.fast_sink` prints its port and serves until its standard input closes.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

_EHLO = b"250-sink.example.net\r\n250-PIPELINING\r\n250-SIZE 50000000\r\n250 8BITMIME\r\n"
_ANSWERS = {
    b"EHLO": _EHLO,
    b"MAIL": b"250 2.1.0 ok\r\n",
    b"RCPT": b"250 2.1.5 ok\r\n",
    b"DATA": b"354 go\r\n",
    b"RSET": b"250 2.0.0 ok\r\n",
    b"NOOP": b"250 2.0.0 ok\r\n",
    b"QUIT": b"221 2.0.0 bye\r\n",
}


class FastSink(asyncio.Protocol):
    """One connection.  `taken` counts the messages of all of them."""

    taken = 0

    def __init__(self) -> None:
        self._rest = b""
        self._in_content = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is none by class
        self._transport.write(b"220 sink.example.net ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._rest += data
        answers = bytearray()
        while True:
            if self._in_content:
                end = self._rest.find(b"\r\n.\r\n")
                if end < 0:
                    break
                self._rest = self._rest[end + 5 :]
                self._in_content = False
                FastSink.taken += 1
                answers += b"250 2.0.0 taken\r\n"
                continue
            line, found, rest = self._rest.partition(b"\r\n")
            if not found:
                break
            verb = line[:4].upper()
            self._in_content = verb == b"DATA"
            self._rest = b"\r\n" + rest if self._in_content else rest  # content may be a lone dot
            answers += _ANSWERS.get(verb, b"502 5.5.1 unknown\r\n")
        if answers:
            self._transport.write(answers)


async def start_fast_sink() -> asyncio.Server:
    """On 127.0.0.1 and a free port, in this process."""
    return await asyncio.get_running_loop().create_server(FastSink, "127.0.0.1", 0)


async def _main() -> None:
    server = await start_fast_sink()
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_main())

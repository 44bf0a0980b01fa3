"""An HTTPS server on loopback that serves an MTA-STS policy, or misbehaves instead.

async with PolicyHost(certificate.server) as host:
    host.serve("version: STSv1\\nmode: enforce\\nmx: mx.example.net\\nmax_age: 86400\\n")
    ...fetch https://mta-sts.example.net:{host.port}/.well-known/mta-sts.txt...
    assert host.asked == 1
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from types import TracebackType


def policy_text(*mx: str, mode: str = "enforce", age: int = 86_400) -> str:
    lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {name}" for name in mx), f"max_age: {age}"]
    return "\r\n".join(lines) + "\r\n"


class PolicyHost:
    def __init__(self, tls: ssl.SSLContext) -> None:
        self.asked = 0
        self.requests: list[str] = []  # request lines
        self.server_names: list[str | None] = []
        self.answer = b""
        self.gate = asyncio.Event()  # clear it to hold answers back
        self.gate.set()
        self.port = 0
        self._tls = tls
        self._open: set[asyncio.StreamWriter] = set()
        tls.sni_callback = lambda _, name, __: self.server_names.append(name)

    def serve(
        self, body: str, *, status: str = "200 OK", kind: str = "text/plain; charset=utf-8"
    ) -> None:
        """Answer every request with this from now on."""
        content = body.encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
        self.answer = head.encode() + b"Location: https://elsewhere.example/\r\n\r\n" + content

    async def __aenter__(self) -> PolicyHost:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Go away: nobody listens any more."""
        self._server.close()
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            self.requests.append(head.partition(b"\r\n")[0].decode())
            await self.gate.wait()
            writer.write(self.answer)
            await writer.drain()
        self._open.discard(writer)
        writer.close()

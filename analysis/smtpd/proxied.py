"""Clients behind a load balancer: the PROXY protocol, versions 1 and 2, as HAProxy defines it.

A balancer says whose connection it hands on before anything else, also before TLS.  Only balancers
that the operator names are asked to; from anybody else those octets are what they are, a bad
command.  A balancer that does not say it within `PATIENCE` seconds and the protocol's own bounds is
hung up on.  Its own questions (LOCAL, UNKNOWN) come from itself.

`read_header` takes no octet more than the header has, since what follows may be TLS.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

PATIENCE = 5.0
_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_LONGEST_TEXT = 107  # section 2.1
_LONGEST_BINARY = 2_048  # section 2.2: addresses and whatever is added to them
_OCTETS = {0x11: 4, 0x21: 16}  # TCP over IPv4 and IPv6: of an address

Read = Callable[[int], Awaitable[bytes]]
"""Reads exactly so many octets; raises `EOFError`."""


async def client_of(sock: socket.socket) -> str:
    """The client's address as a balancer tells it; `` where it speaks for itself.

    Raises `ValueError` for what is no header, `EOFError`, `OSError` and `TimeoutError`.
    """
    loop = asyncio.get_running_loop()

    async def exactly(count: int) -> bytes:
        found = b""
        while len(found) < count:
            if not (more := await loop.sock_recv(sock, count - len(found))):
                raise EOFError
            found += more
        return found

    async with asyncio.timeout(PATIENCE):
        return await read_header(exactly)


async def read_header(read: Read) -> str:
    """The client's address, or `` where the header names none.  Raises `ValueError`."""
    start = await read(len(_SIGNATURE))
    if start == _SIGNATURE:
        return await _binary(read)
    if not start.startswith(b"PROXY "):
        raise ValueError("no PROXY header")
    return _text(await _line(start, read))


async def _line(line: bytes, read: Read) -> bytes:
    while not line.endswith(b"\r\n"):
        if len(line) >= _LONGEST_TEXT:
            raise ValueError("a PROXY line that does not end")
        line += await read(1)
    return line


def _text(line: bytes) -> str:
    """Section 2.1: `PROXY TCP4 192.0.2.1 198.51.100.1 56324 25`."""
    words = line[:-2].decode("ascii", "replace").split(" ")
    if words[1] == "UNKNOWN":
        return ""
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise ValueError("a PROXY line of no known kind")
    client = ip_address(words[2])
    if client.version != int(words[1][-1]):
        raise ValueError("an address of another kind than said")
    return str(client)


async def _binary(read: Read) -> str:
    """Section 2.2: a version and command, a family, a length, then the addresses."""
    version, family, *length = await read(4)
    size = int.from_bytes(bytes(length))
    if version not in (0x20, 0x21) or size > _LONGEST_BINARY:
        raise ValueError("a PROXY header of another version, or too long")
    rest = await read(size)
    if version == 0x20 or (octets := _OCTETS.get(family)) is None:  # LOCAL; or no TCP
        return ""
    if size < 2 * octets + 4:
        raise ValueError("a PROXY header that is cut short")
    return str(ip_address(rest[:octets]))

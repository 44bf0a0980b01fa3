"""Behind a load balancer each client is counted as itself, and nobody else may say who he is."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import ssl
from collections.abc import AsyncIterator
from ipaddress import IPv4Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.smtpd import Conversation, Door, Limits, Reason, Server
from analysis.smtpd.proxied import read_header
from tests.peers.certificates import certificate_for

pytestmark = pytest.mark.anyio

BALANCER = ip_network("127.0.0.1/32")
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def binary(client: str, command: int = 0x21, more: bytes = b"") -> bytes:
    """A header of version 2, as HAProxy's `send-proxy-v2` writes it."""
    address = ip_address(client)
    family = 0x11 if address.version == 4 else 0x21
    rest = address.packed + ip_address("::1").packed[-len(address.packed) :] + b"\xdc\x04\x00\x19"
    size = len(rest + more).to_bytes(2)
    return SIGNATURE + bytes([command, family]) + size + rest + more


async def read(header: bytes) -> tuple[str, bytes]:
    """What a header says, and what of the octets was left."""
    source = io.BytesIO(header)

    async def exactly(count: int) -> bytes:
        found = source.read(count)
        if len(found) < count:
            raise EOFError
        return found

    return await read_header(exactly), source.read()


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\r\n", "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 25\r\n", "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n", ""),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", ""),
        (binary("192.0.2.7"), "192.0.2.7"),
        (binary("2001:db8::7"), "2001:db8::7"),
        (binary("192.0.2.7", more=b"\x04\x00\x03abc"), "192.0.2.7"),
        (binary("192.0.2.7", command=0x20), ""),  # LOCAL: the balancer asks for itself
        (SIGNATURE + b"\x21\x00\x00\x00", ""),
    ],
)
async def test_a_header_says_whose_connection_it_is_and_takes_nothing_of_what_follows(
    header: bytes, client: str
) -> None:
    assert await read(header + b"\x16\x03\x01EHLO") == (client, b"\x16\x03\x01EHLO")


@pytest.mark.parametrize(
    "header",
    [
        b"EHLO client.example.net\r\n",
        b"PROXY TCP4 192.0.2.7\r\n",
        b"PROXY TCP4 2001:db8::7 ::1 1 2\r\n",
        b"PROXY TCP4 mx.example.net 127.0.0.1 1 2\r\n",
        b"PROXY UDP4 192.0.2.7 192.0.2.8 1 2\r\n",
        b"PROXY TCP4 " + b"1" * 200 + b"\r\n",
        SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12),
        SIGNATURE + b"\x21\x11\xff\xff" + bytes(65_535),
        SIGNATURE + b"\x21\x11\x00\x04" + bytes(4),
    ],
)
async def test_what_is_no_header_is_refused(header: bytes) -> None:
    with pytest.raises(ValueError):
        await read(header)


@given(st.binary(max_size=300))
def test_no_octets_do_worse_than_being_refused(octets: bytes) -> None:
    for start in (b"", b"PROXY ", SIGNATURE):
        with contextlib.suppress(ValueError, EOFError):
            asyncio.run(read(start + octets))


class Asked:
    """A handler that notes whom it talks to."""

    def __init__(self, clients: list[str]) -> None:
        self._clients = clients

    async def mail(self, talk: Conversation, _sender: str) -> str:
        self._clients.append(talk.client)
        return "250 2.1.0 OK"

    async def recipient(self, _talk: Conversation, _address: str) -> str:
        return "250 2.1.5 OK"

    async def message(self, _talk: Conversation, _content: bytes) -> str:
        return "250 2.0.0 Stored"


@contextlib.asynccontextmanager
async def serving(
    clients: list[str],
    refused: list[Reason],
    *,
    tls: ssl.SSLContext | None = None,
    balancer: IPv4Network | None = None,
) -> AsyncIterator[int]:
    limits = Limits(client_connections=1)
    server = Server(
        ["127.0.0.1:0"],
        lambda: Asked(clients),
        hostname="mx.example.com",
        limits=limits,
        door=Door(limits, exempt=lambda _client: False),
        observe=refused.append,
        tls=tls,
        tls_at_once=tls is not None,
        balancers=[balancer or BALANCER],
    )
    [(_, port)] = await server.start()
    try:
        yield port
    finally:
        await server.close(0)


def says(port: int, header: bytes, tls: ssl.SSLContext | None = None) -> tuple[str, socket.socket]:
    """The first line that a client hears after MAIL, and the connection."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    sock.sendall(header)
    if tls is not None:
        sock = tls.wrap_socket(sock, server_hostname="mx.example.com")
    words = sock.makefile("rb")
    greeting = words.readline()
    if not greeting.startswith(b"220"):
        return greeting.decode(), sock
    sock.sendall(b"EHLO client.example.net\r\n")
    while words.readline()[3:4] == b"-":
        pass
    sock.sendall(b"MAIL FROM:<>\r\n")
    return words.readline().decode(), sock


async def test_each_client_behind_a_balancer_is_counted_as_itself() -> None:
    clients: list[str] = []
    refused: list[Reason] = []
    async with serving(clients, refused) as port:
        lines = [b"PROXY TCP4 192.0.2.%d 127.0.0.1 5000 25\r\n" % n for n in (7, 8)]
        heard = [await asyncio.to_thread(says, port, line) for line in (*lines, lines[0])]
        heard.append(await asyncio.to_thread(says, port, binary("2001:db8::7")))
        for _, sock in heard:
            sock.close()
    assert [line[:3] for line, _ in heard] == ["250", "250", "421", "250"]
    assert clients == ["192.0.2.7", "192.0.2.8", "2001:db8::7"]
    assert refused == [Reason.TOO_MANY_CONNECTIONS]


async def test_the_header_comes_before_tls() -> None:
    certificate = certificate_for("mx.example.com")
    clients: list[str] = []
    async with serving(clients, [], tls=certificate.server) as port:
        heard, sock = await asyncio.to_thread(says, port, binary("192.0.2.7"), certificate.client)
        sock.close()
    assert heard.startswith("250")
    assert clients == ["192.0.2.7"]


async def test_nobody_else_may_say_who_he_is() -> None:
    clients: list[str] = []
    async with serving(clients, [], balancer=IPv4Network("198.51.100.1/32")) as port:
        heard, sock = await asyncio.to_thread(says, port, b"")
        sock.close()
        lying, sock = await asyncio.to_thread(
            says, port, b"PROXY TCP4 192.0.2.7 127.0.0.1 5000 25\r\n"
        )
        sock.close()
    assert heard.startswith("250")
    assert set(clients) == {"127.0.0.1"}
    assert "192.0.2.7" not in lying


async def test_a_balancer_that_says_nothing_of_the_kind_is_hung_up_on() -> None:
    async with serving([], []) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"EHLO client.example.net\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()

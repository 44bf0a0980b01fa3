"""TLS reports handed over by HTTPS: to a public host whose certificate holds, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from sender.resolver import Resolver
from sender.tls_report_post import ReportPost
from tests.peers.certificates import Certificate, certificate_for
from tests.peers.dns_server import DnsServer
from tests.peers.policy_host import PolicyHost

pytestmark = pytest.mark.anyio

NAME = "tls.example.net"
LOOPBACK = (ip_network("127.0.0.0/8"),)


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return certificate_for(NAME)


@pytest.fixture
async def host(certificate: Certificate) -> AsyncIterator[PolicyHost]:
    async with PolicyHost(certificate.server) as running:
        yield running


@pytest.fixture
async def resolver() -> AsyncIterator[Resolver]:
    async with DnsServer() as server:
        for name in (NAME, "other.example.net"):
            server.add(name, "A", "127.0.0.1")
        resolver = Resolver([server.nameserver], clock=lambda: 0.0)
        yield resolver
        await resolver.close()


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted"])
async def test_a_report_is_posted(
    host: PolicyHost, certificate: Certificate, resolver: Resolver, status: str
) -> None:
    host.serve("taken", status=status)
    send = ReportPost(resolver, certificate.client, LOOPBACK)
    await send(f"https://{NAME}:{host.port}/r?of=us", b"report")
    assert host.requests == ["POST /r?of=us HTTP/1.1"]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://{name}:{port}/", "the answer was 302"),
        ("https://other.example.net:{port}/", "certificate"),
        ("https://absent.example.net:{port}/", "no address that is public"),
        ("https://127.0.0.1:{port}/", "not a host name"),
        ("https://{name}:99999/", "no address to post to"),
        ("https://[::1/", "no address to post to"),
    ],
)
async def test_what_is_not_taken_says_why(
    host: PolicyHost, certificate: Certificate, resolver: Resolver, url: str, why: str
) -> None:
    host.serve("elsewhere", status="302 Found")
    send = ReportPost(resolver, certificate.client, LOOPBACK)
    with pytest.raises(OSError, match=why):
        await send(url.format(name=NAME, port=host.port), b"report")


async def test_a_host_that_is_not_public_is_not_talked_to(
    host: PolicyHost, certificate: Certificate, resolver: Resolver
) -> None:
    with pytest.raises(OSError, match="no address that is public"):
        await ReportPost(resolver, certificate.client)(f"https://{NAME}:{host.port}/", b"report")
    assert host.asked == 0

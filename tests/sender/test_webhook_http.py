"""Where a URL may lead: hostile ones to no connection at all, allowed ones to what was judged."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.webhooks import new_secret
from sender.resolver import Resolver
from sender.webhook_http import BadUrl, Poster, Signed, read_url
from tests.peers.certificates import Certificate, certificate_for
from tests.peers.dialled import connections
from tests.peers.dns_server import DnsServer, Manner
from tests.peers.policy_host import PolicyHost
from tests.peers.webhook_receiver import WebhookReceiver

pytestmark = pytest.mark.anyio

NAME = "hooks.example.net"
LOOPBACK = (ip_network("127.0.0.0/8"),)
MESSAGE = Signed("1", b"{}", [new_secret(bytes(32))])

HOSTILE_ADDRESSES = (
    "127.0.0.1", "127.8.9.10", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.254",
    "100.64.0.1", "100.100.100.200", "168.63.129.16", "169.254.1.1", "169.254.169.254",
    "172.16.0.1", "172.31.255.254", "192.0.0.192", "192.168.1.1", "192.0.2.1", "198.18.0.1",
    "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1",
    "255.255.255.255", "192.88.99.1",
)  # fmt: skip
HOSTILE_6 = (
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1",
    "2001:0:7f00:1::1", "2001:db8::1", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1",
    "fec0::1", "ff02::1", "100::1", "3fff::1", "4000::1",
)  # fmt: skip
HOSTILE_URLS = (
    "", "x", "//127.0.0.1/", "http://127.0.0.1/", "http://hooks.example.net/",
    "ftp://hooks.example.net/", "file:///etc/passwd", "gopher://127.0.0.1:25/_HELO", "https://",
    "https:///a", "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/",
    "https://127.1/", "https://127.0.0.1./", "https://127.0.0.1:22/", "https://[::1]:6379/",
    "https://[fe80::1%25eth0]/", "https://user@hooks.example.net/",
    "https://8.8.8.8@127.0.0.1/", "https://127.0.0.1#@8.8.8.8/", "https://hooks.example.net\\@x/",
    "https://hooks.example.net/ HTTP/1.1\r\nX: y", "https://hooks.example.net/\r\nX: y",
    "https://hooks.example.net:99999/", "https://hooks.example.net:x/", "https://hooks..net/",
    "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "https://１２７.0.0.1/", "https://hooks.example.net/\x00",
    "https://-bad-.example/", "https://a b.example/", "https://" + "a" * 3_000,
    "https://[127.0.0.1]/", "https://[::1/", "https://%31%32%37.0.0.1/", "HTTPS:127.0.0.1",
)  # fmt: skip


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    async with DnsServer() as server:
        yield server


@pytest.fixture
async def resolver(dns: DnsServer) -> AsyncIterator[Resolver]:
    resolver = Resolver([dns.nameserver], clock=lambda: 0.0)
    yield resolver
    await resolver.close()


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return certificate_for(NAME)


@pytest.fixture
def poster(resolver: Resolver, certificate: Certificate) -> Poster:
    return Poster(resolver, certificate.client, seconds=5.0)


def _outside(found: list[tuple[object, ...]], dns: DnsServer) -> list[object]:
    """Connections that are not a question to the DNS."""
    return [address for _, address in found if address != dns.nameserver]


async def test_no_hostile_url_leads_to_a_connection(
    poster: Poster, dns: DnsServer, seen: Callable[[str], None]
) -> None:
    dns.add(NAME, "A", "127.0.0.1")
    literal = [f"https://{one}/" for one in HOSTILE_ADDRESSES]
    literal += [f"https://[{one}]/" for one in HOSTILE_6]
    assert len(literal) + len(HOSTILE_URLS) >= 60
    with connections() as found:
        for url in (*literal, *HOSTILE_URLS):
            answer = await poster.post(url, MESSAGE, now=0.0)
            assert answer.status is None, url
            assert answer.refused, url
    assert _outside(found, dns) == []
    seen(f"{len(literal) + len(HOSTILE_URLS)} hostile URLs: forbidden connections 0")


async def test_no_name_that_leads_inside_leads_to_a_connection(
    poster: Poster, dns: DnsServer, seen: Callable[[str], None]
) -> None:
    names = []
    for kind, addresses in (("A", HOSTILE_ADDRESSES), ("AAAA", HOSTILE_6)):
        for number, address in enumerate(addresses):
            names.append(name := f"{kind.lower()}{number}.example")
            dns.add(name, kind, address)
    with connections() as found:
        for name in names:
            answer = await poster.post(f"https://{name}/", MESSAGE, now=0.0)
            assert answer.refused, name
    assert _outside(found, dns) == []
    seen(f"{len(names)} names that lead inside: forbidden connections 0")


async def test_one_bad_address_among_good_ones_spoils_the_name(
    poster: Poster, dns: DnsServer
) -> None:
    dns.add(NAME, "A", "8.8.8.8", "10.0.0.1")
    with connections() as found:
        answer = await poster.post(f"https://{NAME}/", MESSAGE, now=0.0)
    assert "10.0.0.1 is out of bounds: private" in answer.text
    assert _outside(found, dns) == []


async def test_the_address_that_was_judged_is_the_one_connected_to(
    resolver: Resolver, dns: DnsServer, certificate: Certificate
) -> None:
    """Of one post the DNS is asked once: there is no second answer that could lead elsewhere."""
    dns.add(NAME, "A", "127.0.0.1")
    poster = Poster(resolver, certificate.client, LOOPBACK, 5.0)
    async with PolicyHost(certificate.server) as host:
        host.serve("thanks")
        with connections() as found:
            answer = await poster.post(f"https://{NAME}:{host.port}/h", MESSAGE, now=0.0)
        assert (answer.status, answer.text) == (200, "thanks")
        assert host.server_names == [NAME]
        assert host.requests == ["POST /h HTTP/1.1"]
    assert _outside(found, dns) == [("127.0.0.1", host.port)]
    assert dns.asked[NAME, "A"] == 1


async def test_a_certificate_for_another_name_is_not_believed(
    resolver: Resolver, dns: DnsServer, certificate: Certificate
) -> None:
    dns.add("other.example.net", "A", "127.0.0.1")
    poster = Poster(resolver, certificate.client, LOOPBACK, 5.0)
    async with PolicyHost(certificate.server) as host:
        answer = await poster.post(f"https://other.example.net:{host.port}/", MESSAGE, now=0.0)
    assert answer.status is None
    assert answer.text.startswith("certificate:")


async def test_a_redirect_into_our_network_is_not_followed(
    resolver: Resolver, dns: DnsServer, certificate: Certificate
) -> None:
    dns.add(NAME, "A", "127.0.0.1")
    poster = Poster(resolver, certificate.client, LOOPBACK, 5.0)
    async with PolicyHost(certificate.server) as host:
        host.answer = b"HTTP/1.1 301 x\r\nLocation: http://169.254.169.254/\r\n\r\n"
        with connections() as found:
            answer = await poster.post(f"https://{NAME}:{host.port}/", MESSAGE, now=0.0)
    assert answer.status == 301
    assert not answer.taken
    assert len(_outside(found, dns)) == 1


async def test_http_is_for_allowed_networks_alone(resolver: Resolver) -> None:
    async with WebhookReceiver() as receiver:
        tls = ssl.create_default_context()
        other = Poster(resolver, tls, (ip_network("10.0.0.0/8"),), 5.0)
        allowed = Poster(resolver, tls, LOOPBACK, 5.0)
        assert (await other.post(receiver.url, MESSAGE, now=0.0)).refused
        assert (await allowed.post(receiver.url, MESSAGE, now=0.0)).status == 204
        assert receiver.connections == 1
        assert receiver.got[0].headers["host"] == f"127.0.0.1:{receiver.port}"
    public = await other.post("http://8.8.8.8/", MESSAGE, now=0.0)
    assert "expected https://" in public.text


async def test_trouble_of_the_dns_is_no_refusal(poster: Poster, dns: DnsServer) -> None:
    dns.behave("broken.example", Manner.SERVFAIL)
    for name in ("broken.example", "nowhere.example"):
        answer = await poster.post(f"https://{name}/", MESSAGE, now=0.0)
        assert (answer.status, answer.refused) == (None, False)
        assert name in answer.text


async def test_who_does_not_answer_in_time_is_left(resolver: Resolver) -> None:
    async with WebhookReceiver() as receiver:
        receiver.gate.clear()
        poster = Poster(resolver, ssl.create_default_context(), LOOPBACK, 0.2)
        answer = await poster.post(receiver.url, MESSAGE, now=0.0)
    assert answer.status is None
    assert "no answer within" in answer.text


@given(st.text(max_size=60) | st.text(max_size=60).map(lambda text: f"https://{text}"))
def test_any_text_is_a_place_or_a_bad_url(text: str) -> None:
    try:
        place = read_url(text, LOOPBACK)
    except BadUrl:
        return
    assert place.path.startswith("/")
    assert (place.host + place.path).isascii()

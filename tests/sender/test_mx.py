"""A domain's mail goes where its DNS says, and never where a stranger's DNS must not lead us."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network

import pytest

from analysis.reply import Reply, Stage
from analysis.rulebook import shipped
from analysis.verdict import Category, Fault
from sender.mx import Exchangers, MailExchange, parse_target
from sender.resolver import Resolver
from sender.smtp import Host
from tests.peers.dns_server import DnsServer, Manner, bounds_for

pytestmark = pytest.mark.anyio

PUBLIC = itertools.cycle(f"8.8.{a}.{b}" for a in range(1, 250) for b in range(1, 250))


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    async with DnsServer() as running:
        yield running


@pytest.fixture
def make(server: DnsServer) -> Callable[..., MailExchange]:
    def make(manner: Manner | None = None, **arguments: object) -> MailExchange:
        resolver = Resolver(
            [server.nameserver], clock=lambda: 0.0, bounds=bounds_for(manner), trust_ad=True
        )
        return MailExchange(resolver, **{"random": random.Random(3).random, **arguments})  # type: ignore[arg-type]

    return make


def _host(server: DnsServer, name: str, *addresses: str) -> None:
    fours = [address for address in addresses if ":" not in address]
    sixes = [address for address in addresses if ":" in address]
    if fours:
        server.add(name, "A", *fours)
    if sixes:
        server.add(name, "AAAA", *sixes)


async def _found(exchange: MailExchange, domain: str) -> Exchangers:
    answer = await exchange.route(domain)
    assert isinstance(answer, Exchangers), answer
    return answer


async def _refused(exchange: MailExchange, domain: str) -> tuple[str | None, str]:
    answer = await exchange.route(domain)
    assert isinstance(answer, Reply), answer
    assert answer.code is None
    assert answer.stage is Stage.DNS
    assert answer.text.isprintable()
    return answer.enhanced, answer.text


async def test_hosts_come_by_preference(
    server: DnsServer, make: Callable[..., MailExchange]
) -> None:
    server.add("example.net", "MX", "30 c.example.net.", "10 A.example.net.", "20 b.example.net.")
    for number, name in enumerate("abc", 1):
        _host(server, f"{name}.example.net", f"8.8.8.{number}")
    found = await _found(make(), "Example.NET")
    assert found == Exchangers(
        "example.net",
        tuple(Host(f"{name}.example.net", f"8.8.8.{n}") for n, name in enumerate("abc", 1)),
        ("a.example.net", "b.example.net", "c.example.net"),
    )


async def test_chance_decides_within_one_preference(
    server: DnsServer, make: Callable[..., MailExchange]
) -> None:
    """RFC 5321 section 5.1: equal preference is spread at random, and never before a better one."""
    server.add(
        "example.net", "MX", "10 best.example.net.", *(f"20 {n}.example.net." for n in "abc")
    )
    for number, name in enumerate(("best", "a", "b", "c"), 1):
        _host(server, f"{name}.example.net", f"8.8.8.{number}")
    exchange = make()
    orders = {(await _found(exchange, "example.net")).names for _ in range(100)}
    assert {order[0] for order in orders} == {"best.example.net"}
    assert len(orders) == 6
    assert server.asked["example.net", "MX"] == 1


async def test_five_addresses_at_most_and_from_several_hosts(
    server: DnsServer, make: Callable[..., MailExchange]
) -> None:
    server.add("example.net", "MX", *(f"{n} mx{n}.example.net." for n in range(1, 9)))
    for n in range(1, 9):
        _host(server, f"mx{n}.example.net", *(next(PUBLIC) for _ in range(20)))
    found = await _found(make(), "example.net")
    assert [host.name[:3] for host in found.hosts] == ["mx1", "mx1", "mx2", "mx2", "mx3"]
    assert len({host.address for host in found.hosts}) == 5
    assert len(found.names) == 8
    assert server.asked["mx5.example.net", "A"] == 1
    assert server.asked["mx6.example.net", "A"] == 0, "a long list is not asked to its end"


async def test_one_host_may_use_all_five(
    server: DnsServer, make: Callable[..., MailExchange]
) -> None:
    server.add("example.net", "MX", "10 mx.example.net.")
    _host(server, "mx.example.net", *(next(PUBLIC) for _ in range(20)))
    assert len((await _found(make(), "example.net")).hosts) == 5


async def test_ipv4_and_ipv6_by_turns(server: DnsServer, make: Callable[..., MailExchange]) -> None:
    server.add("example.net", "MX", "10 mx.example.net.")
    _host(server, "mx.example.net", "8.8.8.1", "8.8.8.2", "2a00::1", "2a00::2")
    six = [":" in host.address for host in (await _found(make(), "example.net")).hosts]
    assert six == [False, True, False, True]
    only = (await _found(make(ipv6=False), "example.net")).hosts
    assert all(":" not in host.address for host in only)


async def test_null_mx(server: DnsServer, make: Callable[..., MailExchange]) -> None:
    """RFC 7505: the address that is also there is not asked for."""
    server.add("example.net", "MX", "0 .")
    _host(server, "example.net", "8.8.8.8")
    assert await _refused(make(), "example.net") == ("5.1.10", "example.net takes no mail: null MX")
    assert server.asked["example.net", "A"] == 0


async def test_a_dot_among_others_is_passed_over(
    server: DnsServer, make: Callable[..., MailExchange]
) -> None:
    server.add("example.net", "MX", "0 .", "10 mx.example.net.")
    _host(server, "mx.example.net", "8.8.8.8")
    assert (await _found(make(), "example.net")).names == ("mx.example.net",)


async def test_without_mx_the_domain_is_the_host(
    server: DnsServer, make: Callable[..., MailExchange]
) -> None:
    _host(server, "example.net", "8.8.8.8")
    found = await _found(make(), "example.net")
    assert found.implicit
    assert found.hosts == (Host("example.net", "8.8.8.8"),)


async def test_a_domain_that_does_not_exist(make: Callable[..., MailExchange]) -> None:
    text = "no.example does not exist in the DNS"
    assert await _refused(make(), "no.example") == ("5.1.2", text)


async def test_neither_mx_nor_address(server: DnsServer, make: Callable[..., MailExchange]) -> None:
    server.add("example.net", "TXT", '"hello"')
    enhanced, text = await _refused(make(), "example.net")
    assert (enhanced, text) == ("5.4.4", "example.net has no mail server: neither MX nor address")


@pytest.mark.parametrize("manner", [Manner.SERVFAIL, Manner.REFUSED, Manner.DROP, Manner.REFERRAL])
async def test_what_the_dns_cannot_say_is_temporary(
    server: DnsServer, make: Callable[..., MailExchange], manner: Manner
) -> None:
    server.behave("example.net", manner)
    enhanced, text = await _refused(make(manner), "example.net")
    assert enhanced == "4.4.3"
    assert text.startswith("the DNS gave no answer: ")


async def test_a_cname_loop_is_temporary(
    server: DnsServer, make: Callable[..., MailExchange]
) -> None:
    server.add("a.example", "CNAME", "b.example.")
    server.add("b.example", "CNAME", "a.example.")
    assert (await _refused(make(), "a.example"))[0] == "4.4.3"


async def test_trouble_with_the_implicit_host_is_temporary(
    server: DnsServer, make: Callable[..., MailExchange]
) -> None:
    server.add("example.net", "TXT", '"hello"')
    server.behave("example.net", Manner.SERVFAIL, "A")
    assert (await _refused(make(), "example.net"))[0] == "4.4.3"


async def test_a_domain_called_like_a_verdict_is_not_judged_by_its_name(
    server: DnsServer, make: Callable[..., MailExchange]
) -> None:
    """Trouble of our own resolver must suppress nobody, whatever their domain is called."""
    server.behave("nullmx.example", Manner.REFUSED)
    server.add("nxdomain.example", "MX", "10 gone.nxdomain.example.")
    for domain in ("nullmx.example", "nxdomain.example"):
        answer = await make().route(domain)
        assert isinstance(answer, Reply)
        assert domain not in answer.text
        verdict = shipped().classify(answer)
        assert (verdict.fault, verdict.suppress) == (Fault.NETWORK, False)


async def test_one_broken_host_does_not_hide_the_others(
    server: DnsServer, make: Callable[..., MailExchange]
) -> None:
    server.add("example.net", "MX", "10 broken.example.net.", "20 gone.example.", "30 ok.example.")
    server.behave("broken.example.net", Manner.SERVFAIL)
    _host(server, "ok.example", "8.8.8.8")
    found = await _found(make(), "example.net")
    assert found.hosts == (Host("ok.example", "8.8.8.8"),)


async def test_hosts_without_addresses_are_temporary(
    server: DnsServer, make: Callable[..., MailExchange]
) -> None:
    """The domain asks for mail: its broken MX is a mistake that may be mended."""
    server.add("gone.example", "MX", "10 mx.gone.example.")
    server.add("broken.example", "MX", "10 mx1.broken.example.", "20 mx2.broken.example.")
    server.behave("mx2.broken.example", Manner.SERVFAIL)
    text = "none of the mail servers named has an address"
    assert await _refused(make(), "gone.example") == ("4.4.4", text)
    assert (await _refused(make(), "broken.example"))[0] == "4.4.3"


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "0.0.0.0", "::1",
     "fe80::1", "fd00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"],
)  # fmt: skip
async def test_a_stranger_does_not_lead_us_inside(
    server: DnsServer, make: Callable[..., MailExchange], address: str
) -> None:
    server.add("evil.example", "MX", "10 mx.evil.example.")
    _host(server, "mx.evil.example", address)
    _host(server, "bare.example", address)
    for domain in ("evil.example", "bare.example"):
        enhanced, text = await _refused(make(), domain)
        assert enhanced == "4.4.4"
        assert text.startswith(f"the mail servers named are out of bounds: {address} is ")
    _host(server, "mx.mixed.example", address, "8.8.8.8")
    server.add("mixed.example", "MX", "10 mx.mixed.example.")
    found = await _found(make(), "mixed.example")
    assert [host.address for host in found.hosts] == ["8.8.8.8"]


async def test_an_allowed_network_is_reached(
    server: DnsServer, make: Callable[..., MailExchange]
) -> None:
    server.add("lan.example", "MX", "10 mx.lan.example.")
    _host(server, "mx.lan.example", "10.1.1.1", "192.168.1.1")
    found = await _found(make(allowed=[ip_network("10.0.0.0/8")], port=2525), "lan.example")
    assert found.hosts == (Host("mx.lan.example", "10.1.1.1", 2525),)


@pytest.mark.parametrize(
    "name", ["127.0.0.1.", "localhost.", "169.254.169.254.", "a\\000b.example."]
)
async def test_an_mx_that_is_no_host_name_is_never_asked(
    server: DnsServer, make: Callable[..., MailExchange], name: str
) -> None:
    server.add("evil.example", "MX", f"10 {name}")
    server.add("localhost", "A", "8.8.8.8")
    assert (await _refused(make(), "evil.example"))[0] == "4.4.4"
    assert set(server.asked) == {("evil.example", "MX")}


@pytest.mark.parametrize("domain", ["", "localhost", "[127.0.0.1]", "10.0.0.1", "a\r\nb.example"])
async def test_a_domain_that_is_none_is_never_asked(
    server: DnsServer, make: Callable[..., MailExchange], domain: str
) -> None:
    enhanced, text = await _refused(make(), domain)
    assert enhanced == "5.1.2"
    assert "is not a domain name" in text
    assert not server.asked


async def test_ad_of_the_mx_is_passed_on(
    server: DnsServer, make: Callable[..., MailExchange]
) -> None:
    server.authenticated = True
    server.add("example.net", "MX", "10 mx.example.net.")
    _host(server, "mx.example.net", "8.8.8.8")
    found = await _found(make(), "example.net")
    assert found.authenticated
    assert found.secure == {"mx.example.net"}


async def test_fixed_hosts_come_first_and_may_be_anywhere(
    server: DnsServer, make: Callable[..., MailExchange]
) -> None:
    _host(server, "relay.example", "127.0.0.5", "::1")
    exchange = make(
        static={
            "Example.net": "127.0.0.1:2526",
            "six.example": "[::1]:2527",
            "named.example": "Relay.example:2528",
            "*": "localhost:2529",
        }
    )
    assert (await _found(exchange, "EXAMPLE.net")).hosts == (Host("127.0.0.1", "127.0.0.1", 2526),)
    assert (await _found(exchange, "six.example")).hosts == (Host("::1", "::1", 2527),)
    named = await _found(exchange, "named.example")
    assert named.static
    assert named.names == ("relay.example",)
    assert named.hosts == tuple(Host("relay.example", a, 2528) for a in ("127.0.0.5", "::1"))
    rest = await _found(exchange, "anything.example")
    assert rest.hosts == tuple(Host("localhost", a, 2529) for a in ("127.0.0.1", "::1"))
    assert {name for name, _ in server.asked} == {"relay.example"}


async def test_a_fixed_domain_leaves_the_others_to_the_dns(
    server: DnsServer, make: Callable[..., MailExchange]
) -> None:
    _host(server, "sub.example.net", "8.8.8.8")
    exchange = make(static={"example.net": "127.0.0.1:2526"})
    assert not (await _found(exchange, "sub.example.net")).static


async def test_a_fixed_host_without_address_is_temporary(
    server: DnsServer, make: Callable[..., MailExchange]
) -> None:
    server.behave("broken.example", Manner.SERVFAIL)
    exchange = make(static={"a.example": "gone.example:25", "b.example": "broken.example:25"})
    assert (await _refused(exchange, "a.example"))[0] == "4.4.4"
    assert (await _refused(exchange, "b.example"))[0] == "4.4.3"


@pytest.mark.parametrize(
    "text",
    ["", "host", "host:", ":25", "host:0", "host:65536", "host:25x", "::1:25", "[::1]", "[x]:25",
     "a b:25", "-x.example:25", "http://h:25", "10.0.0.1.5:25", "[::1%eth0]:25"],
)  # fmt: skip
def test_a_wrong_target_is_refused_at_once(text: str) -> None:
    with pytest.raises(ValueError, match="no host:port"):
        parse_target(text)


@pytest.mark.parametrize("where", ["broken.example", "mx.broken.example"])
async def test_a_resolver_of_ours_that_answers_nothing_is_told_from_a_domain_that_does_not(
    server: DnsServer, make: Callable[..., MailExchange], where: str
) -> None:
    server.add("broken.example", "MX", "10 mx.broken.example.")
    server.behave(where, Manner.SERVFAIL)
    theirs = await make().route("broken.example")
    server.behave(".", Manner.SERVFAIL)
    ours = await make().route("broken.example")
    assert isinstance(theirs, Reply)
    assert isinstance(ours, Reply)
    judged = [shipped().classify(one) for one in (theirs, ours)]
    assert [one.fault for one in judged] == [Fault.NETWORK, Fault.SENDER]
    assert [one.category for one in judged] == [Category.NETWORK] * 2
    assert [one.permanent for one in (theirs, ours)] == [False, False]

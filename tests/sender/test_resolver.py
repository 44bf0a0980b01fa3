"""Questions are asked once, within bounds; what the DNS does comes back as data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from dns.rdtypes.IN.A import A

from sender.resolver import Absent, Bounds, Found, Resolver, Trouble, check_name
from tests.peers.dns_server import DnsServer, Manner, bounds_for

pytestmark = pytest.mark.anyio


class Clock:
    """Seconds that pass when told to."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    async with DnsServer() as running:
        running.add("host.example", "A", "192.0.2.1")
        yield running


@pytest.fixture
def resolver(server: DnsServer, clock: Clock) -> Resolver:
    return Resolver([server.nameserver], clock=clock, bounds=bounds_for(), trust_ad=True)


async def _address(resolver: Resolver, name: str) -> str:
    answer = await resolver.ask(name, "A")
    assert isinstance(answer, Found)
    record = answer.records[0]
    assert isinstance(record, A)
    return str(record.address)


async def test_records_are_found(resolver: Resolver) -> None:
    assert await _address(resolver, "HOST.example.") == "192.0.2.1"


async def test_nobody_is_asked_whether_an_invalid_name_exists(
    server: DnsServer, resolver: Resolver
) -> None:
    for name in ("nowhere.invalid", "Invalid", "a.b.invalid."):
        assert await resolver.ask(name, "MX") == Absent(exists=False, authenticated=False)
    assert not server.asked
    assert isinstance(await resolver.ask("invalid.example", "A"), Absent)
    assert server.asked["invalid.example", "A"] == 1


async def test_a_name_server_that_cannot_be_reached_is_told_in_words(clock: Clock) -> None:
    everybody = ("255.255.255.255", 53)  # which no system lets us ask
    resolver = Resolver([everybody], clock=clock, bounds=bounds_for())
    answer = await resolver.ask("host.example", "A")
    assert isinstance(answer, Trouble)
    assert answer.why.startswith("the name server cannot be reached (")
    assert "Error" not in answer.why


async def test_a_cname_is_followed(server: DnsServer, resolver: Resolver) -> None:
    server.add("alias.example", "CNAME", "host.example.")
    assert await _address(resolver, "alias.example") == "192.0.2.1"


async def test_absence_is_told_apart(server: DnsServer, resolver: Resolver) -> None:
    assert await resolver.ask("host.example", "MX") == Absent(exists=True)
    assert await resolver.ask("no.example", "MX") == Absent(exists=False)
    server.add("alias.example", "CNAME", "gone.example.")
    assert await resolver.ask("alias.example", "MX") == Absent(exists=False)


@pytest.mark.parametrize(
    ("manner", "why"),
    [
        (Manner.SERVFAIL, "the server answered SERVFAIL"),
        (Manner.REFUSED, "the server answered REFUSED"),
        (Manner.DROP, "timeout"),
        (Manner.WRONG_ID, "timeout"),
        (Manner.GARBAGE, ""),
        (Manner.RESET, ""),
        (Manner.REFERRAL, "the server answered with a referral"),
    ],
)
async def test_whatever_says_nothing_is_trouble(
    server: DnsServer, clock: Clock, manner: Manner, why: str
) -> None:
    resolver = Resolver([server.nameserver], clock=clock, bounds=bounds_for(manner))
    server.behave("host.example", manner)
    answer = await resolver.ask("host.example", "A")
    assert isinstance(answer, Trouble)
    assert why in answer.why
    assert answer.why


async def test_a_cname_loop_is_trouble(server: DnsServer, resolver: Resolver) -> None:
    server.add("a.example", "CNAME", "b.example.")
    server.add("b.example", "CNAME", "a.example.")
    assert isinstance(await resolver.ask("a.example", "A"), Trouble)


async def test_a_dead_nameserver_is_passed_over(
    server: DnsServer, clock: Clock, free_port: int
) -> None:
    both = [("127.0.0.1", free_port), server.nameserver]
    resolver = Resolver(both, clock=clock, bounds=Bounds(timeout=0.2, lifetime=60.0))
    assert await _address(resolver, "host.example") == "192.0.2.1"


async def test_a_long_answer_comes_over_tcp(server: DnsServer, resolver: Resolver) -> None:
    server.add("many.example", "A", *(f"192.0.2.{n}" for n in range(250)))
    answer = await resolver.ask("many.example", "A")
    assert isinstance(answer, Found)
    assert len(answer.records) == 100
    assert server.asked_tcp["many.example", "A"] == 1


async def test_ad_is_passed_on(server: DnsServer, resolver: Resolver) -> None:
    server.add("signed.example", "A", "192.0.2.2")
    plain = await resolver.ask("host.example", "A")
    server.authenticated = True
    signed = await resolver.ask("signed.example", "A")
    assert isinstance(plain, Found)
    assert isinstance(signed, Found)
    assert (plain.authenticated, signed.authenticated) == (False, True)


async def test_two_hundred_who_ask_at_once_ask_once(server: DnsServer, resolver: Resolver) -> None:
    server.gate.clear()
    askers = [asyncio.create_task(resolver.ask("host.example", "A")) for _ in range(200)]
    await server.until_open(1)
    server.gate.set()
    answers = await asyncio.gather(*askers)
    assert all(isinstance(answer, Found) for answer in answers)
    assert server.asked["host.example", "A"] == 1


async def test_one_who_gives_up_does_not_take_the_answer_away(
    server: DnsServer, resolver: Resolver
) -> None:
    server.gate.clear()
    first = asyncio.create_task(resolver.ask("host.example", "A"))
    second = asyncio.create_task(resolver.ask("host.example", "A"))
    await server.until_open(1)
    first.cancel()
    await asyncio.wait([first])
    assert first.cancelled()
    server.gate.set()
    assert isinstance(await second, Found)
    assert server.asked["host.example", "A"] == 1


async def test_few_questions_are_open_at_once(server: DnsServer, clock: Clock) -> None:
    """Fifty names, three places: the rest wait their turn without counting as timed out."""
    bounds = replace(bounds_for(), concurrency=3)
    resolver = Resolver([server.nameserver], clock=clock, bounds=bounds)
    server.gate.clear()
    askers = [asyncio.create_task(resolver.ask(f"n{n}.example", "A")) for n in range(50)]
    await server.until_open(3)
    server.gate.set()
    assert await asyncio.gather(*askers) == [Absent(exists=False)] * 50
    assert server.most_open == 3


@pytest.mark.parametrize(
    ("ttl", "kept"), [(0, 30.0), (300, 300.0), (86_400, 3_600.0)], ids=["floor", "ttl", "ceiling"]
)
async def test_an_answer_is_kept_for_its_ttl_within_bounds(
    server: DnsServer, resolver: Resolver, clock: Clock, ttl: int, kept: float
) -> None:
    server.add("host.example", "A", "192.0.2.1", ttl=ttl)
    await resolver.ask("host.example", "A")
    clock.now += kept - 1
    await resolver.ask("host.example", "A")
    assert server.asked["host.example", "A"] == 1
    clock.now += 2
    await resolver.ask("host.example", "A")
    assert server.asked["host.example", "A"] == 2


@pytest.mark.parametrize(("name", "rdtype"), [("no.example", "A"), ("host.example", "MX")])
async def test_absence_is_kept_as_the_soa_says(
    server: DnsServer, resolver: Resolver, clock: Clock, name: str, rdtype: str
) -> None:
    """RFC 2308 section 5: the smaller of the SOA's TTL and its minimum, here 60 s."""
    for _ in range(3):
        await resolver.ask(name, rdtype)
    clock.now += 59
    await resolver.ask(name, rdtype)
    assert server.asked[name, rdtype] == 1
    clock.now += 2
    await resolver.ask(name, rdtype)
    assert server.asked[name, rdtype] == 2


async def test_trouble_is_kept_shortly(server: DnsServer, resolver: Resolver, clock: Clock) -> None:
    server.behave("host.example", Manner.SERVFAIL)
    for _ in range(5):
        assert isinstance(await resolver.ask("host.example", "A"), Trouble)
    assert server.asked["host.example", "A"] == 1
    server.behave("host.example", None)
    clock.now += 16
    assert isinstance(await resolver.ask("host.example", "A"), Found)


async def test_the_cache_is_bounded(server: DnsServer, clock: Clock) -> None:
    resolver = Resolver([server.nameserver], clock=clock, bounds=Bounds(cache=2))
    for name in ("a.example", "b.example", "a.example", "c.example", "a.example", "b.example"):
        await resolver.ask(name, "A")
    assert server.asked["a.example", "A"] == 1, "asked for most lately, so it stays"
    assert server.asked["b.example", "A"] == 2, "asked for longest ago, so it went"


async def test_closing_gives_up_what_is_under_way(server: DnsServer, resolver: Resolver) -> None:
    server.gate.clear()
    asker = asyncio.create_task(resolver.ask("host.example", "A"))
    await server.until_open(1)
    await resolver.close()
    await asyncio.wait([asker])
    assert asker.cancelled()


@pytest.mark.parametrize(
    "name",
    ["", ".", "*.example", "a b.example", "-bad.example", "bad-.example", "a..example", "127.0.0.1",
     "[::1]", "::1", "x" * 64 + ".example", "a." * 130 + "example", "nul\0.example", "bü.example",
     "\u212a.example", "line.example\n", "a\\.example"],
)  # fmt: skip
async def test_what_is_no_host_name_is_never_asked(
    server: DnsServer, resolver: Resolver, name: str
) -> None:
    with pytest.raises(ValueError, match="not a host name"):
        await resolver.ask(name, "A")
    assert not server.asked


def test_names_of_the_real_world_pass() -> None:
    for name in ("example.com", "_dmarc.example.com", "xn--bcher-kva.example", "a-b.c--d.e1"):
        assert check_name(name) == name
    assert check_name("Example.COM.") == "example.com"


async def test_trouble_with_one_domain_is_not_our_resolvers(
    server: DnsServer, resolver: Resolver
) -> None:
    server.behave("broken.example", Manner.SERVFAIL)
    assert isinstance(await resolver.ask("broken.example", "MX"), Trouble)
    assert await resolver.at_work()


@pytest.mark.parametrize(
    ("manner", "works"), [(Manner.SERVFAIL, False), (Manner.DROP, False), (Manner.REFUSED, True)]
)
async def test_a_resolver_that_does_not_know_the_root_does_not_work(
    server: DnsServer, clock: Clock, manner: Manner, works: bool
) -> None:
    resolver = Resolver([server.nameserver], clock=clock, bounds=bounds_for(manner))
    server.behave(".", manner)
    assert await resolver.at_work() is works


async def test_whether_the_resolver_works_is_asked_once_for_many_and_again_in_time(
    server: DnsServer, resolver: Resolver, clock: Clock
) -> None:
    server.behave(".", Manner.SERVFAIL)
    assert await asyncio.gather(*(resolver.at_work() for _ in range(50))) == [False] * 50
    assert server.asked[".", "NS"] == 1
    server.behave(".", None)
    assert not await resolver.at_work()
    clock.now += Bounds().trouble
    assert await resolver.at_work()


async def test_a_name_server_that_is_gone_does_not_work(clock: Clock) -> None:
    resolver = Resolver([("127.0.0.1", 1)], clock=clock, bounds=Bounds(timeout=0.2, lifetime=0.5))
    assert not await resolver.at_work()

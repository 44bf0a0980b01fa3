"""Policies of MTA-STS are had once, kept as long as they promise, and never forgotten under attack.

The DNS, the policy host and its certificate are real and on loopback.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_network

import pytest

from analysis.store import StoreUnavailable
from sender.mta_sts import Mode
from sender.resolver import Resolver
from sender.sts_policies import Bounds, Kept, StsPolicies
from sender.tls_report import Failing, TlsReport
from tests.peers.certificates import Certificate, certificate_for
from tests.peers.dns_server import DnsServer, Manner, bounds_for
from tests.peers.policy_host import PolicyHost, policy_text

pytestmark = pytest.mark.anyio

DOMAIN = "example.net"
DAY = 86_400.0
WEEK = 7 * DAY
LOOPBACK = [ip_network("127.0.0.0/8")]


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class MemoryShelf:
    """A shelf that outlives the policies under test, as the database does."""

    rows: dict[str, Kept] = field(default_factory=dict)
    loads: int = 0
    broken: bool = False

    async def load(self, domain: str) -> Kept | None:
        self.loads += 1
        if self.broken:
            raise StoreUnavailable("down")
        return self.rows.get(domain)

    async def save(self, domain: str, kept: Kept) -> None:
        if self.broken:
            raise StoreUnavailable("down")
        self.rows[domain] = kept

    async def stale(self, before: float, now: float) -> list[str]:
        return [domain for domain, kept in self.rows.items() if kept.fetched_at < before]


@dataclass
class World:
    dns: DnsServer
    host: PolicyHost
    clock: Clock
    shelf: MemoryShelf
    report: TlsReport
    certificate: Certificate
    made: list[tuple[StsPolicies, Resolver]] = field(default_factory=list)

    def publish(self, record: str = "1") -> None:
        self.dns.add(f"_mta-sts.{DOMAIN}", "TXT", f'"v=STSv1; id={record};"')
        self.dns.add(f"mta-sts.{DOMAIN}", "A", "127.0.0.1")

    def withdraw(self) -> None:
        self.dns.remove(f"_mta-sts.{DOMAIN}", "TXT")

    def policies(
        self, *, anywhere: bool = True, manner: Manner | None = None, **bounds: object
    ) -> StsPolicies:
        """As a process that has just started sees the world."""
        resolver = Resolver(
            [self.dns.nameserver],
            clock=self.clock,
            bounds=replace(bounds_for(manner), absent_most=60, most=60, trouble=1),
        )
        policies = StsPolicies(
            resolver,
            self.shelf,
            tls=self.certificate.client,
            clock=self.clock,
            report=self.report,
            allowed=LOOPBACK if anywhere else (),
            port=self.host.port,
            bounds=Bounds(**{"fetch": 1.0, **bounds}),  # type: ignore[arg-type]
        )
        self.made.append((policies, resolver))
        return policies

    def failures(self) -> dict[Failing, int]:
        return {row.result: count for row, count in self.report.drain().items()}


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return certificate_for(f"mta-sts.{DOMAIN}")


@pytest.fixture
async def world(certificate: Certificate) -> AsyncIterator[World]:
    clock = Clock()
    async with DnsServer(ttl=30, negative_ttl=30) as dns, PolicyHost(certificate.server) as host:
        host.serve(policy_text("mx.example.net", age=int(WEEK)))
        world = World(dns, host, clock, MemoryShelf(), TlsReport(clock), certificate)
        yield world
        for policies, resolver in world.made:
            await policies.close()
            await resolver.close()


async def settled(policies: StsPolicies) -> None:
    """Wait for looks in the background."""
    await asyncio.gather(*policies._under_way.values(), return_exceptions=True)


async def test_a_domain_without_a_record_costs_one_question(world: World) -> None:
    policies = world.policies()
    for _ in range(100):
        assert await policies.of(DOMAIN) is None
    assert world.dns.asked[f"_mta-sts.{DOMAIN}", "TXT"] == 1
    assert (world.host.asked, world.shelf.loads) == (0, 1)


async def test_a_policy_is_fetched_once_however_many_want_it(world: World) -> None:
    world.publish()
    policies = world.policies()
    found = await asyncio.gather(*(policies.of(DOMAIN) for _ in range(100)))
    assert {policy.mode for policy in found if policy} == {Mode.ENFORCE}
    assert await policies.of(DOMAIN) is not None
    assert world.host.asked == 1
    assert world.host.requests == ["GET /.well-known/mta-sts.txt HTTP/1.1"]


async def test_a_policy_in_force_survives_everything_until_its_time_is_over(world: World) -> None:
    """RFC 8461 section 5.1: with the policy host gone, the record gone, and the process started
    anew."""
    world.publish()
    assert await world.policies().of(DOMAIN) is not None
    world.host.close()
    world.withdraw()
    began = world.clock.now
    for age in (1.0, DAY, 2 * DAY, WEEK - 1):
        world.clock.now = began + age
        restarted = world.policies()
        assert await restarted.of(DOMAIN) is not None, age
        await settled(restarted)
        assert await restarted.of(DOMAIN) is not None, age
    world.clock.now = began + WEEK
    assert await world.policies().of(DOMAIN) is None


@pytest.mark.parametrize("manner", [Manner.SERVFAIL, Manner.DROP, Manner.REFUSED])
async def test_a_silenced_dns_takes_no_policy_away(world: World, manner: Manner) -> None:
    world.publish()
    assert await world.policies().of(DOMAIN) is not None
    world.dns.behave(f"_mta-sts.{DOMAIN}", manner)
    world.clock.now += DAY
    policies = world.policies(manner=manner)
    for _ in range(3):
        assert await policies.of(DOMAIN) is not None
        await settled(policies)
        world.clock.now += 1_000


async def test_a_new_id_whose_policy_cannot_be_had_leaves_the_old_one_in_force(
    world: World,
) -> None:
    """Somebody who forges the record and blocks the policy host gains nothing."""
    world.publish()
    policies = world.policies()
    assert await policies.of(DOMAIN) is not None
    world.publish("2")
    world.host.close()
    for _ in range(5):
        world.clock.now += 901
        assert await policies.of(DOMAIN) is not None
        await settled(policies)
        assert await policies.of(DOMAIN) is not None
    assert world.failures() == {Failing.STS_FETCH: 5}


async def test_a_new_id_brings_the_new_policy_and_nobody_waits_for_it(world: World) -> None:
    world.publish()
    policies = world.policies()
    await policies.of(DOMAIN)
    world.publish("2")
    world.host.serve(policy_text("new.example.net", age=int(WEEK)))
    world.clock.now += 901
    world.host.gate.clear()
    old = await policies.of(DOMAIN)
    world.host.gate.set()
    await settled(policies)
    new = await policies.of(DOMAIN)
    assert old is not None
    assert new is not None
    assert (old.mx, new.mx) == (("mx.example.net",), ("new.example.net",))
    assert world.shelf.rows[DOMAIN].record == "2"


async def test_the_same_id_is_not_fetched_again_within_a_day(world: World) -> None:
    world.publish()
    policies = world.policies()
    for _ in range(20):
        await policies.of(DOMAIN)
        await settled(policies)
        world.clock.now += 1_000
    assert world.host.asked == 1
    world.clock.now += DAY
    await policies.of(DOMAIN)
    await settled(policies)
    assert world.host.asked == 2


async def test_a_policy_that_is_withdrawn_binds_no_more(world: World) -> None:
    """RFC 8461 section 8.3."""
    world.publish()
    policies = world.policies()
    assert await policies.of(DOMAIN) is not None
    world.publish("2")
    world.host.serve(policy_text(mode="none"))
    world.clock.now += 901
    await policies.of(DOMAIN)
    await settled(policies)
    assert await policies.of(DOMAIN) is None
    assert await world.policies().of(DOMAIN) is None


@pytest.mark.parametrize(
    ("serve", "failing"),
    [
        ({"body": "no policy"}, Failing.STS_INVALID),
        ({"body": policy_text("mx.example.net"), "kind": "text/html"}, Failing.STS_INVALID),
        ({"body": policy_text("mx.example.net"), "status": "301 Moved"}, Failing.STS_FETCH),
        ({"body": "x" * 70_000}, Failing.STS_FETCH),
    ],
)
async def test_a_policy_that_cannot_be_had_is_none_at_first_and_reported(
    world: World, serve: dict[str, str], failing: Failing
) -> None:
    """RFC 8461 section 5: mail to such a domain goes as if it had published nothing."""
    world.publish()
    world.host.serve(**serve)
    policies = world.policies()
    assert await policies.of(DOMAIN) is None
    assert await policies.of(DOMAIN) is None
    assert world.failures() == {failing: 1}
    world.clock.now += 301
    world.host.serve(policy_text("mx.example.net"))
    assert await policies.of(DOMAIN) is not None


async def test_a_certificate_that_does_not_hold_is_reported_as_such(world: World) -> None:
    world.publish()
    world.certificate = certificate_for("somebody.example")
    assert await world.policies().of(DOMAIN) is None
    assert world.failures() == {Failing.STS_WEBPKI: 1}
    assert world.host.asked == 0


async def test_a_policy_host_out_of_bounds_is_not_connected_to(world: World) -> None:
    world.publish()
    assert await world.policies(anywhere=False).of(DOMAIN) is None
    assert world.failures() == {Failing.STS_FETCH: 1}
    assert (world.host.asked, world.host.server_names) == (0, [])


async def test_renewal_reaches_domains_that_nobody_writes_to(world: World) -> None:
    """A policy must not run out unseen between two messages, with an attacker in wait."""
    world.publish()
    await world.policies().of(DOMAIN)
    world.clock.now += 2 * DAY
    assert await world.policies().renew() == 1
    assert world.shelf.rows[DOMAIN].fetched_at == world.clock.now
    assert await world.policies().renew() == 0


async def test_with_the_shelf_out_of_reach_nobody_knows_and_nobody_guesses(world: World) -> None:
    world.publish()
    await world.policies().of(DOMAIN)
    world.host.close()
    world.shelf.broken = True
    policies = world.policies()
    with pytest.raises(StoreUnavailable):
        await policies.of(DOMAIN)
    world.shelf.broken = False
    assert await policies.of(DOMAIN) is not None


async def test_a_shelf_that_takes_nothing_leaves_the_policy_in_memory(world: World) -> None:
    policies = world.policies()
    assert await policies.of(DOMAIN) is None
    world.publish()
    world.clock.now += 901
    world.shelf.broken = True
    assert await policies.of(DOMAIN) is not None
    assert world.shelf.rows == {}


async def test_only_so_many_domains_are_remembered(world: World) -> None:
    policies = world.policies(domains=5)
    for number in range(20):
        assert await policies.of(f"d{number}.example") is None
    assert len(policies._known) == 5


async def test_one_who_gives_up_leaves_the_answer_to_the_others(world: World) -> None:
    world.publish()
    world.host.gate.clear()
    policies = world.policies()
    first, second = (asyncio.create_task(policies.of(DOMAIN)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    world.host.gate.set()
    assert await second is not None
    assert world.host.asked == 1


async def test_a_name_too_long_for_a_label_in_front_has_no_policy(world: World) -> None:
    name = ".".join(["a" * 60] * 4) + ".example"
    assert await world.policies().of(name) is None

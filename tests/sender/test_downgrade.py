"""Somebody between us and a mail host takes TLS away: no protected message ever goes in the clear.

The whole way out is real: DNS, policy host, mail host and handshakes on loopback.  What protects a
message: a policy of MTA-STS, one that was cached before everything else was silenced, TLSA records
with AD, or `require_tls`.  Each time a kept connection to the same host lies ready, as weak as the
attack could make it, left by mail to a domain that protects nothing.
"""

from __future__ import annotations

import itertools
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import ip_network

import pytest

from analysis.rulebook import shipped
from analysis.verdict import Category
from sender.connections import Connections
from sender.mta_sts import Mode, Policy
from sender.mx import MailExchange
from sender.resolver import Resolver
from sender.routes import Routes
from sender.smtp import Outcome, Result, TlsPolicy
from sender.sts_policies import Kept, StsPolicies
from sender.tls_report import Failing, Kind, TlsReport
from sender.tls_terms import TlsTerms
from tests.peers.certificates import Certificate, certificate_for
from tests.peers.dns_server import DnsServer, Manner, bounds_for
from tests.peers.policy_host import PolicyHost, policy_text
from tests.peers.scripted_mx import Act, Drop, Raw, Say, ScriptedMX
from tests.sender.ways import PATIENT, Way, reply_of

pytestmark = pytest.mark.anyio

SAFE, OPEN = "safe.example", "open.example"
MX, EVIL = "mx.safe.example", "mx.evil.example"
NOW = 1_800_000_000.0
TRIES = 520


@dataclass(frozen=True)
class Attack:
    """What the mail host looks like from here."""

    script: Mapping[str, Act] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    dns: str = ""


@dataclass
class MemoryShelf:
    rows: dict[str, Kept]

    async def load(self, domain: str) -> Kept | None:
        return self.rows.get(domain)

    async def save(self, domain: str, kept: Kept) -> None:
        self.rows[domain] = kept

    async def stale(self, before: float, now: float) -> list[str]:
        return []


@pytest.fixture(scope="module")
def good() -> Certificate:
    """One authority's word for the mail host and the policy host."""
    return certificate_for(MX, EVIL, f"mta-sts.{SAFE}")


PROTECTIONS = ("sts", "cached sts", "dane", "require_tls")


@asynccontextmanager
async def way_out(
    good: Certificate, mx: ScriptedMX, protection: str, attack: str = ""
) -> AsyncIterator[Way]:
    async with AsyncExitStack() as stack:
        dns = await stack.enter_async_context(DnsServer())
        host = await stack.enter_async_context(PolicyHost(good.server_with_authority()))
        dns.authenticated = True
        dns.add(SAFE, "MX", f"10 {EVIL}." if attack == "another mx" else f"10 {MX}.")
        # the very same host, except where its own TLSA records would protect this domain too
        dns.add(OPEN, "MX", f"10 {MX}." if protection != "dane" else "10 mx.open.example.")
        dns.add("mx.open.example", "A", "127.0.0.1")
        dns.add(MX, "A", "127.0.0.1")
        dns.add(EVIL, "A", "127.0.0.1")
        shelf = MemoryShelf({})
        if protection == "sts":
            dns.add(f"_mta-sts.{SAFE}", "TXT", '"v=STSv1; id=1;"')
            dns.add(f"mta-sts.{SAFE}", "A", "127.0.0.1")
            host.serve(policy_text(MX))
        elif protection == "cached sts":
            host.close()
            dns.behave(f"_mta-sts.{SAFE}", Manner.SERVFAIL)
            shelf.rows[SAFE] = Kept(Policy(Mode.ENFORCE, (MX,), 604_800), "1", NOW - 600_000)
        elif protection == "testing":
            dns.add(f"_mta-sts.{SAFE}", "TXT", '"v=STSv1; id=1;"')
            dns.add(f"mta-sts.{SAFE}", "A", "127.0.0.1")
            host.serve(policy_text(MX, mode="testing"))
        elif protection == "dane":
            dns.add(f"_{mx.port}._tcp.{MX}", "TLSA", f"3 0 1 {sha256(good.der).hexdigest()}")
            if attack == "no tlsa answer":
                dns.behave(f"_{mx.port}._tcp.{MX}", Manner.SERVFAIL)
        resolver = Resolver(
            [dns.nameserver],
            clock=lambda: NOW,
            bounds=bounds_for(),
            trust_ad=protection == "dane",
        )
        report, loopback = TlsReport(lambda: NOW), [ip_network("127.0.0.0/8")]
        policies = StsPolicies(
            resolver, shelf, tls=good.client, clock=lambda: NOW, report=report, allowed=loopback,
            port=host.port,
        )  # fmt: skip
        exchange = MailExchange(resolver, random=lambda: 0.5, allowed=loopback, port=mx.port)
        terms = TlsTerms(resolver, policies, report)
        connections = Connections(
            ehlo_name="mail.example.com", timeouts=PATIENT, tls=good.client, report=report
        )
        stack.push_async_callback(resolver.close)
        stack.push_async_callback(policies.close)
        stack.push_async_callback(connections.close)
        yield Way(Routes(exchange, static=frozenset(), tls=terms), connections, report)


def attacks(good: Certificate) -> Iterator[tuple[str, Attack]]:
    """Every one is turned against every protection it can be turned against."""
    yield "starttls stripped", Attack()
    yield "starttls refused", Attack({"starttls": Say("454 4.7.0 not now")}, good.server)
    yield "starttls refused for good", Attack({"starttls": Say("502 5.5.1 unknown")}, good.server)
    yield "hung up at starttls", Attack({"starttls": Drop()}, good.server)
    yield "no tls spoken", Attack({"tls": Raw(b"220 plain text is fine\r\n")}, good.server)
    yield "reset in the handshake", Attack({"tls": Drop(rst=True)}, good.server)
    yield "another authority", Attack(tls=certificate_for(MX).server)
    yield "expired", Attack(tls=certificate_for(MX, expired=True).server)
    yield "another name", Attack(tls=certificate_for("other.example").server)
    yield "self-signed by the name", Attack(tls=certificate_for(MX, "*.safe.example").server)
    yield "another mx", Attack(tls=good.server)
    yield "no tlsa answer", Attack()


def combinations(good: Certificate) -> list[tuple[str, str, Attack]]:
    pointless = {("dane", "another mx"), ("require_tls", "another mx")}
    pointless |= {(each, "no tlsa answer") for each in PROTECTIONS if each != "dane"}
    return [
        (protection, name, attack)
        for protection in PROTECTIONS
        for name, attack in attacks(good)
        if (protection, name) not in pointless
    ]


async def test_five_hundred_downgrades_and_not_one_message_in_the_clear(
    good: Certificate, seen: Callable[[str], None]
) -> None:
    judge = shipped().classify
    todo, tried = combinations(good), 0
    each = -(-TRIES // len(todo))
    for protection, name, attack in todo:
        async with (
            ScriptedMX(attack.script, tls=attack.tls) as mx,
            way_out(good, mx, protection, name) as way,
        ):
            warm = await way.send(OPEN)
            assert isinstance(warm, Outcome), warm
            assert warm.result is Result.ACCEPTED
            for _ in range(each):
                tried += 1
                got = await way.send(SAFE, require_tls=protection == "require_tls")
                reply = reply_of(got)
                assert reply.code is None or 400 <= reply.code < 600, (protection, name, reply)
                if isinstance(got, Outcome):
                    assert got.result is Result.DEFERRED, (protection, name, reply)
                verdict = judge(reply)
                assert verdict.category is Category.TLS_REQUIRED, (protection, name, reply)
                assert not verdict.suppress
            for taken in mx.received:
                assert taken.rcpts == [f"ann@{OPEN}"], (protection, name)
            assert not any(SAFE in line for line in mx.commands), (protection, name)
    assert tried >= 500
    seen(f"{tried} downgrades, {len(todo)} kinds: in the clear 0")


@pytest.mark.parametrize(
    ("protection", "label"),
    [
        ("sts", TlsPolicy.STS),
        ("cached sts", TlsPolicy.STS),
        ("dane", TlsPolicy.DANE),
        ("require_tls", TlsPolicy.REQUIRED),
        ("none", TlsPolicy.OPPORTUNISTIC),
    ],
)
async def test_without_an_attack_the_mail_goes_on_the_terms_it_was_promised(
    good: Certificate, protection: str, label: TlsPolicy
) -> None:
    async with ScriptedMX(tls=good.server) as mx, way_out(good, mx, protection) as way:
        for again in (False, True):
            got = await way.send(SAFE, require_tls=protection == "require_tls")
            assert isinstance(got, Outcome), got
            assert (got.result, got.tls_version) == (Result.ACCEPTED, "TLSv1.3"), got
            assert (got.tls_policy, got.reused) == (label, again)
            assert got.tls_verified is (protection != "none")
        [(row, sessions)] = way.counted(SAFE).items()
        assert (row.result, row.mx, sessions) == (Failing.OK, MX, 1)
    assert mx.server_names == [MX]


async def test_dane_overrides_what_public_authorities_say(good: Certificate) -> None:
    """RFC 8461 section 2: also where the pinned certificate is expired and by nobody known."""
    own = certificate_for("anything.example", expired=True)
    async with ScriptedMX(tls=own.server) as mx, way_out(own, mx, "dane") as way:
        got = await way.send(SAFE, require_tls=True)
        assert isinstance(got, Outcome), got
        assert (got.result, got.tls_policy) == (Result.ACCEPTED, TlsPolicy.DANE)


RESULTS = {
    "starttls stripped": Failing.NO_STARTTLS,
    "starttls refused": Failing.NO_STARTTLS,
    "no tls spoken": Failing.VALIDATION,
    "another authority": Failing.NOT_TRUSTED,
    "another mx": Failing.VALIDATION,
}


async def test_failures_are_counted_by_their_names_in_rfc_8460(good: Certificate) -> None:
    by_name = dict(attacks(good))
    expired, other = certificate_for(MX, expired=True), certificate_for("other.example")
    for (name, failing), protection in itertools.product(RESULTS.items(), ("sts", "testing")):
        attack = by_name[name]
        async with (
            ScriptedMX(attack.script, tls=attack.tls) as mx,
            way_out(good, mx, protection, name) as way,
        ):
            await way.send(SAFE)
            rows = {(row.kind, row.result): count for row, count in way.counted(SAFE).items()}
            assert rows.pop((Kind.STS, failing)) == 1, (name, protection)
            # a host that the policy in testing does not name is used all the same
            assert set(rows) <= {(Kind.NONE, Failing.OK)}, (name, protection)
    for one, failing in ((expired, Failing.EXPIRED), (other, Failing.HOST_MISMATCH)):
        trusting = Certificate(
            good.server, one.client, good.chain_pem, good.key_pem, one.authority_pem
        )
        async with (
            ScriptedMX(tls=one.server) as mx,
            way_out(trusting, mx, "require_tls") as way,
        ):
            await way.send(SAFE, require_tls=True)
            [(row, count)] = way.counted(SAFE).items()
            assert (row.kind, row.result, count) == (Kind.NONE, failing, 1)


@pytest.mark.parametrize("name", ["starttls stripped", "another authority", "no tls spoken"])
async def test_a_policy_in_testing_reports_and_lets_the_mail_pass(
    good: Certificate, name: str
) -> None:
    """RFC 8461 section 5: testing mode."""
    attack = dict(attacks(good))[name]
    async with (
        ScriptedMX(attack.script, tls=attack.tls) as mx,
        way_out(good, mx, "testing", name) as way,
    ):
        got = await way.send(SAFE)
        assert isinstance(got, Outcome), got
        assert got.result is Result.ACCEPTED
        assert (got.tls_version is not None) == (name == "another authority")
        assert not got.tls_verified
        assert [row.result for row in way.counted(SAFE)] == [RESULTS[name]]


async def test_a_policy_in_testing_that_holds_is_counted_as_good(good: Certificate) -> None:
    async with ScriptedMX(tls=good.server) as mx, way_out(good, mx, "testing") as way:
        got = await way.send(SAFE)
        assert isinstance(got, Outcome), got
        assert (got.result, got.tls_verified) == (Result.ACCEPTED, True)
        [row] = way.counted(SAFE)
        assert (row.kind, row.result) == (Kind.STS, Failing.OK)
        assert mx.connections == 1


async def test_an_authority_that_dane_names_is_found_in_the_chain(good: Certificate) -> None:
    """On Python before 3.13 the chain is read from behind a private attribute."""
    async with (
        ScriptedMX(tls=good.server_with_authority()) as mx,
        DnsServer() as dns,
    ):
        dns.authenticated = True
        dns.add(SAFE, "MX", f"10 {MX}.")
        dns.add(MX, "A", "127.0.0.1")
        record = f"2 0 1 {sha256(good.authority_der).hexdigest()}"
        dns.add(f"_{mx.port}._tcp.{MX}", "TLSA", record)
        resolver = Resolver([dns.nameserver], clock=lambda: NOW, trust_ad=True)
        report, loopback = TlsReport(lambda: NOW), [ip_network("127.0.0.0/8")]
        exchange = MailExchange(resolver, random=lambda: 0.5, allowed=loopback, port=mx.port)
        connections = Connections(ehlo_name="mail.example.com", timeouts=PATIENT, report=report)
        routes = Routes(exchange, static=frozenset(), tls=TlsTerms(resolver, None, report))
        got = await Way(routes, connections, report).send(SAFE)
        await connections.close()
        await resolver.close()
    assert isinstance(got, Outcome), got
    assert (got.result, got.tls_policy, got.tls_verified) == (
        Result.ACCEPTED,
        TlsPolicy.DANE,
        True,
    )

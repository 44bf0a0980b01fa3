"""Policies are asked for where they can count, and what they say reaches the hosts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from analysis.reply import Reply, Stage
from sender.mx import Exchangers
from sender.resolver import Resolver
from sender.smtp import Host, TlsMode
from sender.tls_report import Failing, Kind, TlsReport
from sender.tls_terms import TlsTerms
from tests.peers.dns_server import DnsServer, Manner, bounds_for

pytestmark = pytest.mark.anyio

MX = "mx.example.net"
TLSA = f"_25._tcp.{MX}"
SIGNED = Exchangers(
    "example.net", (Host(MX, "192.0.2.1"),), (MX,), authenticated=True, secure=frozenset({MX})
)


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    async with DnsServer() as server:
        server.authenticated = True
        server.add(TLSA, "TLSA", "3 1 1 " + "ab" * 32)
        yield server


def terms(
    dns: DnsServer,
    *,
    trust_ad: bool = True,
    dane: bool = True,
    manner: Manner | None = None,
) -> TlsTerms:
    resolver = Resolver(
        [dns.nameserver],
        clock=lambda: 0.0,
        bounds=bounds_for(manner),
        trust_ad=trust_ad,
    )
    return TlsTerms(resolver, None, TlsReport(lambda: 0.0), dane=dane)


def mode(answer: Exchangers | Reply) -> TlsMode | None:
    assert isinstance(answer, Exchangers), answer
    return answer.hosts[0].tls.mode if answer.hosts[0].tls else None


async def test_signed_tlsa_records_bind(dns: DnsServer) -> None:
    assert mode(await terms(dns).secure(SIGNED)) is TlsMode.DANE


async def test_records_that_nobody_can_use_still_promise_tls(dns: DnsServer) -> None:
    dns.add(TLSA, "TLSA", "1 1 1 " + "ab" * 32)
    assert mode(await terms(dns).secure(SIGNED)) is TlsMode.REQUIRED


async def test_the_port_is_part_of_the_question(dns: DnsServer) -> None:
    elsewhere = Exchangers(
        "example.net", (Host(MX, "192.0.2.1", 2525),), (MX,), authenticated=True,
        secure=frozenset({MX}),
    )  # fmt: skip
    assert mode(await terms(dns).secure(elsewhere)) is None
    assert dns.asked[f"_2525._tcp.{MX}", "TLSA"] == 1


@pytest.mark.parametrize(
    "found",
    [
        Exchangers("example.net", SIGNED.hosts, (MX,), authenticated=False, secure=frozenset({MX})),
        Exchangers("example.net", SIGNED.hosts, (MX,), authenticated=True, secure=frozenset()),
    ],
    ids=["the MX is not signed", "the address is not signed"],
)
async def test_without_signatures_on_the_way_there_nothing_is_asked(
    dns: DnsServer, found: Exchangers
) -> None:
    """RFC 7672 section 2.2.1: servers of unsigned zones often fail on TLSA questions."""
    assert mode(await terms(dns).secure(found)) is None
    assert dns.asked[TLSA, "TLSA"] == 0


async def test_ad_counts_only_where_the_operator_trusts_it(dns: DnsServer) -> None:
    assert mode(await terms(dns, trust_ad=False).secure(SIGNED)) is None
    assert mode(await terms(dns, dane=False).secure(SIGNED)) is None


async def test_records_without_signatures_are_none(dns: DnsServer) -> None:
    dns.authenticated = False
    assert mode(await terms(dns).secure(SIGNED)) is None


async def test_no_records_are_no_policy(dns: DnsServer) -> None:
    dns.remove(TLSA, "TLSA")
    assert mode(await terms(dns).secure(SIGNED)) is None


@pytest.mark.parametrize("manner", [Manner.SERVFAIL, Manner.DROP, Manner.REFUSED])
async def test_no_sure_answer_puts_the_mail_off(dns: DnsServer, manner: Manner) -> None:
    """RFC 7672 section 2.1.2: whether there are records is what an attacker would hide."""
    dns.behave(TLSA, manner)
    asked = terms(dns, manner=manner)
    answer = await asked.secure(SIGNED)
    assert isinstance(answer, Reply)
    assert (answer.code, answer.enhanced, answer.stage) == (None, "4.7.5", Stage.STARTTLS)
    [(row, count)] = asked.report.drain().items()
    assert (row.kind, row.result, row.mx, count) == (Kind.TLSA, Failing.DNSSEC_INVALID, MX, 1)


async def test_a_resolver_elsewhere_is_not_trusted() -> None:
    far = [("127.0.0.1", 53), ("192.0.2.53", 53)]
    assert not Resolver(far, clock=lambda: 0.0, trust_ad=True).trusted
    assert Resolver([("127.0.0.1", 53), ("::1", 53)], clock=lambda: 0.0, trust_ad=True).trusted


async def test_a_hundred_messages_ask_once(dns: DnsServer) -> None:
    asked = terms(dns)
    for _ in range(100):
        assert mode(await asked.secure(SIGNED)) is TlsMode.DANE
    assert dns.asked[TLSA, "TLSA"] == 1

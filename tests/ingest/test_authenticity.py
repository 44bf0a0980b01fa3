"""Whose a report is: what a real DNS says of the keys, and what is done while it says nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from analysis.facts import Kind, Reading
from analysis.rulebook import shipped
from carom import aggregating
from ingest import authenticity
from ingest.authenticity import FIRST, LATER, MOST_OPEN, MOST_TRIED, PATIENCE, Later, ask_again
from ingest.parse import read_mail
from sender.resolver import Bounds, Resolver
from tests.ingest.aggregate_files import (
    dmarc_report,
    dmarc_xml,
    mail,
    packed,
    tls_json,
    tls_mail,
    tls_report,
)
from tests.ingest.signed import House, rsa
from tests.ingest.test_dkim import expiring
from tests.peers.dns_server import DnsServer, Manner
from tests.storing import NOW

pytestmark = pytest.mark.anyio

REPORTER = House("example.net")
FORGER = House("evil.example", keys=rsa(1_024, 666))
DMARC = mail(packed(dmarc_xml(dmarc_report()), "gzip"))
TLS = tls_mail(packed(tls_json(tls_report()), "gzip"))


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as a slow machine needs."""
    monkeypatch.setattr(authenticity, "HASTE", 60.0)


class World:
    """A DNS and who asks it."""

    def __init__(self, dns: DnsServer, resolver: Resolver) -> None:
        self.dns = dns
        self.asking = aggregating.authenticity(resolver)

    async def signer(self, *contents: bytes, received: float = NOW) -> str | Later:
        return (await self.signers(*contents, received=received))[0]

    async def signers(self, *contents: bytes, received: float = NOW) -> list[str | Later]:
        return await self.asking.signers([(read(content), received) for content in contents])


@asynccontextmanager
async def world(bounds: Bounds | None = None) -> AsyncIterator[World]:
    async with DnsServer() as dns:
        resolver = Resolver([dns.nameserver], clock=time.monotonic, bounds=bounds)
        found = World(dns, resolver)
        try:
            yield found
        finally:
            await found.asking.close()
            await resolver.close()


def read(content: bytes) -> Reading:
    return read_mail(content, shipped())


def by(author: str, content: bytes = DMARC) -> bytes:
    """The report from another author."""
    head, _, rest = content.partition(b"From: ")
    return head + b"From: " + author.encode() + b"\r\n" + rest.partition(b"\r\n")[2]


async def test_a_report_that_its_sender_signed_is_his() -> None:
    async with world() as at:
        at.dns.add(*REPORTER.zone())
        assert await at.signer(REPORTER.signed(DMARC)) == "example.net"
        assert await at.signer(REPORTER.signed(TLS)) == "example.net"


async def test_an_unsigned_report_is_nobodys_and_nobody_is_asked() -> None:
    async with world() as at:
        assert await at.signer(DMARC) == ""
        assert not at.dns.asked


async def test_a_house_signs_for_its_subdomains_and_they_for_it() -> None:
    below = House("mail.example.net")
    async with world() as at:
        at.dns.add(*REPORTER.zone())
        at.dns.add(*below.zone())
        assert await at.signer(below.signed(by("reports@example.net"))) == "example.net"
        assert await at.signer(REPORTER.signed(by("r@dmarc.mail.example.net"))) == "example.net"


@pytest.mark.parametrize(
    "author",
    [
        "reports@example.org",
        '"reports@evil.example" <reports@example.org>',
        "<a@evil.example>, <b@example.org>",
        "reports@evil.example, reports@example.org",
        "evil.example",
        "",
    ],
)
async def test_who_signs_with_a_domain_of_his_own_is_nobody_else(author: str) -> None:
    async with world() as at:
        at.dns.add(*FORGER.zone())
        assert await at.signer(FORGER.signed(by(author))) == ""
        assert not at.dns.asked, "what proves nothing is not asked for"


async def test_a_forged_signature_is_none() -> None:
    forged = House("example.net", "s1", FORGER.keys)
    other = House("example.net", "gone", FORGER.keys)
    async with world() as at:
        at.dns.add(*REPORTER.zone())
        assert await at.signer(REPORTER.signed(DMARC) + b"more") == ""
        assert await at.signer(other.signed(DMARC)) == "", "no such selector"
        assert await at.signer(forged.signed(DMARC)) == "", "another key"
        assert await at.signer(forged.signed(REPORTER.signed(DMARC))) == "example.net"


async def test_of_a_tls_report_the_submitter_must_have_signed() -> None:
    named = TLS.replace(b"From:", b"TLS-Report-Submitter: Example.NET\r\nFrom:", 1)
    sent = by("Reports <tls@relay.example>", named)
    relay = House("relay.example")
    async with world() as at:
        at.dns.add(*REPORTER.zone(s="tlsrpt"))
        at.dns.add(*relay.zone())
        assert await at.signer(REPORTER.signed(sent)) == "example.net"
        assert await at.signer(relay.signed(sent)) == ""
        assert await at.signer(REPORTER.signed(DMARC)) == "", "a key for TLS reports alone"


async def test_a_replayed_signature_ends_with_its_time() -> None:
    signature = expiring(REPORTER, int(NOW), content=DMARC)
    async with world() as at:
        at.dns.add(*REPORTER.zone())
        assert await at.signer(signature, received=NOW) == "example.net"
        assert await at.signer(signature, received=NOW + 1) == ""


@pytest.mark.parametrize("manner", [Manner.SERVFAIL, Manner.REFUSED])
async def test_what_the_dns_cannot_say_now_is_asked_later(manner: Manner) -> None:
    async with world(Bounds(trouble=0.0)) as at:
        at.dns.add(*REPORTER.zone())
        at.dns.behave(REPORTER.name, manner)
        assert await at.signer(REPORTER.signed(DMARC)) is LATER
        at.dns.behave(REPORTER.name, None)
        assert await at.signer(REPORTER.signed(DMARC)) == "example.net"


async def test_another_signature_that_holds_makes_up_for_one_nobody_can_tell_of() -> None:
    silent = House("example.net", "silent")
    async with world() as at:
        at.dns.add(*REPORTER.zone())
        at.dns.behave(silent.name, Manner.SERVFAIL)
        assert await at.signer(silent.signed(REPORTER.signed(DMARC))) == "example.net"


async def test_a_dns_that_stalls_holds_a_batch_up_for_a_moment_and_is_heard_the_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(authenticity, "HASTE", 0.05)
    async with world() as at:
        at.dns.add(*REPORTER.zone())
        at.dns.gate.clear()
        content = REPORTER.signed(DMARC)
        assert await at.signers(content, DMARC) == [LATER, ""]
        at.dns.gate.set()
        while await at.signer(content) is LATER:
            pass
        assert at.dns.asked[REPORTER.name, "TXT"] == 1


async def test_strangers_whose_servers_stall_leave_the_resolver_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(authenticity, "HASTE", 0.5)
    houses = [House("example.net", f"s{n}") for n in range(3 * MOST_OPEN)]
    async with world() as at:
        at.dns.gate.clear()
        asking = asyncio.create_task(at.signers(*(one.signed(DMARC) for one in houses)))
        await at.dns.until_open(MOST_OPEN)
        assert await asking == [LATER] * len(houses)
        assert at.dns.most_open == MOST_OPEN


async def test_a_morning_full_of_reports_is_judged_at_once() -> None:
    houses = [House("example.net", f"s{n}") for n in range(3 * MOST_OPEN)]
    async with world() as at:
        for one in houses:
            at.dns.add(*one.zone())
        signed = [one.signed(DMARC) for one in houses * 2]
        assert await at.signers(*signed) == ["example.net"] * len(signed)
        assert at.dns.asked.total() == len(houses), "each key once"
        assert at.dns.most_open <= MOST_OPEN


async def test_a_report_with_many_signatures_is_asked_for_a_few() -> None:
    content = DMARC
    for number in range(MOST_TRIED + 2):
        content = House("example.net", f"s{number}").signed(content)
    async with world() as at:
        at.dns.add("example.net", "A", "192.0.2.1")
        assert await at.signer(content) == ""
        assert at.dns.asked.total() == MOST_TRIED


def test_a_report_is_read_again_ever_later_and_not_for_ever() -> None:
    at, times = NOW, 0
    while (again := ask_again(NOW, at)) is not None:
        assert again - at >= FIRST
        at, times = again, times + 1
    assert times <= 8
    assert at - NOW > PATIENCE


def test_only_reports_have_their_signatures_read() -> None:
    reading = read(REPORTER.signed(b"From: a@example.net\r\nSubject: Hi\r\n\r\nHello.\r\n"))
    assert (reading.kind, reading.signing.signatures) == (Kind.NORMAL, ())

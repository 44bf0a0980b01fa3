"""DANE with DNSSEC for real: nsd serves signed zones of ours, unbound validates and sets AD."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from ipaddress import ip_network

import pytest

from analysis.reply import Stage
from sender.connections import Connections
from sender.mx import MailExchange
from sender.resolver import Absent, Found, Resolver
from sender.routes import Routes
from sender.smtp import Outcome, Result, TlsPolicy
from sender.tls_report import Failing, Kind, TlsReport
from sender.tls_terms import TlsTerms
from tests.peers.certificates import Certificate, certificate_for
from tests.peers.scripted_mx import ScriptedMX
from tests.sender.ways import PATIENT, Way, reply_of
from tests.servers.signed_dns import SignedDns

pytestmark = pytest.mark.anyio

Start = Callable[..., SignedDns]


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    """By an authority that nobody knows; it names only the hosts of `ta`."""
    return certificate_for("ta.signed.example")


def zones(mx: ScriptedMX, certificate: Certificate) -> dict[str, dict[str, str]]:
    own = f"3 0 1 {sha256(certificate.der).hexdigest()}"
    authority = f"2 0 1 {sha256(certificate.authority_der).hexdigest()}"
    at = f"_{mx.port}._tcp"
    signed = f"""
        @ MX 10 ee
        ee A 127.0.0.1
        {at}.ee TLSA {own}
        byauthority MX 10 ta
        ta A 127.0.0.1
        {at}.ta TLSA {authority}
        rolled MX 10 pinned
        pinned A 127.0.0.1
        {at}.pinned TLSA 3 1 1 {"ab" * 32}
        without MX 10 open
        open A 127.0.0.1
        away MX 10 mx.plain.example.
        noname MX 10 other
        other A 127.0.0.1
        {at}.other TLSA {authority}
    """
    plain = f"""
        @ MX 10 mx
        mx A 127.0.0.1
        {at}.mx TLSA 3 1 1 {"ab" * 32}
        hosted MX 10 pinned.signed.example.
    """
    lines = {"signed.example": signed, "plain.example": plain}
    texts = {name: "\n".join(map(str.strip, text.splitlines())) for name, text in lines.items()}
    return {
        "signed": {"signed.example": texts["signed.example"]},
        "plain": {"plain.example": texts["plain.example"]},
        "broken": {"broken.example": f"@ MX 10 mx\nmx A 127.0.0.1\n{at}.mx TLSA {own}"},
    }


@asynccontextmanager
async def way_out(dns: SignedDns, mx: ScriptedMX, *, trust_ad: bool = True) -> AsyncIterator[Way]:
    resolver = Resolver([dns.nameserver], clock=time.monotonic, trust_ad=trust_ad)
    report, loopback = TlsReport(time.time), [ip_network("127.0.0.0/8")]
    exchange = MailExchange(resolver, random=lambda: 0.5, allowed=loopback, port=mx.port)
    connections = Connections(ehlo_name="mail.example.com", timeouts=PATIENT, report=report)
    terms = TlsTerms(resolver, None, report)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(resolver.close)
        stack.push_async_callback(connections.close)
        yield Way(Routes(exchange, static=frozenset(), tls=terms), connections, report)


@pytest.mark.parametrize(
    ("domain", "policy", "verified"),
    [
        ("signed.example", TlsPolicy.DANE, True),
        ("byauthority.signed.example", TlsPolicy.DANE, True),
        ("without.signed.example", TlsPolicy.OPPORTUNISTIC, False),  # proven to have none
        ("away.signed.example", TlsPolicy.OPPORTUNISTIC, False),  # its host's zone is not signed
        ("plain.example", TlsPolicy.OPPORTUNISTIC, False),
        ("hosted.plain.example", TlsPolicy.OPPORTUNISTIC, False),  # its MX is not signed
    ],
)
async def test_mail_goes_on_the_terms_that_signatures_vouch_for(
    start_signed_dns: Start,
    certificate: Certificate,
    domain: str,
    policy: TlsPolicy,
    verified: bool,
) -> None:
    async with ScriptedMX(tls=certificate.server_with_authority()) as mx:
        dns = start_signed_dns(**zones(mx, certificate))
        async with way_out(dns, mx) as way:
            got = await way.send(domain)
            assert isinstance(got, Outcome), got
            assert (got.result, got.tls_policy) == (Result.ACCEPTED, policy), got
            assert (got.tls_verified, got.tls_version) == (verified, "TLSv1.3")


async def test_what_dane_forbids_is_put_off_and_never_sent_in_the_clear(
    start_signed_dns: Start, certificate: Certificate
) -> None:
    async with (
        ScriptedMX(tls=certificate.server_with_authority()) as mx,
        ScriptedMX() as stripped,
    ):
        dns = start_signed_dns(**zones(mx, certificate))
        async with way_out(dns, mx) as way:
            rolled = reply_of(await way.send("rolled.signed.example"))
            noname = reply_of(await way.send("noname.signed.example"))
            broken = reply_of(await way.send("broken.example"))
            for reply in (rolled, noname):
                assert (reply.code, reply.enhanced, reply.stage) == (None, "4.7.5", Stage.STARTTLS)
                assert "DANE" in reply.text
            assert (broken.enhanced, broken.stage) == ("4.4.3", Stage.DNS)
            counted = {(row.domain, row.kind, row.result) for row in way.report.drain()}
            assert counted == {
                ("rolled.signed.example", Kind.TLSA, Failing.NOT_TRUSTED),
                ("noname.signed.example", Kind.TLSA, Failing.HOST_MISMATCH),
            }
            assert mx.received == []
        stripped_dns = start_signed_dns(**zones(stripped, certificate))
        async with way_out(stripped_dns, stripped) as way:
            for domain in ("signed.example", "byauthority.signed.example"):
                reply = reply_of(await way.send(domain))
                assert (reply.code, reply.enhanced) == (None, "4.7.4")
            assert stripped.received == []


async def test_ad_is_set_on_what_is_signed_and_believed_only_when_told_to(
    start_signed_dns: Start, certificate: Certificate
) -> None:
    async with ScriptedMX(tls=certificate.server) as mx:
        dns = start_signed_dns(**zones(mx, certificate))
        tlsa = f"_{mx.port}._tcp.ee.signed.example"
        trusting = Resolver([dns.nameserver], clock=time.monotonic, trust_ad=True)
        for name, kind in (("signed.example", "MX"), ("ee.signed.example", "A"), (tlsa, "TLSA")):
            answer = await trusting.ask(name, kind)
            assert isinstance(answer, Found)
            assert answer.authenticated, name
        for name, kind in (("plain.example", "MX"), ("mx.plain.example", "A")):
            answer = await trusting.ask(name, kind)
            assert isinstance(answer, Found)
            assert not answer.authenticated, name
        none = await trusting.ask("nobody.signed.example", "MX")
        assert none == Absent(exists=False, authenticated=True)
        await trusting.close()
        async with way_out(dns, mx, trust_ad=False) as way:
            got = await way.send("rolled.signed.example")
            assert isinstance(got, Outcome)
            assert (got.result, got.tls_policy) == (Result.ACCEPTED, TlsPolicy.OPPORTUNISTIC)

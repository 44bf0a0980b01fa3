"""Our own TLS reports: who asks for them, what they say, once a domain a day, TLS or not."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import dns.rdata
import pytest
from dns.rdataclass import IN
from dns.rdatatype import TXT
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from analysis.address import parse
from analysis.facts import Kind
from analysis.lifecycle import Fact
from analysis.reply import Reply, Stage
from analysis.rulebook import shipped
from analysis.schema import messages, tls_reports_sent
from analysis.store import Store
from ingest import tlsrpt
from ingest.containers import unpack
from ingest.parse import read_mail
from sender.compose import Origin
from sender.intake import Intake, Terms
from sender.mta_sts import Mode, Policy
from sender.ready import accept, read
from sender.resolver import Resolver
from sender.signing import body_hash
from sender.tls_report import DAY, PROBE, Failing, Row
from sender.tls_report import Kind as PolicyKind
from sender.tls_report_file import Reporter, content, mail, report_id
from sender.tls_reporting import AGAIN, TlsReporting
from sender.tls_rua import asked
from sender.tls_store import add_results, forget
from sender.tokens import Key, Tokens
from tests.peers.dns_server import DnsServer, Manner
from tests.peers.scripted_mx import ScriptedMX
from tests.sender.posting import OneWay, attempts, connections, way_to
from tests.storing import NOW, claimed, new_id, rows, sent_to

DAY_PAST = int(NOW // DAY) - 1
NOON = (DAY_PAST + 1) * DAY + DAY / 2
OURS = Reporter("Example Shop", "example.com", "postmaster@example.com")
STS = Policy(Mode.ENFORCE, ("*.example.net",), 86_400)


def records(*texts: str) -> list[dns.rdata.Rdata]:
    return [dns.rdata.from_text(IN, TXT, f'"{text}"') for text in texts]


@pytest.mark.parametrize(
    ("texts", "mail", "https"),
    [
        (["v=TLSRPTv1; rua=mailto:a@example.net"], ["a@example.net"], []),
        (["v=TLSRPTv1;rua=mailto:a@example.net"], ["a@example.net"], []),
        (["v=spf1 -all", "v=TLSRPTv1; rua=mailto:a@example.net;"], ["a@example.net"], []),
        (
            ["v=TLSRPTv1; rua=https://t.example.net/r, mailto:a%2Bb@example.net"],
            ["a+b@example.net"],
            ["https://t.example.net/r"],
        ),
        (["v=TLSRPTv1; rua=mailto:nobody, ftp://x, http://t.example.net"], [], []),
        (["v=TLSRPTv1; rua=mailto:a@example.net", "v=TLSRPTv1; rua=mailto:b@example.net"], [], []),
        (["v=TLSRPTv2; rua=mailto:a@example.net"], [], []),
        (["v=TLSRPTv1"], [], []),
        ([], [], []),
    ],
)
def test_who_takes_reports_is_what_the_only_record_says(
    texts: list[str], mail: list[str], https: list[str]
) -> None:
    found = asked(records(*texts))
    assert [one.wire for one in found.mail] == mail
    assert list(found.https) == https


@given(
    st.text(
        st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\'), max_size=200
    )
)
def test_any_record_is_read(text: str) -> None:
    assert len(asked(records(f"v=TLSRPTv1; rua={text}")).mail) <= 3


_counts = st.dictionaries(
    st.builds(
        Row,
        st.just(DAY_PAST),
        st.just("example.net"),
        st.sampled_from(PolicyKind),
        st.sampled_from(["", "mx1.example.net", "mx2.example.net"]),
        st.sampled_from(Failing),
    ),
    st.integers(1, 10_000),
    min_size=1,
    max_size=20,
)


@given(_counts)
def test_what_is_reported_is_what_was_counted(counts: dict[Row, int]) -> None:
    [file] = unpack(content(OURS, "example.net", DAY_PAST, counts, STS))
    report = tlsrpt.read(file).report
    assert (report.origin.begin, report.origin.end) == (DAY_PAST * DAY, DAY_PAST * DAY + DAY - 1)
    assert report.origin.report_id == report_id(OURS, "example.net", DAY_PAST)
    told: dict[tuple[str, str], int] = {}
    for row in report.rows:
        told[row.policy, row.result] = told.get((row.policy, row.result), 0) + row.sessions
    wanted: dict[tuple[str, str], int] = {}
    for counted, sessions in counts.items():
        result = "success" if counted.result is Failing.OK else counted.result.value
        key = (counted.kind.value, result)
        wanted[key] = wanted.get(key, 0) + sessions
    assert told == wanted


def test_the_mail_is_one_that_our_own_intake_and_reader_take() -> None:
    packed = content(OURS, "example.net", DAY_PAST, {ROW: 3}, None)
    to = (parse("tls@example.net"), parse("more@example.org"))
    ready = mail(OURS, "example.net", DAY_PAST, to, packed)
    composed = accept(read(ready), Origin(new_id(), "example.com", "tls-reports", "bulk", NOW))
    assert composed.subject.startswith("Report Domain: example.net Submitter: example.com")
    assert body_hash(composed.content).value
    reading = read_mail(composed.content, shipped())
    assert (reading.kind, reading.error) == (Kind.TLS_RPT, None)
    assert ready == mail(OURS, "example.net", DAY_PAST, to, packed)


ROW = Row(DAY_PAST, "example.net", PolicyKind.STS, "mx.example.net", Failing.OK)


class Quiet:
    def submitted(self, *_: object) -> None:
        """Nobody counts."""


class Bench:
    """The duty on a store and a DNS server of the test's own."""

    def __init__(self, store: Store, dns_server: DnsServer, **other: Any) -> None:
        self.resolver = Resolver([dns_server.nameserver], clock=lambda: 0.0)
        self.intake = Intake(
            store,
            Tokens([Key("1", b"k" * 32)]),
            Terms("bounces.example.com", {"bulk": DAY}, {}, DAY),
            clock=lambda: NOON,
            new_id=new_id,
            observer=Quiet(),
            wake=lambda: None,
        )
        self.duty = TlsReporting(store, self.resolver, self.intake.accept, OURS, **other)

    async def __aenter__(self) -> TlsReporting:
        return self.duty

    async def __aexit__(self, *_: object) -> None:
        await self.intake.close()
        await self.resolver.close()


async def counted(store: Store, *domains: str) -> None:
    found = {replace(ROW, domain=domain): len(domains) - n for n, domain in enumerate(domains)}
    await store.write(lambda tx: add_results(tx, found))


def _forget_what_was_sent(tx: Connection) -> None:
    tx.execute(tls_reports_sent.delete())


async def done(store: Store) -> dict[str, str]:
    return {row["domain"]: row["how"] for row in await rows(store, tls_reports_sent)}


RUA = '"v=TLSRPTv1; rua=mailto:tls@example.net"'


@pytest.mark.anyio
async def test_two_nodes_and_a_crash_in_between_send_one_report(store: Store) -> None:
    await counted(store, "example.net", "silent.example", "*")
    async with DnsServer() as server:
        server.add("_smtp._tls.example.net", "TXT", RUA)
        async with Bench(store, server) as one, Bench(store, server) as two:
            await asyncio.gather(one.do(NOON), two.do(NOON))
            # as if the node had died before it wrote down what it had handed in
            await store.write(_forget_what_was_sent)
            await two.do(NOON + 900)
    assert len(await rows(store, messages)) == 1
    assert await done(store) == {"example.net": "mail", "silent.example": "none"}


@pytest.mark.anyio
async def test_nothing_goes_out_before_the_day_is_settled(store: Store) -> None:
    await counted(store, "example.net")
    async with DnsServer() as server, Bench(store, server) as duty:
        await duty.do((DAY_PAST + 1) * DAY + duty.starts - 1)
        assert await done(store) == {}
        assert duty.starts < 5 * 3_600
        await duty.do((DAY_PAST + 1) * DAY + duty.starts)
        assert await done(store) == {"example.net": "none"}


@pytest.mark.anyio
async def test_as_many_reports_go_out_as_may_and_the_busiest_first(store: Store) -> None:
    names = [f"d{n}.example.net" for n in range(6)]
    await counted(store, *names)
    async with DnsServer() as server:
        for name in names:
            server.add(f"_smtp._tls.{name}", "TXT", RUA)
        async with Bench(store, server, most=4) as duty:
            for _ in range(3):
                await duty.do(NOON)
    assert await done(store) == dict.fromkeys(names[:4], "mail")


@pytest.mark.anyio
async def test_a_domain_whose_dns_fails_is_asked_again_later(store: Store) -> None:
    await counted(store, "example.net")
    async with DnsServer() as server:
        server.behave("_smtp._tls.example.net", Manner.SERVFAIL)
        async with Bench(store, server) as duty:
            await duty.do(NOON)
            assert await done(store) == {"example.net": "failed"}
            asks = server.asked["_smtp._tls.example.net", "TXT"]
            await duty.do(NOON + 900)
            assert server.asked["_smtp._tls.example.net", "TXT"] == asks
        server.behave("_smtp._tls.example.net", None)
        async with Bench(store, server) as duty:
            await duty.do(NOON + AGAIN)
            assert server.asked["_smtp._tls.example.net", "TXT"] > asks


@pytest.mark.anyio
async def test_a_report_is_posted_where_that_is_asked_for(store: Store) -> None:
    await counted(store, "example.net")
    posted: list[tuple[str, bytes]] = []

    async def post(url: str, report: bytes) -> None:
        posted.append((url, report))

    async with DnsServer() as server:
        server.add("_smtp._tls.example.net", "TXT", '"v=TLSRPTv1; rua=https://t.example.net/r"')
        async with Bench(store, server, post=post) as duty:
            await duty.do(NOON)
    [(url, report)] = posted
    assert url == "https://t.example.net/r"
    assert tlsrpt.looks_like(unpack(report)[0])
    assert await done(store) == {"example.net": "https"}


@pytest.mark.anyio
async def test_what_was_sent_is_forgotten_with_the_counts(store: Store) -> None:
    await counted(store, "example.net")
    async with DnsServer() as server, Bench(store, server) as duty:
        await duty.do(NOON)
    await store.write(lambda tx: forget(tx, NOON + 30 * DAY))
    assert await done(store) == {}


NO_TLS = Reply(None, "4.7.5", "MTA-STS: the certificate has expired", Stage.STARTTLS)


@pytest.mark.anyio
@pytest.mark.parametrize(("probe", "fact"), [(PROBE, Fact.ACCEPTED), (None, Fact.PUT_OFF)])
async def test_a_report_is_delivered_where_a_policy_forbids_all_else(
    store: Store, probe: str | None, fact: Fact
) -> None:
    await sent_to(store, "tls@example.net", probe=probe)
    [claim] = await claimed(store)
    assert claim.probe == probe
    async with ScriptedMX() as mx, connections() as wires:
        made = attempts(store, OneWay(NO_TLS), wires, undeterred=way_to(mx), clock=lambda: NOW)
        record = await made.attempt(claim)
    assert record.fact is fact

"""The doctor before a real nsd: a right zone is all well, each wrong one is named and mended."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from analysis.examined import CHECKS
from sender import doctor
from sender.blocklists import Blocklist
from sender.dkim_keys import KeyKind, dns_record
from sender.doctor.asking import Desk
from sender.doctor.examine import Tools, examine
from sender.doctor.finding import Finding, State, as_json, checks, codes
from sender.doctor.ours import Ours, PublishedKey
from sender.doctor.spf_check import evaluate
from sender.resolver import Bounds, Resolver
from sender.sources import Source
from tests.peers.certificates import certificate_for
from tests.peers.policy_host import PolicyHost, policy_text
from tests.peers.scripted_mx import ScriptedMX
from tests.sender import doctor_world as world
from tests.sender.doctor_world import DAY, NOW, Lines, key, our_listener, ours, quoted, tools, zone
from tests.servers import signed_dns
from tests.servers.signed_dns import SignedDns

pytestmark = [pytest.mark.anyio, pytest.mark.dnssec]

OTHER = dns_record(key(KeyKind.ED25519))
RECORD = dns_record(key())
DKIM = "s1._domainkey TXT"


@dataclass(frozen=True)
class Case:
    """Lines of the zone that differ, what differs of ours, what is found and part of its mend."""

    name: str
    code: str
    mend: str
    lines: Lines = field(default_factory=dict)
    ours: Callable[[str], dict[str, Any]] = lambda _: {}


def dkim(value: str, *more: str) -> Lines:
    lines = "\n".join(f"{DKIM} {quoted(one)}" for one in (value, *more))
    return {"dkim": lines}


def spf(value: str) -> Lines:
    return {"spf": f'bounces TXT "{value}"'}


def dmarc(value: str) -> Lines:
    return {"dmarc": f'_dmarc TXT "{value}"'}


def included(count: int) -> Lines:
    names = " ".join(f"include:i{n}" + ".lookups.example" for n in range(count))
    more = "\n".join(f'i{n} TXT "v=spf1 ip4:198.20.9.{n} ~all"' for n in range(count))
    return {"spf": f"bounces TXT {quoted(f'v=spf1 {names} ~all')}", "included": more}


def with_key(**changes: Any) -> Callable[[str], dict[str, Any]]:
    return lambda domain: {"keys": (PublishedKey(domain, "s1", key(), **changes),)}


def sent_from(address: str) -> Callable[[str], dict[str, Any]]:
    return lambda _: {"sources": (Source(address),)}


CASES = [
    Case("nomx", "mx.absent", "bounces.nomx.example. 3600 IN MX 10 mta.", {"mx": None}),
    Case("nullmx", "mx.null", "IN MX 10 mta.nullmx.example.", {"mx": "bounces MX 0 ."}),
    Case(
        "elsewhere",
        "mx.elsewhere",
        "[reputation] addresses",
        {"mx": "bounces MX 10 old.elsewhere.example.", "old": "old A 127.0.0.2"},
        lambda _: {"allowed": (ip_network("127.0.0.0/8"),)},
    ),
    Case(
        "partly",
        "mx.partly",
        "Remove these MX",
        {"more": "bounces MX 20 old\nold A 127.0.0.2"},
        lambda _: {"allowed": (ip_network("127.0.0.0/8"),)},
    ),
    Case("noaddress", "mx.no_address", "mx.noaddress.example. 3600 IN A", {"mx-host": None}),
    Case("private", "mx.private", "public address", {"mx-host": "mx A 10.0.0.1"}),
    Case("metadata", "mx.private", "public address", {"mx-host": "mx A 169.254.169.254"}),
    Case("literal", "mx.no_host", "never an address", {"mx": "bounces MX 10 127.0.0.1."}),
    Case(
        "manymx",
        "mx.many",
        "Keep a few",
        {"more": "\n".join(f"bounces MX {n} h{n}" for n in range(20, 60))},
    ),
    Case("nospf", "spf.none", 'IN TXT "v=spf1 ip4:198.20.0.1 ~all"', {"spf": None}),
    Case("twospf", "spf.two", "Keep one", {"more": 'bounces TXT "v=spf1 mx ~all"'}),
    Case("othersource", "spf.refused", "Add ip4:198.20.0.1", spf("v=spf1 ip4:198.20.0.9 -all")),
    Case("softfail", "spf.refused", "Add ip4:198.20.0.1", spf("v=spf1 ip4:198.20.0.9 ~all")),
    Case("neutral", "spf.neutral", "Add ip4:198.20.0.1", spf("v=spf1 ip4:198.20.0.9 ?all")),
    Case("typo", "spf.error", "v=spf1 ip4:198.20.0.1", spf("v=spf1 ipv4:198.20.0.1 -all")),
    Case("openspf", "spf.open", "~all", spf("v=spf1 +all")),
    Case("lookups", "spf.lookups", "10 lookups", included(12)),
    Case(
        "manyspf",
        "spf.many",
        "before one of them grows",
        {
            "spf": 'bounces TXT "v=spf1 '
            + " ".join(f"a:a{n}.manyspf.example" for n in range(9))
            + ' ip4:198.20.0.1 ~all"',
            "more": "\n".join(f"a{n} A 198.20.9.{n}" for n in range(9)),
        },
    ),
    Case("loop", "spf.error", "Mend the record", spf("v=spf1 include:bounces.loop.example ~all")),
    Case(
        "void",
        "spf.lookups",
        "2 of them empty",
        spf("v=spf1 a:x1.void.example a:x2.void.example a:x3.void.example -all"),
    ),
    Case("helo", "spf.helo", "mta.helo.example.", {"helo": 'mta TXT "v=spf1 -all"'}),
    Case("nodkim", "dkim.absent", "s1._domainkey.nodkim.example. 3600 IN TXT", {"dkim": None}),
    Case("twodkim", "dkim.two", "Keep only", dkim(RECORD, OTHER)),
    Case("otherkey", "dkim.mismatch", "Publish ours", dkim(RECORD.replace("MII", "MIJ"))),
    Case("otherkind", "dkim.kind", "k=rsa", dkim(OTHER)),
    Case("revoked", "dkim.revoked", "carom keys dkim new", dkim("v=DKIM1; k=rsa; p=")),
    Case("testing", "dkim.testing", "Take t=y out", dkim(f"{RECORD}; t=y")),
    Case("sha1", "dkim.hash", "Take h= out", dkim(f"{RECORD}; h=sha1")),
    Case("service", "dkim.service", "Take s= out", dkim(f"{RECORD}; s=tlsrpt")),
    Case("nonsense", "dkim.syntax", "without other quotes", dkim("our key is very good")),
    Case("quotes", "dkim.syntax", "without other quotes", dkim("\\034v=DKIM1\\034; p")),
    Case("version", "dkim.syntax", "Publish it as it is", dkim(RECORD.replace("DKIM1", "DKIM2"))),
    Case("waiting", "dkim.waiting", "activate s1", {"dkim": None}, with_key(state="waiting")),
    Case("ready", "dkim.ready", "", {}, with_key(state="waiting")),
    Case("keep", "dkim.keep", "", {}, with_key(state="retired", since=NOW - DAY)),
    Case(
        "early",
        "dkim.early",
        "Publish it again",
        {"dkim": None},
        with_key(state="retired", since=NOW - DAY),
    ),
    Case(
        "late",
        "dkim.remove",
        "carom keys dkim forget s1",
        {},
        with_key(state="retired", since=NOW - 30 * DAY),
    ),
    Case("old", "dkim.old", "carom keys dkim new", {}, with_key(since=NOW - 400 * DAY)),
    Case("nokey", "dkim.none", "carom keys dkim new", {}, lambda _: {"keys": ()}),
    Case("nodmarc", "dmarc.absent", '"v=DMARC1; p=none; rua=mailto:dmarc', {"dmarc": None}),
    Case("twodmarc", "dmarc.two", "Keep one", {"more": '_dmarc TXT "v=DMARC1; p=none"'}),
    Case("baddmarc", "dmarc.syntax", "v=DMARC1; p=none", dmarc("v=DMARC1; p=refuse")),
    Case(
        "watching",
        "dmarc.watching",
        "p=quarantine",
        dmarc("v=DMARC1; p=none; rua=mailto:dmarc-reports@bounces.watching.example"),
    ),
    Case("norua", "dmarc.no_reports", "dmarc-reports@bounces.norua", dmarc("v=DMARC1; p=reject")),
    Case(
        "rua",
        "dmarc.reports_elsewhere",
        "rua=d@else.example,mailto:dmarc-reports@bounces.rua.example",
        dmarc("v=DMARC1; p=reject; rua=mailto:d@else.example"),
    ),
    Case("pct", "dmarc.partly", "pct=", dmarc("v=DMARC1; p=reject; pct=20")),
    Case(
        "strict",
        "dmarc.dkim_only",
        "below strict.example",
        dmarc("v=DMARC1; p=reject; aspf=s"),
    ),
    Case(
        "unaligned",
        "dmarc.unaligned",
        "carom keys dkim new --domain unaligned.example",
        {},
        lambda _: {
            "keys": (PublishedKey("other.example", "s1", key()),),
            "default": "other.example",
            "bounces": "bounces.other.example",
        },
    ),
    Case(
        "unauthorised",
        "dmarc.unauthorised",
        "unauthorised.example._report._dmarc.bounces.other.example",
        dmarc("v=DMARC1; p=reject; rua=mailto:dmarc-reports@bounces.other.example"),
        lambda _: {
            "bounces": "bounces.other.example",
            "dmarc_reports": "dmarc-reports@bounces.other.example",
        },
    ),
    Case("badsts", "mta_sts.syntax", "v=STSv1", {"more": '_mta-sts.bounces TXT "v=STSv1; id=a b"'}),
    Case(
        "nosts",
        "mta_sts.unreachable",
        "https://mta-sts.bounces.nosts.example",
        {"more": '_mta-sts.bounces TXT "v=STSv1; id=1"'},
    ),
    Case("notlsrpt", "tls_rpt.absent", "v=TLSRPTv1", {"tls-rpt": None}),
    Case("badtlsrpt", "tls_rpt.syntax", "v=TLSRPTv1", {"tls-rpt": '_smtp._tls.bounces TXT "TLS"'}),
    Case(
        "tlsrpt",
        "tls_rpt.elsewhere",
        "tls-reports@bounces.tlsrpt.example",
        {"tls-rpt": '_smtp._tls.bounces TXT "v=TLSRPTv1; rua=mailto:t@else.example"'},
    ),
    Case(
        "noptr",
        "reverse_dns.absent",
        "9.0.20.198.in-addr.arpa. 3600 IN PTR mta.noptr.example.",
        {},
        sent_from("198.20.0.9"),
    ),
    Case(
        "unconfirmed",
        "reverse_dns.unconfirmed",
        "IN A 198.20.0.2",
        {},
        sent_from("198.20.0.2"),
    ),
    Case(
        "generic",
        "reverse_dns.generic",
        "IN PTR mta.generic.example.",
        {"more": "ip-198-20-0-3 A 198.20.0.3"},
        sent_from("198.20.0.3"),
    ),
    Case("ehlo", "reverse_dns.ehlo_absent", "mta.ehlo.example. 3600 IN A", {"mta": None}),
    Case("ehloother", "reverse_dns.ehlo_other", "IN A 198.20.0.1", {"mta": "mta A 198.20.0.7"}),
    Case(
        "ehlolocal",
        "reverse_dns.ehlo_local",
        "[sender] hostname",
        {},
        lambda _: {"hostname": "localhost"},
    ),
    Case("nosource", "spf.no_sources", "[reputation] addresses", {}, lambda _: {"sources": ()}),
]
POINTERS = """\
1 PTR mta.right.example.
2 PTR mta.right.example.
3 PTR ip-198-20-0-3.generic.example.
"""


@pytest.fixture(scope="module")
def dns() -> Iterator[SignedDns]:
    """One nsd with the zones of all cases, behind unbound."""
    if reason := signed_dns.missing():
        pytest.skip(reason)
    zones = {f"{case.name}.example": zone(case.name, case.lines) for case in CASES}
    zones |= {f"{name}.example": zone(name, {}) for name in ("right", "other")}
    zones["sts.example"] = zone("sts", STS)
    zones["bl.example"] = "2.0.0.127 A 127.0.0.2\n1.0.20.198 A 127.0.0.2"
    with SignedDns(signed={}, plain={**zones, world.REVERSE: POINTERS}) as server:
        yield server


STS = {
    "more": '_mta-sts.bounces TXT "v=STSv1; id=1"\nmta-sts.bounces A 127.0.0.1',
}


@pytest.fixture
async def resolver(dns: SignedDns) -> AsyncIterator[Resolver]:
    made = Resolver(
        [dns.nameserver], clock=time.monotonic, bounds=Bounds(timeout=2.0, lifetime=4.0)
    )
    yield made
    await made.close()


async def look(mine: Ours, with_: Tools) -> dict[str, list[Finding]]:
    return await examine(mine, with_, NOW)


def amiss(findings: dict[str, list[Finding]]) -> list[str]:
    return [f.code for those in findings.values() for f in those if f.state is not State.OK]


async def test_a_right_zone_is_all_well(resolver: Resolver) -> None:
    async with our_listener("right") as port:
        findings = await look(ours("right"), tools("right", resolver, port=port))
    assert amiss(findings) == ["blocklists.none"]
    assert [one.code for those in findings.values() for one in those][:4] == [
        "mx.ok",
        "listener.ok",
        "outbound.ok",
        "spf.ok",
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_wrong_zone_is_found_with_its_mend(case: Case, resolver: Resolver) -> None:
    mine = ours(case.name, **case.ours(f"{case.name}.example"))
    with_ = tools(case.name, resolver)
    findings = await look(mine, with_)
    of_check = findings[case.code.partition(".")[0]]
    assert case.code in [one.code for one in of_check], [one.seen() for one in of_check]
    (one, *_) = [one for one in of_check if one.code == case.code]
    assert case.mend in one.mend()
    assert "{" not in one.seen() + one.seen("zh") + one.mend("zh")


def test_twenty_and_more_wrong_zones_are_tried() -> None:
    assert len({case.code for case in CASES}) >= 45


async def test_a_listener_of_somebody_else_is_not_taken_for_ours(resolver: Resolver) -> None:
    async with ScriptedMX() as stranger:
        findings = await look(ours("right"), tools("right", resolver, port=stranger.port))
    assert [one.code for one in findings["listener"]] == ["listener.trusting"]


async def test_a_listener_with_other_keys_is_found(resolver: Resolver) -> None:
    async with our_listener("right") as port:
        with_ = tools("right", resolver, port=port, tokens=world.STRANGERS)
        findings = await look(ours("right"), with_)
    assert [one.code for one in findings["listener"]] == ["listener.stranger"]
    assert "[tokens] keys" in findings["listener"][0].mend()


async def test_a_closed_port_is_a_failure_both_ways(resolver: Resolver) -> None:
    findings = await look(ours("right"), tools("right", resolver, port=1))
    assert [one.code for one in findings["listener"]] == ["listener.refused"]
    assert [one.code for one in findings["outbound"]] == ["outbound.blocked"]


async def test_a_listener_without_tls_is_a_warning(resolver: Resolver) -> None:
    async with our_listener("right", tls=False) as port:
        findings = await look(ours("right"), tools("right", resolver, port=port))
    assert [one.code for one in findings["listener"]] == ["listener.ok", "listener.no_tls"]


async def test_a_source_address_that_is_not_ours_is_found(resolver: Resolver) -> None:
    async with our_listener("right") as port:
        mine = ours("right", routed=(Source("198.20.0.1"), Source("127.0.0.1")))
        findings = await look(mine, tools("right", resolver, port=port))
    assert [one.code for one in findings["outbound"]] == ["outbound.source", "outbound.ok"]


async def test_a_blocklist_is_asked_for_addresses_and_domains(resolver: Resolver) -> None:
    lists = (
        Blocklist(
            "ours",
            "bl.example",
            ("ip",),
            "https://bl.example/remove",
            "127.0.0.2",
            "127.0.0.1",
            codes={"127.0.0.2": "spam"},
        ),
    )
    findings = await look(ours("right"), tools("right", resolver, lists=lists))
    [listed] = findings["blocklists"]
    assert (listed.code, listed.subject) == ("blocklists.listed", world.ADDRESS)
    assert "https://bl.example/remove" in listed.mend()


@pytest.mark.parametrize(
    ("policy", "offers_tls", "code"),
    [
        (policy_text("mx.sts.example"), True, "mta_sts.ok"),
        (policy_text("mx.sts.example"), False, "mta_sts.no_tls"),
        (policy_text("*.other.example"), True, "mta_sts.mx"),
        ("version: STSv2\n", True, "mta_sts.policy"),
    ],
)
async def test_a_policy_is_fetched_and_judged(
    policy: str, offers_tls: bool, code: str, resolver: Resolver
) -> None:
    certificate = certificate_for("mta-sts.bounces.sts.example")
    async with PolicyHost(certificate.server) as host:
        host.serve(policy)
        with_ = tools("sts", resolver)
        trusting = type(with_.policy_host)(certificate.client, host.port, 2.0)
        with_ = Tools(with_.resolver, with_.exchange, with_.errand, trusting)
        findings = await look(ours("sts", offers_tls=offers_tls), with_)
    assert [one.code for one in findings["mta_sts"]] == [code]


async def test_a_policy_of_ours_under_an_old_id_is_told(resolver: Resolver) -> None:
    certificate = certificate_for("mta-sts.bounces.sts.example")
    policy = policy_text("mx.sts.example")
    async with PolicyHost(certificate.server) as host:
        host.serve(policy)
        with_ = tools("sts", resolver)
        trusting = type(with_.policy_host)(certificate.client, host.port, 2.0)
        with_ = Tools(with_.resolver, with_.exchange, with_.errand, trusting)
        mine = ours("sts", offers_tls=True, sts_policy=policy, sts_id="9f2")
        findings = await look(mine, with_)
    assert [one.code for one in findings["mta_sts"]] == ["mta_sts.ok", "mta_sts.stale_id"]
    assert 'IN TXT "v=STSv1; id=9f2"' in findings["mta_sts"][1].mend()


async def test_a_dead_dns_is_unknown_and_never_a_pass() -> None:
    silent = Resolver(
        [("127.0.0.1", 9)], clock=time.monotonic, bounds=Bounds(timeout=0.2, lifetime=0.4)
    )
    findings = await look(ours("right"), tools("right", silent))
    await silent.close()
    told = {check: [f.code for f in those] for check, those in findings.items()}
    for check in ("mx", "spf", "dkim", "mta_sts", "tls_rpt", "reverse_dns"):
        assert all(code.endswith(".trouble") for code in told[check]), told[check]
    assert "dmarc.trouble" in told["dmarc"]
    assert told["listener"] == ["listener.nobody"]


async def test_what_does_not_end_in_time_is_unknown(resolver: Resolver) -> None:
    with_ = tools("right", resolver)
    hasty = Tools(with_.resolver, with_.exchange, with_.errand, with_.policy_host, seconds=0.0)
    findings = await look(ours("right"), hasty)
    those = {check: [one.code for one in found] for check, found in findings.items()}
    assert those.pop("blocklists") == ["blocklists.none"]  # nobody is asked
    assert those == {check: [f"{check}.late"] for check in those}


async def test_spf_is_read_as_receivers_read_it(resolver: Resolver) -> None:
    read = await evaluate(
        Desk(resolver), world.ADDRESS, "bounces.right.example", "mta.right.example"
    )
    assert (read.result, read.lookups) == ("pass", 0)


def test_every_finding_has_its_words_in_both_languages() -> None:
    texts = (Path(doctor.__file__).parent.parent / "doctor.toml").read_text(encoding="utf-8")
    values = dict.fromkeys(re.findall(r"\{([a-z_]+)\}", texts), "x")
    for code in codes():
        one = Finding(code, "subject", values)
        told = as_json(one)
        assert told["seen"]["en"]
        assert told["seen"]["zh"]
        assert told["why"]["zh"]
        assert (told["mend"] is None) == (one.state is State.OK) or code == "limits.unknown"
    assert checks() == CHECKS

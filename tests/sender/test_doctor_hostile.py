"""Hostile zones: whatever the DNS says, an examination ends soon, calls nobody inside and tells of
it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from sender.doctor.examine import MOST, examine
from sender.doctor.finding import State, as_json
from sender.doctor.ours import PublishedKey
from sender.doctor.reverse import pointer_name
from sender.resolver import Bounds, Resolver
from sender.sources import Source
from tests.peers.dialled import connections
from tests.peers.dns_server import DnsServer, Manner
from tests.sender.doctor_world import ADDRESS, NOW, key, ours, quoted, tools

pytestmark = pytest.mark.anyio

NAME = "hostile"
DOMAIN = f"{NAME}.example"
BOUNCES = f"bounces.{DOMAIN}"
TEXTS = (
    BOUNCES,
    f"mta.{DOMAIN}",
    f"s1._domainkey.{DOMAIN}",
    f"_dmarc.{DOMAIN}",
    f"_mta-sts.{BOUNCES}",
    f"_smtp._tls.{BOUNCES}",
)
QUESTIONS = 800
RECEIVER = ("127.0.0.1", 1)  # where `tools` sends calls to receivers
Attack = Callable[[DnsServer], None]


def text(*records: str) -> Attack:
    """The same text wherever one is read."""

    def attack(dns: DnsServer) -> None:
        for name in TEXTS:
            dns.add(name, "TXT", *records)

    return attack


def manner(how: Manner) -> Attack:
    def attack(dns: DnsServer) -> None:
        for name in (*TEXTS, pointer_name(ADDRESS), f"mx.{DOMAIN}"):
            dns.behave(name, how)

    return attack


def mx(*records: str, **addresses: str) -> Attack:
    def attack(dns: DnsServer) -> None:
        dns.add(BOUNCES, "MX", *records)
        for name, address in addresses.items():
            dns.add(f"{name}.{DOMAIN}", "AAAA" if ":" in address else "A", address)

    return attack


def led_to(address: str) -> Attack:
    return mx(f"1 x.{DOMAIN}.", x=address)


def pointer(*names: str) -> Attack:
    return lambda dns: dns.add(pointer_name(ADDRESS), "PTR", *names)


def chunks(octets: int, head: str = "", fill: str = "a") -> str:
    """One TXT of so many octets, in strings of 255."""
    whole = head + fill * (octets - len(head))
    return " ".join(f'"{whole[at : at + 255]}"' for at in range(0, octets, 255))


def aliases_in_a_circle(dns: DnsServer) -> None:
    for name in TEXTS:
        dns.add(name, "CNAME", f"circle.{DOMAIN}.")
    dns.add(f"circle.{DOMAIN}", "CNAME", f"back.{DOMAIN}.")
    dns.add(f"back.{DOMAIN}", "CNAME", f"circle.{DOMAIN}.")


def aliases_without_end(dns: DnsServer) -> None:
    for n in range(60):
        dns.add(f"a{n}.{DOMAIN}", "CNAME", f"a{n + 1}.{DOMAIN}.")
    for name in TEXTS:
        dns.add(name, "CNAME", f"a0.{DOMAIN}.")


def includes_without_end(dns: DnsServer) -> None:
    dns.add(BOUNCES, "TXT", f'"v=spf1 include:i0.{DOMAIN} -all"')
    for n in range(100):
        dns.add(f"i{n}.{DOMAIN}", "TXT", f'"v=spf1 include:i{n + 1}.{DOMAIN} -all"')


def includes_by_the_hundred(dns: DnsServer) -> None:
    """Each include has ten more: 10^10 questions for who counts wrongly."""
    tens = " ".join(f"include:t{n}.{DOMAIN}" for n in range(10))
    for name in (BOUNCES, *(f"t{n}.{DOMAIN}" for n in range(10))):
        dns.add(name, "TXT", quoted(f"v=spf1 {tens} -all"))


def mx_mechanisms_by_the_hundred(dns: DnsServer) -> None:
    """Ten lookups of ten hosts each, none of which is there."""
    dns.add(
        BOUNCES, "TXT", '"v=spf1 ' + " ".join(f"mx:m{n}.{DOMAIN}" for n in range(10)) + ' -all"'
    )
    for n in range(10):
        hosts = [f"{k} h{n}-{k}.{DOMAIN}." for k in range(10)]
        dns.add(f"m{n}.{DOMAIN}", "MX", *hosts)


def silent_includes(dns: DnsServer) -> None:
    names = [f"s{n}.{DOMAIN}" for n in range(9)]
    terms = " ".join(f"include:{name}" for name in names)
    dns.add(BOUNCES, "TXT", quoted(f"v=spf1 {terms} -all"))
    for name in names:
        dns.behave(name, Manner.DROP)


def spf(record: str) -> Attack:
    return lambda dns: dns.add(BOUNCES, "TXT", f'"{record}"')


ATTACKS: dict[str, Attack] = {
    "servfail": manner(Manner.SERVFAIL),
    "refused": manner(Manner.REFUSED),
    "silence": manner(Manner.DROP),
    "garbage": manner(Manner.GARBAGE),
    "wrong ids": manner(Manner.WRONG_ID),
    "referrals": manner(Manner.REFERRAL),
    "truncated and reset": manner(Manner.RESET),
    "alias circle": aliases_in_a_circle,
    "alias chain": aliases_without_end,
    "empty text": text('""'),
    "NUL octets": text('"v=DKIM1\\000; p=\\000\\000"'),
    "control and escape": text('"\\027[31mred\\007\\013"'),
    "not UTF-8": text('"v=spf1 \\255\\254\\192 -all"'),
    "Unicode tricks": text('"v=DMARC1; p=none; rua=mailto:\\226\\128\\174x@y"'),
    "semicolons": text(chunks(4_000, "v=DKIM1;", ";")),
    "equals signs": text(chunks(4_000, "v=DMARC1;p=", "=")),
    "60 kB": text(chunks(60_000)),
    "60 kB of SPF": text(chunks(60_000, "v=spf1 ", "a")),
    "60 kB of DKIM": text(chunks(60_000, "v=DKIM1; k=rsa; p=", "A")),
    "60 kB of DMARC": text(chunks(60_000, "v=DMARC1; p=none; rua=", ",")),
    "60 kB of TLS-RPT": text(chunks(60_000, "v=TLSRPTv1; rua=", ",")),
    "60 kB of MTA-STS": text(chunks(60_000, "v=STSv1;", ";")),
    "hundreds of texts": text(*(f'"v=spf1 ip4:198.20.1.{n % 250} -all {n}"' for n in range(400))),
    "braces": text('"v=DKIM1; p={record}{0}{why.__class__}; k={kind}"'),
    "percent and huge pct": text('"v=DMARC1; p=none; pct=99999999999999999999999999999"'),
    "huge tags": text('"v=DKIM1; k=rsa; h=' + ":".join(["x"] * 100) + '; p=AAAA"'),
    "SPF without end": includes_without_end,
    "SPF by the hundred": includes_by_the_hundred,
    "SPF MX by the hundred": mx_mechanisms_by_the_hundred,
    "SPF of silence": silent_includes,
    "SPF macros": spf("v=spf1 exists:%{ir}.%{l1r-}.%{d99}.%{h}.%{p}.%{o}.x -all"),
    "SPF wrong macros": spf("v=spf1 exists:%{ %{x} %{ir.%(} redirect=%{d} exp=%{p} -all"),
    "SPF redirect to itself": spf(f"v=spf1 redirect={BOUNCES}"),
    "SPF ptr": spf("v=spf1 ptr:%{p} ptr ptr:x.example -all"),
    "SPF odd prefixes": spf("v=spf1 ip4:1.2.3.4/99 ip6:::/999 a//0 mx/33//129 -all"),
    "thousands of MX": mx(*(f"{n % 65_536} h{n}.{DOMAIN}." for n in range(2_500))),
    "MX to loopback": led_to("127.0.0.2"),
    "MX to metadata": led_to("169.254.169.254"),
    "MX to a private network": led_to("192.168.1.1"),
    "MX to NAT64 loopback": led_to("64:ff9b::7f00:1"),
    "MX to mapped loopback": led_to("::ffff:127.0.0.1"),
    "MX that is an address": mx("1 127.0.0.1.", "2 localhost.", "3 ."),
    "MX with odd labels": mx("1 \\000\\255.example.", "2 a\\.b.example.", "3 *.example."),
    "many PTR": pointer(*(f"p{n}.{DOMAIN}." for n in range(500))),
    "odd PTR": pointer("\\<script\\>alert\\(1\\).example.", "\\000.", "."),
    "PTR to loopback": pointer("localhost.", "127.0.0.1."),
}


def test_forty_attacks_and_more_are_tried() -> None:
    assert len(ATTACKS) >= 40


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
async def test_an_attack_is_survived_with_a_bounded_number_of_questions(
    attack: Attack, seen: Callable[[str], None]
) -> None:
    async with DnsServer() as dns:
        dns.add(BOUNCES, "MX", f"10 mx.{DOMAIN}.")
        dns.add(f"mta.{DOMAIN}", "A", ADDRESS)
        attack(dns)
        resolver = Resolver(
            [dns.nameserver], clock=time.monotonic, bounds=Bounds(timeout=0.2, lifetime=0.4)
        )
        mine = ours(
            NAME,
            sources=(Source(ADDRESS),),
            keys=(PublishedKey(DOMAIN, "s1", key()),),
            allowed=(),  # as in the real world: nothing of ours may be called
        )
        with connections() as begun:
            findings = await examine(mine, tools(NAME, resolver, seconds=0.3), NOW)
        await resolver.close()
    called = {address for _, address in begun}
    assert RECEIVER in called, "the watch sees nothing"
    assert called <= {dns.nameserver, RECEIVER}
    # each has its bound of time, so a bound on their number is one on the whole
    assert sum(dns.asked.values()) + sum(dns.asked_tcp.values()) < QUESTIONS
    for check, those in findings.items():
        assert 0 < len(those) <= MOST, check
        for one in those:
            told = str(as_json(one))
            assert len(told) < 12_000
            assert not set(told) & set(map(chr, range(32)))
    states = {one.state for one in [*findings["spf"], *findings["mx"], *findings["reverse_dns"]]}
    assert states != {State.OK}, "nothing was found amiss"
    assert "listener.ok" not in [one.code for one in findings["listener"]]
    seen(
        f"{len(ATTACKS)} hostile zones: forbidden connections 0, each told of, "
        f"questions fewer than {QUESTIONS}"
    )

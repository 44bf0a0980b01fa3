"""Whether we stand on a blocklist: names as RFC 5782 asks for them, answers by the list's senses.

A real nsd behind a real unbound serves the zones; what no server says is read without one.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from sender.blocklists import Blocklist, Blocklists, Checked, kind_of, read, shipped
from sender.resolver import Absent, Found, Resolver, Trouble
from tests.peers.dns_server import DnsServer, Manner
from tests.servers.signed_dns import SignedDns

pytestmark = pytest.mark.anyio

ZEN = shipped()["spamhaus-zen"]
OURS = Blocklist(
    "ours",
    "bl.example",
    ("ip", "domain"),
    "https://bl.example/remove",
    "127.0.0.2",
    "127.0.0.1",
    codes={"127.0.0.2": "spam", "127.0.0.4": "an open relay"},
    refusals={"127.255.255.254": "asked through a public resolver"},
)


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("192.0.2.99", "99.2.0.192.bl.example"),
        ("example.com", "example.com.bl.example"),
        (
            "2001:db8:1:2:3:4:567:89ab",
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example",
        ),  # RFC 5782 section 2.4
    ],
)
def test_a_subject_is_asked_for_under_its_name(subject: str, name: str) -> None:
    assert OURS.question(subject) == name


def test_a_list_is_not_asked_for_what_it_cannot_know() -> None:
    with pytest.raises(ValueError, match="lists no domain"):
        ZEN.question("example.com")


def found(*codes: str) -> Found:
    return Found(tuple(codes))  # type: ignore[arg-type]  # only their text is read


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        (found("127.0.0.2"), "listed", "SBL"),
        (found("127.0.0.10"), "listed", "PBL"),
        (found("127.0.0.2", "127.0.0.4"), "listed", "XBL"),
        (found("127.255.255.254"), "unsure", "public resolver"),
        (found("127.255.255.255"), "unsure", "too many"),
        (found("127.255.255.252"), "unsure", "mistyped"),
        (found("192.0.2.7"), "unsure", "no listing known"),  # a parked zone answers anything
        (found("127.0.0.200"), "unsure", "no listing known"),
        (Absent(exists=False), "clear", ""),
        (Absent(exists=True), "clear", ""),
        (Trouble("timeout"), "unsure", "timeout"),
    ],
)
def test_answers_are_read_by_the_lists_own_senses(
    answer: Found | Absent | Trouble, state: str, words: str
) -> None:
    said = read(ZEN, answer)
    assert said[0] == state
    assert words in said[1]


def test_bits_are_senses_too_and_a_refusal_is_none() -> None:
    uribl = shipped()["uribl"]
    assert uribl.sense("127.0.0.6") == "black: spam; grey: bulk mail that some do not want"
    assert uribl.sense("127.0.0.1") is None
    assert read(uribl, found("127.0.0.1"))[0] == "unsure"


@pytest.mark.parametrize("one", shipped().values(), ids=lambda one: one.name)
def test_shipped_lists_hold_together(one: Blocklist) -> None:
    assert one.codes or one.bits
    assert not set(one.codes) & set(one.refusals)
    assert one.remove.startswith("https://")
    assert set(one.kinds) <= {"ip", "domain"}
    assert one.question(one.test_listed) != one.question(one.test_clear)
    assert kind_of(one.test_listed) in ("ip", "domain")


ZONE = """\
2.0.0.127 A 127.0.0.2
4.2.0.192 A 127.0.0.4
b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2 A 127.0.0.2
bad.example A 127.0.0.2
8.2.0.192 A 127.255.255.254
"""


async def checked(resolver: Resolver, lists: list[Blocklist], *subjects: str) -> dict[str, Checked]:
    found = await Blocklists(resolver, lists).check(subjects)
    return {f"{one.list} {one.subject}": one for one in found}


async def test_zones_of_a_real_server_are_read(
    start_signed_dns: Callable[..., SignedDns],
) -> None:
    dns = start_signed_dns(
        signed={"bl.example": ZONE},
        plain={"dead.example": "x A 127.0.0.2", "all.example": "* A 127.0.0.2"},
    )
    resolver = Resolver([dns.nameserver], clock=time.monotonic)
    lists = [OURS, replace(OURS, name="dead", zone="dead.example")]
    lists.append(replace(OURS, name="all", zone="all.example"))
    found = await checked(
        resolver,
        lists,
        "192.0.2.4",
        "192.0.2.5",
        "192.0.2.8",
        "2001:db8:1:2:3:4:567:89ab",
        "bad.example",
        "good.example",
    )
    await resolver.close()
    states = {name: one.state for name, one in found.items() if one.list == "ours"}
    assert states == {
        "ours 192.0.2.4": "listed",
        "ours 192.0.2.5": "clear",
        "ours 192.0.2.8": "unsure",
        "ours 2001:db8:1:2:3:4:567:89ab": "listed",
        "ours bad.example": "listed",
        "ours good.example": "clear",
    }
    assert found["ours 192.0.2.4"].said == "127.0.0.4 an open relay"
    others = {one.state for one in found.values() if one.list != "ours"}
    assert others == {"unsure"}
    assert "test entry is not listed" in found["dead 192.0.2.4"].said
    assert "never listed" in found["all 192.0.2.5"].said


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    async with DnsServer() as server:
        yield server


async def test_a_resolver_that_the_list_refuses_finds_nothing_out(server: DnsServer) -> None:
    server.add("2.0.0.127.bl.example", "A", "127.255.255.254")
    resolver = Resolver([("127.0.0.1", server.port)], clock=time.monotonic)
    [one] = (await checked(resolver, [OURS], "192.0.2.4")).values()
    await resolver.close()
    assert one.state == "unsure"
    assert "public resolver" in one.said


async def test_a_list_that_does_not_answer_has_lifted_nobody(server: DnsServer) -> None:
    server.behave("2.0.0.127.bl.example", Manner.SERVFAIL)
    resolver = Resolver([("127.0.0.1", server.port)], clock=time.monotonic)
    [one] = (await checked(resolver, [OURS], "192.0.2.4")).values()
    await resolver.close()
    assert one.state == "unsure"

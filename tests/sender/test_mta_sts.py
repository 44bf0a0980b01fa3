"""Policies and records of MTA-STS are read as RFC 8461 has them, and nothing else is."""

from __future__ import annotations

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.mta_sts import MAX_AGE, MAX_PATTERNS, MIN_AGE, Mode, Policy, read_policy, record_id
from tests.peers.policy_host import policy_text


def _txt(*texts: str) -> list[dns.rdata.Rdata]:
    return [dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.TXT, text) for text in texts]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (['"v=STSv1; id=20260101T000000;"'], "20260101T000000"),
        (['"v=STSv1;id=1"'], "1"),
        (['"v=STSv1 ; ext=x; id=a1; more=y"'], "a1"),
        (['"v=STSv1; i" "d=split1;"'], "split1"),
        (['"v=spf1 -all"', '"v=STSv1; id=2;"'], "2"),
        (['"v=STSv1; id=1;"', '"v=STSv1; id=2;"'], None),
        (['"v=STSv1; id=;"'], None),
        (['"v=STSv1; id=has space;"'], None),
        (['"v=STSv1;"'], None),
        (['"v=STSv12; id=1;"'], None),
        (['" v=STSv1; id=1;"'], None),
        ([f'"v=STSv1; id={"a" * 33};"'], None),
        ([], None),
    ],
)
def test_the_record_s_id(texts: list[str], expected: str | None) -> None:
    assert record_id(_txt(*texts)) == expected


def test_a_policy_in_either_line_end_with_fields_nobody_knows() -> None:
    text = policy_text("mx1.example.net", "*.Mail.Example.NET.", age=604_800)
    expected = Policy(Mode.ENFORCE, ("mx1.example.net", "*.mail.example.net"), 604_800)
    assert read_policy(text.encode()) == expected
    assert read_policy(text.replace("\r\n", "\n").encode() + b"later: field\n\n") == expected


def test_the_first_of_a_doubled_field_counts() -> None:
    text = policy_text("mx.example.net", mode="testing") + "mode: enforce\r\nmax_age: 1\r\n"
    policy = read_policy(text.encode())
    assert (policy.mode, policy.max_age) == (Mode.TESTING, 86_400)


@pytest.mark.parametrize(
    ("age", "kept"), [(0, MIN_AGE), (60, MIN_AGE), (MAX_AGE, MAX_AGE), (MAX_AGE + 1, MAX_AGE)]
)
def test_max_age_is_bounded(age: int, kept: int) -> None:
    assert read_policy(policy_text("mx.example.net", age=age).encode()).max_age == kept


def test_a_withdrawn_policy_needs_no_mx() -> None:
    assert read_policy(policy_text(mode="none").encode()).mode is Mode.NONE


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "version"),
        (b"<html>404</html>\n", "no field"),
        (policy_text("mx.example.net").replace("STSv1", "STSv2").encode(), "version"),
        (policy_text("mx.example.net", mode="strict").encode(), "mode"),
        (policy_text().encode(), "names no mx"),
        (policy_text("mx.example.net").replace("86400", "soon").encode(), "max_age"),
        (policy_text("mx.example.net").replace("86400", "9" * 40).encode(), "max_age"),
        (policy_text("mx.*.example.net").encode(), "no host name"),
        (policy_text("*").encode(), "no host name"),
        (policy_text("127.0.0.1").encode(), "no host name"),
        (policy_text(*(f"mx{n}.example.net" for n in range(MAX_PATTERNS + 1))).encode(), "more"),
        (b"\xff\xfe", "not text"),
    ],
)
def test_what_is_no_policy_is_refused_in_plain_words(content: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_policy(content)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("mx1.example.net", True),
        ("MX1.example.net.", True),
        ("a.mail.example.net", True),
        ("mail.example.net", False),
        ("a.b.mail.example.net", False),
        (".mail.example.net", False),
        ("mx1.example.net.evil.example", False),
        ("evilmx1.example.net", False),
    ],
)
def test_a_star_is_one_label(host: str, allowed: bool) -> None:
    policy = Policy(Mode.ENFORCE, ("mx1.example.net", "*.mail.example.net"), 86_400)
    assert policy.allows(host) is allowed


@given(st.binary(max_size=400) | st.text("version:modSTSv1enfrcx.*ag 0\r\n", max_size=200))
def test_any_octets_are_a_policy_or_refused(content: bytes | str) -> None:
    octets = content.encode() if isinstance(content, str) else content
    try:
        policy = read_policy(octets)
    except ValueError:
        return
    assert policy.mx or policy.mode is Mode.NONE
    assert MIN_AGE <= policy.max_age <= MAX_AGE

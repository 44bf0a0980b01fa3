"""DMARC aggregate reports: what was written is read, what is hostile is refused in time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.aggregate import AuthResult, DmarcAggregate, DmarcRow
from ingest import dmarc
from ingest.dmarc import MOST_RECORDS, Unreadable, read
from tests.growth import assert_linear, calls
from tests.ingest.aggregate_files import (
    BEGIN,
    DAY,
    NEW,
    OLD,
    dmarc_report,
    dmarc_row,
    dmarc_xml,
    origin,
    stranger,
)

_names = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?(?:\.[a-z]{2,8}){1,2}", fullmatch=True)
_texts = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=40
)
_checks = st.builds(
    AuthResult,
    st.just("dkim"),
    _names,
    st.sampled_from(["pass", "fail", "none", "temperror"]),
    st.from_regex(r"[a-z0-9]{0,10}", fullmatch=True),
)
_rows = st.builds(
    DmarcRow,
    (st.ip_addresses(v=4) | st.ip_addresses(v=6)).map(str).filter(lambda a: "::ffff:" not in a),
    st.integers(1, 1_000_000),
    st.sampled_from(["none", "quarantine", "reject", "pass"]),
    st.booleans(),
    st.booleans(),
    _names,
    st.just("") | _names,
    st.lists(_checks, max_size=3).map(tuple),
    st.lists(st.sampled_from(["forwarded", "mailing_list"]), max_size=2).map(tuple),
)
_reports = st.builds(
    DmarcAggregate,
    st.builds(
        origin,
        organisation=_texts,
        report_id=_texts,
        begin=st.integers(1, 2**33).map(float),
        end=st.integers(1, 2**33).map(float),
    ),
    _names,
    st.sampled_from(["none", "quarantine", "reject"]),
    st.lists(_rows, max_size=5, unique_by=lambda row: replace(row, messages=0)).map(tuple),
)


@given(_reports, st.sampled_from(["", OLD, NEW]), st.sampled_from(["utf-8", "utf-16"]))
def test_what_is_written_is_read(report: DmarcAggregate, namespace: str, encoding: str) -> None:
    found = read(dmarc_xml(report, namespace, encoding))
    assert (found.report, found.trouble) == (report, None)


@given(st.binary(max_size=300))
def test_any_octets_are_read_or_refused(data: bytes) -> None:
    for content in (data, b"<feedback>" + data):
        with pytest.raises(Unreadable):
            read(content)


@given(st.integers(0, 2_000), st.binary(min_size=1, max_size=4))
def test_a_spoilt_report_is_read_or_refused(at: int, octets: bytes) -> None:
    data = bytearray(dmarc_xml(dmarc_report()))
    data[at % len(data) : at % len(data) + 1] = octets
    with suppress(Unreadable):
        read(bytes(data))


@pytest.mark.parametrize("encoding", ["iso-8859-1", "windows-1252", "gb2312", "utf-7"])
def test_odd_charsets_are_read(encoding: str) -> None:
    report = dmarc_report(organisation="Post GmbH")
    data = dmarc_xml(report).replace(b'encoding="utf-8"', f'encoding="{encoding}"'.encode())
    assert read(data).report == report


def test_a_name_in_latin_1_that_claims_to_be_utf_8_is_read() -> None:
    data = dmarc_xml(dmarc_report(organisation="Mxller")).replace(b"Mxller", b"M\xfcller")
    assert read(data).report.origin.organisation == "Müller"


def test_equal_records_are_added_up() -> None:
    rows = (dmarc_row(messages=2), stranger(), dmarc_row(messages=3))
    found = read(dmarc_xml(dmarc_report(*rows))).report
    assert found.rows == (dmarc_row(messages=5), stranger())


def test_the_four_in_six_form_of_an_address_is_the_address() -> None:
    found = read(dmarc_xml(dmarc_report(dmarc_row("::ffff:192.0.2.1")))).report
    assert found.rows[0].source == "192.0.2.1"


def test_a_record_without_a_source_is_left_out_and_said_so() -> None:
    data = dmarc_xml(dmarc_report(dmarc_row(), stranger())).replace(b"203.0.113.9", b"nowhere")
    found = read(data)
    assert found.report.rows == (dmarc_row(),)
    assert found.trouble == "1 records without a source or a count were left out"


@pytest.mark.parametrize(
    ("gone", "why"),
    [
        (b"<report_id>r-1</report_id>", "report_id"),
        (b"<domain>example.com</domain><p>", "domain"),
        (b"<begin>%d</begin>" % BEGIN, "which time"),
        (b"<end>%d</end>" % (BEGIN + DAY - 1), "which time"),
    ],
)
def test_a_report_without_what_counts_is_refused(gone: bytes, why: str) -> None:
    data = dmarc_xml(dmarc_report())
    assert gone in data
    with pytest.raises(Unreadable, match=why):
        read(data.replace(gone, b"<p>" if gone.endswith(b"<p>") else b""))


LAUGHS = b"".join(
    b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10 if n else b"ha") for n in range(10)
)


def flood(begin: bytes, piece: bytes, end: bytes = b"") -> Callable[[int], bytes]:
    """A file of as many octets as asked for."""
    return lambda size: begin + piece * (size // len(piece)) + end


BOMBS: dict[str, Callable[[int], bytes]] = {
    "billion laughs": lambda _: b"<!DOCTYPE feedback [" + LAUGHS + b"]><feedback>&l9;</feedback>",
    "external entity": lambda _: (
        b'<!DOCTYPE f [<!ENTITY x SYSTEM "file:///etc/passwd">]><feedback>&x;'
    ),
    "external DTD": lambda _: b'<!DOCTYPE feedback SYSTEM "http://127.0.0.1:1/x.dtd"><feedback/>',
    "deep": flood(b"<feedback>", b"<a>"),
    "wide record": flood(b"<feedback><record>", b"<a/>"),
    "much that is no record": flood(b"<feedback>", b"<a></a>"),
    "one endless text": flood(b"<feedback><record><row>", b"x"),
    "one endless tag": flood(b"<feedback><", b"x"),
    "endless attributes": lambda size: (
        b"<feedback " + b"".join(b'a%d="" ' % n for n in range(size // 20)) + b">"
    ),
    "something else": lambda _: b"<rss><channel/></rss>",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_linear_time(name: str) -> None:
    def refused(bomb: bytes) -> None:
        with pytest.raises(Unreadable):
            read(bomb)

    assert_linear(refused, BOMBS[name], 10_000_000)


@pytest.mark.parametrize("name", ["deep", "wide record", "much that is no record"])
def test_of_a_bomb_no_more_is_looked_at_than_the_bounds_say(name: str) -> None:
    def work(size: int) -> int:
        bomb = BOMBS[name](size)

        def refused() -> None:
            with suppress(Unreadable):
                read(bomb)

        return calls(refused)

    assert work(1_000_000) < 1.1 * work(100_000)


def test_ten_megabytes_of_records_are_read_up_to_the_bound_and_said_so() -> None:
    one = dmarc_xml(dmarc_report(dmarc_row("192.0.2.1", 1)))
    head, record, tail = _cut(one)
    found = read(head + record * (10_000_000 // len(record)) + tail)
    assert found.report.rows[0].messages == MOST_RECORDS
    assert found.trouble == f"only the first {MOST_RECORDS} records were counted"


def test_beyond_the_bound_no_record_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dmarc, "MOST_RECORDS", 100)
    head, record, tail = _cut(dmarc_xml(dmarc_report(dmarc_row("192.0.2.1", 1))))
    some, many = (head + record * count + tail for count in (200, 2_000))
    assert calls(lambda: read(many)) < 1.1 * calls(lambda: read(some))


def _cut(data: bytes) -> tuple[bytes, bytes, bytes]:
    begin, end = data.index(b"<record>"), data.index(b"</record>") + len(b"</record>")
    return data[:begin], data[begin:end], data[end:]


def test_only_a_feedback_element_looks_like_one() -> None:
    assert dmarc.looks_like(dmarc_xml(dmarc_report(), NEW, "utf-16"))
    assert not dmarc.looks_like(b"<?xml version='1.0'?><rss/>")

"""TLS reports: what was written is read, what is hostile is refused in time."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.aggregate import SUCCESS, TLS_RESULTS, TlsAggregate, TlsRow
from ingest import tlsrpt
from ingest.tlsrpt import MOST_ROWS, Unreadable, looks_like, read
from tests.growth import assert_linear, calls
from tests.ingest.aggregate_files import DAY, origin, tls_json, tls_report

_names = st.from_regex(r"[a-z0-9]{1,20}\.[a-z]{2,8}", fullmatch=True)
_policies = st.sampled_from(["sts", "tlsa", "no-policy-found"])
_failures = st.sampled_from([result for result in TLS_RESULTS if result not in (SUCCESS, "other")])


@st.composite
def _reports(draw: st.DrawFn) -> TlsAggregate:
    rows: list[TlsRow] = []
    keys = draw(st.lists(st.tuples(_names, _policies), min_size=1, max_size=3, unique=True))
    for domain, policy in keys:
        if good := draw(st.integers(0, 10_000)):
            rows.append(TlsRow(domain, policy, SUCCESS, good))
        for _ in range(draw(st.integers(0, 3))):
            sessions, mx = draw(st.integers(1, 99)), draw(st.just("") | _names)
            sender = draw(st.just("") | st.ip_addresses().map(str))
            rows.append(TlsRow(domain, policy, draw(_failures), sessions, mx, sender, "x509"))
    begin = float(draw(st.integers(0, 2**32)) // 60 * 60)
    return TlsAggregate(origin(begin=begin, end=begin + DAY - 1), tuple(rows))


@given(_reports())
def test_what_is_written_is_read(report: TlsAggregate) -> None:
    found = read(tls_json(report))
    assert (found.report, found.trouble) == (report, None)


_floats = st.floats(allow_nan=False, allow_infinity=False)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | _floats | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["policies", "policy", "summary", "failure-details", "date-range"])
            | st.text(max_size=5),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@given(_json, st.sampled_from(["policies", "date-range", "report-id", "organization-name", ""]))
def test_any_json_is_read_or_refused(value: object, where: str) -> None:
    whole: Any = json.loads(tls_json(tls_report()))
    content = value if not where else whole | {where: value}
    with suppress(Unreadable):
        assert read(json.dumps(content).encode()).report.rows is not None


@given(_json)
def test_any_policy_is_read(value: object) -> None:
    whole = json.loads(tls_json(tls_report()))
    for name in ("policy", "summary", "failure-details"):
        whole["policies"][0][name] = value
        assert isinstance(read(json.dumps(whole).encode()).report, TlsAggregate)


def test_failures_that_no_detail_accounts_for_are_of_no_known_kind() -> None:
    whole = json.loads(tls_json(tls_report()))
    whole["policies"][0]["summary"]["total-failure-session-count"] = 5
    whole["policies"][0]["failure-details"] = [
        {"result-type": "certificate-expired", "failed-session-count": 2},
        {"result-type": "made-up", "failed-session-count": 1},
    ]
    rows = read(json.dumps(whole).encode()).report.rows
    assert [(row.result, row.sessions) for row in rows] == [
        (SUCCESS, 12),
        ("certificate-expired", 2),
        ("other", 1),
        ("other", 2),
    ]


def test_details_never_count_more_than_the_summary() -> None:
    whole = json.loads(tls_json(tls_report()))
    whole["policies"][0]["failure-details"] = [
        {"result-type": "certificate-expired", "failed-session-count": 10**9}
    ]
    assert [row.result for row in read(json.dumps(whole).encode()).report.rows] == [SUCCESS]


@pytest.mark.parametrize("written", ["2027-01-14T00:00:00", "2027-01-14T02:00:00+02:00"])
def test_a_time_without_an_offset_is_utc(written: str) -> None:
    whole = json.loads(tls_json(tls_report()))
    whole["date-range"]["start-datetime"] = written
    assert read(json.dumps(whole).encode()).report.origin.begin == 1_799_884_800.0


@pytest.mark.parametrize("piece", [b"[", b'{"policies":', b'"x', b'"'])
def test_a_bomb_is_refused_in_linear_time(piece: bytes) -> None:
    def refused(bomb: bytes) -> None:
        with pytest.raises(Unreadable):
            read(bomb)

    assert_linear(refused, lambda size: b"[" + piece * (size // len(piece)), 10_000_000)
    refused(b'"' + b"x" * 10_000_000)


def test_ten_megabytes_of_failures_are_read_up_to_the_bound_and_said_so() -> None:
    rows = [TlsRow("bounces.example.com", "sts", "certificate-expired", 1) for _ in range(900)]
    whole = json.loads(tls_json(tls_report(*rows)))
    whole["policies"] *= 100
    data = json.dumps(whole).encode()
    assert len(data) > 10_000_000
    found = read(data)
    assert len(found.report.rows) == MOST_ROWS
    assert found.trouble == f"only the first {MOST_ROWS} results were counted"


def test_beyond_the_bound_no_failure_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tlsrpt, "MOST_ROWS", 100)
    rows = [TlsRow("bounces.example.com", "sts", "certificate-expired", 1) for _ in range(90)]
    whole = json.loads(tls_json(tls_report(*rows)))
    some, many = (
        json.dumps(whole | {"policies": whole["policies"] * count}).encode() for count in (3, 30)
    )
    assert calls(lambda: read(many)) < 1.5 * calls(lambda: read(some))


def test_only_an_object_with_the_keys_of_a_report_looks_like_one() -> None:
    assert looks_like(tls_json(tls_report()))
    assert not looks_like(b'{"policies": []}')
    assert not looks_like(b"[]")

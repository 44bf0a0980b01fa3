"""The list as CSV and NDJSON: what goes out comes in again, and nothing in it is run."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.address import address_hash
from analysis.exchange import header, lines, read_list, read_time
from analysis.reply import clean
from analysis.suppression import Limits, Reason, Suppression

NOW = 1_790_000_000.0


def read(content: bytes, kind: str = "csv", limits: Limits = Limits()) -> list[Suppression]:  # noqa: B008  frozen
    found = read_list(content, kind, now=NOW, actor="test", limits=limits)
    assert found.refused == []
    return found.entries


texts = st.text(min_size=1, max_size=50).map(clean).map(lambda t: " ".join(t.split()))
entries = st.builds(
    Suppression,
    address_hash=st.just(address_hash("=bob@example.net")),
    stream=st.sampled_from(["*", "news", "a-b_c"]),
    reason=st.sampled_from(Reason),
    address=st.sampled_from(["=bob@example.net", None]),
    since=st.integers(0, int(NOW)).map(float),
    until=st.integers(int(NOW) + 1, 2**33).map(float),
    evidence=texts.filter(lambda t: t and not t.startswith("'")),
    actor=st.just("test"),
)


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
@given(entry=entries)
def test_what_goes_out_comes_in_again(kind: str, entry: Suppression) -> None:
    content = header(kind) + lines([entry], kind)
    assert read(content, kind) == [entry]


@given(entry=entries)
def test_no_cell_is_a_formula(entry: Suppression) -> None:
    (row,) = csv.reader(io.StringIO(lines([entry], "csv").decode()))
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row)


def test_an_entry_without_an_end_lasts_as_its_reason_says() -> None:
    limits = Limits(manual=100.0)
    (entry,) = read(b"address,since\nbob@example.net,1000\n", limits=limits)
    assert (entry.since, entry.until) == (1000.0, 1100.0)


def test_nobody_is_suppressed_since_tomorrow() -> None:
    (entry,) = read(b"address,since\nbob@example.net,9000000000\n")
    assert entry.since == NOW


def test_each_bad_line_is_named_and_stops_no_other() -> None:
    content = b"address,stream\nbob,\nbob@example.net,\neve@example.net,No\n,\nzoe@example.net\n"
    found = read_list(content, "csv", now=NOW, actor="test", limits=Limits())
    assert [entry.address for entry in found.entries] == ["bob@example.net", "zoe@example.net"]
    assert [one["line"] for one in found.refused] == [2, 4]


@pytest.mark.parametrize(
    "content",
    [b'{"address": 5}', b"[]", b"{", b'{"reason": "x", "address": "a@example.com"}', b"1"],
)
def test_bad_lines_of_ndjson(content: bytes) -> None:
    found = read_list(content, "ndjson", now=NOW, actor="test", limits=Limits())
    assert [one["line"] for one in found.refused] == [1]


def test_columns_must_be_named() -> None:
    found = read_list(b"bob@example.net\n", "csv", now=NOW, actor="test", limits=Limits())
    assert "columns" in found.refused[0]["error"]


@given(content=st.binary(max_size=300), kind=st.sampled_from(["csv", "ndjson"]))
def test_any_octets_are_read_or_refused(content: bytes, kind: str) -> None:
    try:
        found = read_list(b"address\n" + content, kind, now=NOW, actor="t", limits=Limits())
    except UnicodeDecodeError:
        return
    assert found.refusals == len(found.refused)


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (None, None),
        ("", None),
        (0, 0.0),
        ("1700000000", 1.7e9),
        ("1700000000.5", 1_700_000_000.5),
        ("2023-11-14T22:13:20Z", 1.7e9),
        ("2023-11-15T06:13:20+08:00", 1.7e9),
    ],
)
def test_times(value: object, at: float | None) -> None:
    assert read_time(value) == at


@pytest.mark.parametrize(
    "value",
    [
        True,
        -1,
        1e12,
        "x",
        "2023-11-14",
        "2023-11-14T22:13:20",
        [],
        {},
        "9" * 400,
        "0001-01-01T00:00:00+14:00",
    ],
)
def test_what_is_no_time(value: object) -> None:
    with pytest.raises(ValueError, match="expected ISO 8601"):
        read_time(value)

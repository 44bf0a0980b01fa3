"""The list as CSV and NDJSON: what goes out comes in again, and nothing in it is run."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analysis.address import address_hash
from analysis.exchange import (
    FORMATS,
    Refusal,
    Terms,
    header,
    lines,
    read_list,
    read_time,
)
from analysis.reply import clean
from analysis.suppression import Limits, Reason, Suppression

NOW = 1_790_000_000.0


def read_all(content: bytes, kind: str = "auto", **terms: Any) -> list[Suppression | Refusal]:
    held = Terms(NOW, "test", **{"limits": Limits(), **terms})
    return list(read_list(io.BytesIO(content), held, kind))


def read(content: bytes, kind: str = "csv", **terms: Any) -> list[Suppression]:
    found = read_all(content, kind, **terms)
    entries = [one for one in found if isinstance(one, Suppression)]
    assert entries == found
    return entries


def refused(content: bytes, kind: str = "auto") -> list[int]:
    return [one.line for one in read_all(content, kind) if isinstance(one, Refusal)]


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
    found = read_all(content)
    assert [one.address for one in found if isinstance(one, Suppression)] == [
        "bob@example.net",
        "zoe@example.net",
    ]
    assert refused(content) == [2, 4]


@pytest.mark.parametrize(
    "content",
    [b'{"address": 5}', b"[]", b"{", b'{"reason": "x", "address": "a@example.com"}', b"1"],
)
def test_bad_lines_of_ndjson(content: bytes) -> None:
    assert refused(content, "ndjson") == [1]


def test_columns_must_be_named() -> None:
    (told,) = read_all(b"bob@example.net\nann@example.net\n")
    assert isinstance(told, Refusal)
    assert "columns" in told.why


@given(
    content=st.binary(max_size=300),
    kind=st.sampled_from(FORMATS),
    start=st.sampled_from([b"address\n", b"[", b'{"a":[', b"EmailAddress,Reason\n", b""]),
)
@example(content=b"a\rb", kind="csv", start=b"")
def test_any_octets_are_read_or_refused(content: bytes, kind: str, start: bytes) -> None:
    for one in read_all(start + content, kind):
        assert isinstance(one, Suppression | Refusal)


def test_octets_that_are_no_text_are_refused_where_they_stand() -> None:
    content = b"address,evidence\nann@example.net,\xff\nbob@example.net,fine\n"
    assert refused(content) == [2]


def test_a_line_without_end_is_not_held() -> None:
    endless = b"address\nann@example.net\n" + b"x" * 5_000_000
    assert refused(endless) == [3]


def test_json_documents_are_read_piece_by_piece() -> None:
    many = [{"EmailAddress": f"u{n}@example.net", "Reason": "BOUNCE"} for n in range(5_000)]
    content = json.dumps({"SuppressedDestinationSummaries": many}, indent=1).encode()
    assert len(read(content, "auto")) == 5_000
    assert len(read(json.dumps(many).encode(), "auto")) == 5_000
    assert refused(content[: len(content) // 2])[0] > 2_000


ANN, BOB, EVE = "ann@example.net", "bob@example.net", "eve@example.net"
HARD, SPAM, LEFT, BY_HAND = (
    Reason.HARD_BOUNCE,
    Reason.COMPLAINT,
    Reason.UNSUBSCRIBE,
    Reason.MANUAL,
)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            (
                '{"SuppressedDestinationSummaries": [{"EmailAddress": "ann@example.net",'
                ' "Reason": "BOUNCE", "LastUpdateTime": 1700000000.5},'
                ' {"EmailAddress": "bob@example.net", "Reason": "COMPLAINT"}]}'
            ),
            [(ANN, HARD, 1_700_000_000.5), (BOB, SPAM, NOW)],
        ),
        (
            "Email address,Reason,Last update time\nann@example.net,Bounce,2023-11-14T22:13:20Z\n",
            [(ANN, HARD, 1.7e9)],
        ),
        (
            "ann@example.net,BOUNCE\nbob@example.net,COMPLAINT\n",
            [(ANN, HARD, NOW), (BOB, SPAM, NOW)],
        ),
        (
            (
                '{"Suppressions":[{"EmailAddress":"ann@example.net","SuppressionReason":'
                '"ManualSuppression","Origin":"Recipient","CreatedAt":"2023-11-14T17:13:20-05:00"},'
                '{"EmailAddress":"bob@example.net","SuppressionReason":"SpamComplaint","Origin":'
                '"Recipient"},{"EmailAddress":"eve@example.net","SuppressionReason":'
                '"ManualSuppression","Origin":"Customer"}]}'
            ),
            [(ANN, LEFT, 1.7e9), (BOB, SPAM, NOW), (EVE, BY_HAND, NOW)],
        ),
        (
            (
                "status,reason,email,created\n"
                "5.1.1,550 5.1.1 no such user,ann@example.net,1700000000\n"
            ),
            [(ANN, HARD, 1.7e9)],
        ),
        ("email,created\nann@example.net,2023-11-14 22:13:20\n", [(ANN, LEFT, 1.7e9)]),
        ("email,ip,created\nann@example.net,192.0.2.1,1700000000\n", [(ANN, SPAM, 1.7e9)]),
        (
            (
                '[{"created":1700000000,"email":"ann@example.net","reason":"Mail domain mentioned'
                ' in email address is unknown"}]'
            ),
            [(ANN, HARD, 1.7e9)],
        ),
        (
            (
                "address,code,error,created_at\n"
                'ann@example.net,550,No such mailbox,"Tue, 14 Nov 2023 22:13:20 UTC"\n'
            ),
            [(ANN, HARD, 1.7e9)],
        ),
        (
            'address,tags,created_at\nann@example.net,*,"Tue, 14 Nov 2023 22:13:20 GMT"\n',
            [(ANN, LEFT, 1.7e9)],
        ),
        ("address,created_at\nann@example.net,\n", [(ANN, SPAM, NOW)]),
        (
            (
                "recipient,type,source,description,created,updated\n"
                "ann@example.net,non_transactional,List Unsubscribe,by header,"
                "2023-11-14T22:13:20+00:00,\n"
                "bob@example.net,transactional,Bounce Rule,550 unknown,,\n"
            ),
            [(ANN, LEFT, 1.7e9), (BOB, HARD, NOW)],
        ),
        (
            (
                "id,type,address,reason,timestamp,keep_until\n"
                "1,recipient,ann@example.net,too many soft fails,1700000000.000000,1800000000\n"
                "2,recipient,bob@example.net,hard fail,1700000000,\n"
            ),
            [(ANN, Reason.SOFT_BOUNCE, 1.7e9), (BOB, HARD, 1.7e9)],
        ),
    ],
)
def test_lists_of_other_services_are_recognised(
    content: str, expected: list[tuple[str, Reason, float]]
) -> None:
    entries = read(content.encode(), "auto")
    assert [(one.address, one.reason, one.since) for one in entries] == expected
    assert all(one.evidence != "imported" for one in entries)


@pytest.mark.parametrize(
    "content",
    [
        "status,reason,email,created\n4.7.1,greylisted,a@example.net,1\n",
        "status,reason,email,created\n5.7.1,blocked by a list,a@example.net,1\n",
        "address,code,error,created_at\na@example.net,451,later,\n",
        "EmailAddress,Reason\na@example.net,OTHER\n",
        "type,address,reason,timestamp,keep_until\nsender,a@example.net,x,1,2\n",
        "recipient,source\na@example.net,By magic\n",
    ],
)
def test_what_says_nothing_of_the_mailbox_is_refused(content: str) -> None:
    assert refused(content.encode()) == [2]


def test_a_stream_is_for_lines_that_say_none() -> None:
    content = b"address,stream\nann@example.net,\nbob@example.net,receipts\n"
    assert [one.stream for one in read(content, stream="news")] == ["news", "receipts"]


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

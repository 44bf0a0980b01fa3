"""The `X-Carom-*` headers: read as the API reads its fields, and never left in the message."""

from __future__ import annotations

import json
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.headers import read_block
from sender.ready import read
from sender.submission_headers import WishError, header_of, take_out

PLAIN = b"From: shop@example.com\r\nSubject: Hello\r\n\r\nOn its way.\r\n"


def with_headers(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode() + PLAIN


def test_a_message_without_them_stays_the_same_octets() -> None:
    wishes = take_out(PLAIN, "default")
    assert wishes.message == read(PLAIN)
    assert wishes.terms.stream == "default"
    assert wishes.mark("key", ["ann@example.net"]) is None


def test_each_is_read_as_the_field_of_the_api_and_taken_out() -> None:
    wishes = take_out(
        with_headers(
            "x-carom-stream: codes",
            "X-CAROM-CLASS : otp",
            "X-Carom-Send-At: 2027-01-15T08:00:00Z",
            "X-Carom-Deadline: 1800086400",
            'X-Carom-Metadata: {"order":\r\n "7", "list": [1, null]}',
            "X-Carom-Require-TLS: true",
            "X-Carom-Idempotency-Key: order 7",
            "X-Other: stays",
        ),
        "default",
    )
    assert wishes.message == read(b"X-Other: stays\r\n" + PLAIN)
    terms = wishes.terms
    assert (terms.stream, terms.class_) == ("codes", "otp")
    assert (terms.send_at, terms.deadline) == (1_800_000_000.0, 1_800_086_400.0)
    assert terms.metadata == {"order": "7", "list": [1, None]}
    assert terms.require_tls is True
    assert wishes.idempotency_key == "order 7"


def test_metadata_survives_the_folding_and_encoding_of_a_mail_library() -> None:
    """Python's own folds long values and encodes what is not ASCII or too long for a line."""
    metadata = {"name": "Jörg 王", "long": "x" * 3_000, "many": ["word"] * 600}
    letter = EmailMessage()
    letter["From"] = "shop@example.com"
    letter["X-Carom-Metadata"] = json.dumps(metadata, ensure_ascii=False)
    letter.set_content("Hello.\n")
    octets = letter.as_bytes(policy=letter.policy.clone(linesep="\r\n"))
    assert octets.isascii()
    assert take_out(octets, "default").terms.metadata == metadata


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["X-Carom-Steam: codes"], "X-Carom-Steam: there is no such header; did you mean X-Carom-"),
        (["X-Carom-Zzzzzzzzz: 1"], "X-Carom-Zzzzzzzzz: there is no such header; there are X-"),
        (["X-Carom-Stream: a", "x-carom-stream: a"], "X-Carom-Stream: is given more than once"),
        (["X-Carom-Send-At: tomorrow"], "X-Carom-Send-At: expected ISO 8601"),
        (["X-Carom-Deadline: 2027-01-15T08:00:00"], "X-Carom-Deadline: expected ISO 8601"),
        (["X-Carom-Require-TLS: perhaps"], "X-Carom-Require-TLS: input should be a valid boolean"),
        (["X-Carom-Metadata: {"], "X-Carom-Metadata: is not JSON"),
        (["X-Carom-Metadata: [1]"], "X-Carom-Metadata: input should be a valid dictionary"),
        (['X-Carom-Metadata: {"a": "\\u0000"}'], "X-Carom-Metadata: contains a NUL"),
        (["X-Carom-Metadata: " + "[" * 5_000], "X-Carom-Metadata: is not JSON"),
        (["X-Carom-Idempotency-Key: "], "X-Carom-Idempotency-Key: expected 1 to 255"),
        (["X-Carom-Idempotency-Key: " + "k" * 256], "X-Carom-Idempotency-Key: expected 1 to 255"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(lines: list[str], text: str) -> None:
    with pytest.raises(WishError) as refused:
        take_out(with_headers(*lines), "default")
    assert str(refused.value).startswith(text)


def test_none_is_hidden_behind_the_first_line_of_an_mbox_file() -> None:
    """`ready.accept` takes that line away, so the headers must be looked for behind it."""
    for ahead in (b"From ann Mon\r\n", b"From ann Mon\r\nFrom bob Tue\r\n"):
        wishes = take_out(ahead + with_headers("X-Carom-Stream: codes"), "default")
        assert wishes.message == read(PLAIN)
        assert wishes.terms.stream == "codes"


def test_a_mark_is_of_the_message_and_not_of_the_try() -> None:
    def mark(
        *lines: str, key: str = "a", to: tuple[str, ...] = ("x@y.z",), body: str = ""
    ) -> bytes:
        lines = ("X-Carom-Idempotency-Key: k", *lines)
        made = take_out(with_headers(*lines) + body.encode(), "default").mark(key, to)
        assert made is not None
        return made.key_hash + made.body_hash

    first = mark("Date: Mon, 1 Jan 2029 00:00:00 +0000", "Message-ID: <1@x>")
    assert mark("Date: Mon, 1 Jan 2029 00:00:09 +0000", "Message-ID: <2@x>") == first
    assert mark("Received: from here") == first
    assert mark(to=("a@b.c", "d@e.f")) == mark(to=("d@e.f", "a@b.c"))
    others = [
        mark(key="b"),
        mark(to=("other@y.z",)),
        mark(body="more"),
        mark("X-Carom-Stream: codes"),
        mark("Reply-To: a@b.c"),
    ]
    assert len({first, *others}) == 6


@pytest.mark.parametrize(
    ("field", "header"),
    [
        ("stream", "X-Carom-Stream"),
        ("class", "X-Carom-Class"),
        ("metadata.a[0]", "X-Carom-Metadata"),
        ("raw", "message"),
        ("to[0]", "recipients"),
        (None, "message"),
    ],
)
def test_a_field_of_the_api_has_a_name_here(field: str | None, header: str) -> None:
    assert header_of(field) == header


NAMES = st.sampled_from(
    ["X-Carom-Stream", "x-carom-class", "X-CAROM-METADATA", "X-Carom-", "Subject"]
)
LINES = st.lists(
    st.tuples(NAMES, st.sampled_from([":", " :", ""]), st.text(max_size=20)), max_size=6
)


@given(LINES, st.binary(max_size=50))
def test_whatever_comes_is_refused_or_has_none_left(
    lines: list[tuple[str, str, str]], body: bytes
) -> None:
    head = "".join(f"{name}{colon}{value}\r\n" for name, colon, value in lines)
    content = head.encode(errors="replace") + b"\r\n" + body
    try:
        left = take_out(content, "default").message
    except WishError:
        return
    fields, _ = read_block(left.head)
    assert not [name for name, _ in fields if name.lower().startswith(b"x-carom-")]

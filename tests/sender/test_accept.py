"""A ready message that is accepted: what is added, what is taken out, what stays as it was."""

from __future__ import annotations

import re
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sender.compose import Composed
from sender.headers import MAX_BLOCK, ComposeError, decoded
from sender.ready import accept, recipients
from sender.ready import read as read_ready
from tests.sender.test_compose import ORIGIN, SHOP, lines, read

READY = (
    b"From: Shop <shop@example.com>\r\nTo: ann@example.net\r\n"
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nHello.\r\n"
)


def raw(*fields: str, text: bytes = b"Hello.\r\n") -> bytes:
    return "".join(f"{field}\r\n" for field in fields).encode() + b"\r\n" + text


def taken(ready: bytes) -> Composed:
    return accept(read_ready(ready), ORIGIN)


def test_missing_headers_are_put_in_front_and_the_rest_is_untouched() -> None:
    accepted = taken(READY)
    assert accepted.content.endswith(READY)
    assert read(accepted.content).keys()[:5] == [
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "Feedback-ID",
        "MIME-Version",
    ]
    assert accepted.subject == "Grüße"
    assert accepted.message_id == ORIGIN.message_id
    assert accepted.from_ == SHOP
    assert accepted.content.isascii()


def test_headers_that_are_there_stay() -> None:
    ready = raw(
        "DKIM-Signature: v=1; b=x",
        "Date: Tue, 1 Jul 2025 10:00:00 +0200",
        "message-id: <mine@example.com>",
        "From: shop@example.com",
        "Auto-Submitted: auto-replied",
        "Feedback-ID: a:b:c:d",
        "MIME-Version: 1.0",
    )
    accepted = taken(ready)
    assert accepted.content == ready
    assert accepted.message_id == "<mine@example.com>"


def test_hidden_recipients_and_return_path_are_taken_out() -> None:
    ready = raw(
        "Return-Path: <a@b.example>", "From: a@example.com", "bcc: x@y.example,\r\n z@y.example"
    )
    message = read(taken(ready).content)
    assert "Bcc" not in message
    assert "Return-Path" not in message
    assert b"y.example" not in taken(ready).content


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n"])
def test_any_line_ends_become_crlf(line_end: bytes) -> None:
    assert taken(READY.replace(b"\r\n", line_end)) == taken(READY)


def test_mixed_line_ends_become_crlf() -> None:
    accepted = taken(b"From: a@example.com\n\nA\rB\r\nC\n")
    assert accepted.content.endswith(b"\r\n\r\nA\r\nB\r\nC\r\n")


def test_mbox_line_is_dropped() -> None:
    assert taken(b"From shop Tue Jul  1 2025\n" + READY) == taken(READY)


def test_headers_alone_are_a_message() -> None:
    assert taken(b"From: a@example.com").content.endswith(b"From: a@example.com\r\n\r\n")


def test_eight_bit_body_is_left_alone() -> None:
    ready = raw("From: a@example.com", text=b"\xe4\xf6\xfc\r\n")
    accepted = taken(ready)
    assert accepted.content.endswith(b"\r\n\r\n\xe4\xf6\xfc\r\n")


def test_utf_8_header_is_read_and_left_alone() -> None:
    accepted = taken(raw("From: a@example.com", "Subject: Grüße"))
    assert accepted.subject == "Grüße"
    assert "\r\nSubject: Grüße\r\n".encode() in accepted.content


@pytest.mark.parametrize(
    ("ready", "why"),
    [
        (b"", "line 1 is no header field"),
        (raw("To: a@example.com"), "no From header"),
        (raw("From: a@example.com", "from: b@example.com"), "more than one From"),
        (raw("From: a@example.com", "Subject: a", "Subject: b"), "more than one Subject"),
        (raw("From: a@example.com, b@example.com"), "2 addresses"),
        (raw("From: undisclosed:;"), "0 addresses"),
        (raw("From: <a@example.com> <b@example.com>"), "no list of addresses"),
        (raw("From: <a@example.com> b"), "no list of addresses"),
        (raw('From: "a <a@example.com>'), "no list of addresses"),
        (raw("From: nobody"), "From: the address has no @"),
        (raw("From: a@example.com", "no colon here"), "line 2 is no header field"),
        (raw("From: a@example.com", "X: a\x0bb"), "line 3 is no header field"),
        (raw(" folded", "From: a@example.com"), "line 1 is no header field"),
        (b"\r\n" + READY, "line 1 is no header field"),
        (raw("From: a@example.com", text=b"a\0b"), "NUL"),
        (raw("From: a@example.com", text=b"x" * 999), "line of more than 998"),
        (raw("From: a@example.com", *["X: " + "y" * 900] * 120), f"more than {MAX_BLOCK} octets"),
        (b"From: a@example.com\r\n" + b"X: y\r\n" * 30_000, f"more than {MAX_BLOCK} octets"),
        (b"From: a\xe4@example.com\r\n\r\n", "UTF-8"),
        (b"From: a@example.com\r\nX: \xe4\r\n\r\n", "UTF-8"),
        (b"From: a@example.com\r\nMessage-ID: <\xe4@b>\r\n\r\n", "UTF-8"),
        (b'From: "' + b'\\"\r\n ' * 19_000, "no list of addresses"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unfit_ready_message_is_refused_with_the_reason(ready: bytes, why: str) -> None:
    with pytest.raises(ComposeError, match=re.escape(why)) as refused:
        taken(ready)
    assert refused.value.field == "raw"


def test_line_of_998_octets_passes() -> None:
    accepted = taken(raw("From: a@example.com", text=b"x" * 998))
    assert lines(accepted.content)[-2] == b"x" * 998


PIECES = (
    b'From: a@example.com|Subject: |Bcc: a@b.example|\r\n|\n|\r|:|;|,| |\t|\0|"|\\|<|>|(|)|@|\xe4'
    b"|=?utf-8?b?|=?x?q?|?="
)
pieces = st.sampled_from(PIECES.split(b"|"))


@given(st.lists(st.one_of(pieces, st.binary(max_size=5)), max_size=30).map(b"".join))
@settings(max_examples=500)
def test_any_octets_are_accepted_or_refused_by_compose_error(ready: bytes) -> None:
    try:
        accepted = taken(ready)
        recipients(read_ready(ready))
    except ComposeError:
        return
    lines(accepted.content)
    assert len(read(accepted.content).get_all("From", [])) == 1


def test_recipients_are_read_from_to_cc_and_bcc() -> None:
    ready = raw(
        "From: a@example.com",
        'To: "Lee, Ann" <ann@example.net>, bob@example.net (Bob)',
        "Cc: team: =?utf-8?q?J=C3=B6rg?= <j@example.org>,\r\n k@example.org;",
        "Bcc: hidden@example.org",
    )
    assert [(one.name, one.address.wire) for one in recipients(read_ready(ready))] == [
        ("Lee, Ann", "ann@example.net"),
        ("", "bob@example.net"),
        ("Jörg", "j@example.org"),
        ("", "k@example.org"),
        ("", "hidden@example.org"),
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b" =?utf-8?q?a?= =?utf-8?q?b?= c", "ab c"),
        (b"=?iso-8859-1?q?=E4?= =?x-unknown?q?=E4?=", "ää"),
        (b"=?utf-7?q?+ADw-script+AD4-?=", "+ADw-script+AD4-"),
        (b"=?windows-1259?q?=E4?= =?iso-8859-99?q?=E4?=", "ää"),
        (b"=?gb18030?b?xOO6ww==?=", "你好"),
        (b"=?utf-8?b?x?=", "=?utf-8?b?x?="),
        (b"=?utf-8?q?a=0D=0ABcc:_x=00?=", "a  Bcc: x"),
        (b"\xff", "\ufffd"),
    ],
)
def test_decoded_header_is_text_that_can_be_shown(value: bytes, text: str) -> None:
    assert decoded(value) == text


@given(st.binary(max_size=80), st.sampled_from(["b", "q"]), st.text(max_size=12))
def test_decoding_never_fails(octets: bytes, encoding: Literal["b", "q"], charset: str) -> None:
    word = f"=?{charset}?{encoding}?".encode("utf-8", "replace") + octets + b"?="
    assert not re.search(r"[\r\n\x00]", decoded(word))

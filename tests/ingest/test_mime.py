"""Any bytes become a bounded, flat list of parts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.mime import (
    MAX_DEPTH,
    MAX_PARTS,
    MAX_TEXT,
    read_mime,
)
from tests.growth import assert_linear
from tests.ingest.letters import letter

MULTIPART = 'Content-Type: multipart/mixed; boundary="b"'


def test_parts_are_listed_in_reading_order() -> None:
    inner = "--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\none\n--c\n\ntwo\n--c--"
    mail = read_mime(letter([MULTIPART], f"preamble\n{inner}\n--b\n\nthree\n--b--\nepilogue"))
    assert [part.text.strip() for part in mail.parts] == ["one", "two", "three"]


def test_a_missing_closing_delimiter_loses_nothing() -> None:
    mail = read_mime(letter([MULTIPART], "--b\n\none\n--b\n\ntwo"))
    assert [part.text for part in mail.parts] == ["one", "two"]


def test_a_multipart_without_its_boundary_is_read_as_text() -> None:
    mail = read_mime(letter([MULTIPART], "no delimiter here"))
    assert [(part.type, part.text) for part in mail.parts] == [("text/plain", "no delimiter here")]


def test_a_lost_boundary_is_read_off_the_first_delimiter() -> None:
    mail = read_mime(letter(["Content-Type: multipart/mixed;"], "\n--edge\n\none\n--edge--"))
    assert [part.text for part in mail.parts] == ["one"]


def test_a_byte_order_mark_does_not_hide_the_header() -> None:
    assert read_mime(b"\xef\xbb\xbfSubject: x\n\ny").headers.get("subject") == "x"


def test_a_longer_boundary_is_not_taken_for_its_prefix() -> None:
    mail = read_mime(letter([MULTIPART], "--b\n\none\n--bc\nstill one\n--b--"))
    assert [part.text for part in mail.parts] == ["one\n--bc\nstill one"]


def test_folded_headers_are_unfolded_and_names_have_no_case() -> None:
    headers = read_mime(b"SUBJECT: a\n\tb\nX: 1\nx: 2\n\nbody").headers
    assert headers.get("subject") == "a \tb"
    assert headers.all("x") == ["1", "2"]


@pytest.mark.parametrize("ends", [b"\r\n", b"\n", b"\r"])
def test_every_kind_of_line_end_is_read(ends: bytes) -> None:
    mail = read_mime(ends.join([b"Subject: x", b"", b"one", b"two"]))
    assert (mail.headers.get("subject"), mail.parts[0].text) == ("x", "one\ntwo")


def test_transfer_encodings_are_taken_off() -> None:
    body = "--b\nContent-Transfer-Encoding: base64\n\naGVsbG8=\n--b\nContent-Transfer-Encoding: "
    mail = read_mime(letter([MULTIPART], f"{body}quoted-printable\n\na=3Db=\nc\n--b--"))
    assert [part.text for part in mail.parts] == ["hello", "a=bc"]


def test_broken_base64_gives_what_can_be_read() -> None:
    mail = read_mime(letter(["Content-Transfer-Encoding: base64"], "aGVs*bG8"))
    assert mail.parts[0].text == "hello"


def bounded(raw: bytes) -> None:
    for part in read_mime(raw).parts:
        assert len(part.plain) <= MAX_TEXT


def nested(depth: int) -> bytes:
    levels = [
        b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (level, level)
        for level in range(depth)
    ]
    return b"".join(levels) + b"\nend\n"


def test_a_thousand_nested_parts_are_not_followed() -> None:
    raw = nested(1_000)
    mail = read_mime(raw)
    assert "nested too deep" in " ".join(mail.defects)
    assert max(part.depth for part in mail.parts) <= MAX_DEPTH
    assert_linear(bounded, nested, 10_000)


def test_a_thousand_messages_in_messages_are_not_opened() -> None:
    raw = b"Content-Type: message/rfc822\n\n" * 1_000
    assert len(read_mime(raw).parts) == 1


def test_half_a_million_empty_parts_are_not_collected() -> None:
    def empty_parts(count: int) -> bytes:
        return b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\n" * count

    assert len(read_mime(empty_parts(500_000)).parts) <= MAX_PARTS
    assert_linear(bounded, empty_parts, 500_000)


@pytest.mark.parametrize(
    ("head", "piece", "size"),
    [
        (b"Subject: x\n", b" folded\n", 4_000_000),
        (b"", b"X: y\n", 2_500_000),
        (b"Content-Type: text/plain; a=", b"(", 100_000),
        (b"Content-Type: text/plain", b"; a=b", 500_000),
        (b"Subject: ", b"=?utf-8?b?", 1_000_000),
        (b"Content-Type: text/html\n\n", b"<", 1_000_000),
        (b"Content-Type: text/html\n\n", b"<style>", 700_000),
        (b"Content-Type: text/html\n\n", b"<a\n", 300_000),
        (b"Content-Type: multipart/mixed; boundary=-\n\n", b"-", 3_000_000),
        (b"Content-Transfer-Encoding: base64\n\n", b"=", 3_000_000),
        (b"Content-Transfer-Encoding: quoted-printable\n\n", b"=\n", 2_000_000),
        (b"", b"\n", 3_000_000),
        (b"", b"x", 9_000_000),
    ],
)
def test_a_bomb_is_read_in_linear_time(head: bytes, piece: bytes, size: int) -> None:
    assert_linear(bounded, lambda size: head + piece * (size // len(piece)) + b"\n\nbody", size)


def test_nothing_is_one_empty_part() -> None:
    assert [part.plain for part in read_mime(b"").parts] == [""]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=3_000))
def test_any_bytes_are_a_mail(raw: bytes) -> None:
    mail = read_mime(raw)
    assert mail.parts
    assert isinstance(mail.notice, str)
    assert mail.returned is not None


PIECES = [
    b"Content-Type: multipart/mixed; boundary=b\n",
    b"Content-Transfer-Encoding: base64\n",
    b'Content-Type: text/html; charset="gbk"\n',
    b"Content-Type: message/rfc822\n",
    *(b"--b\n", b"--b--\n", b"\n", b"=?", b"<p", b"&#x", b"\xff\xfe", b"=\n", b"text "),
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_any_heap_of_pieces_is_a_mail(pieces: list[bytes]) -> None:
    mail = read_mime(b"".join(pieces))
    assert all(isinstance(part.plain, str) for part in mail.parts)
    assert isinstance(mail.headers.word("subject"), str)

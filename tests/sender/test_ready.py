"""A ready message is read once, and what is sent is what was handed in: pinned, octet by octet.

The pins were taken from the code that read a message anew at every step.
"""

from __future__ import annotations

import re

import pytest

from sender.compose import Origin
from sender.headers import ComposeError
from sender.letters import of_ready
from sender.ready import accept, read
from sender.submission_headers import take_out

ORIGIN = Origin("01jd0c4r0m0000000000000abc", "example.com", "receipts", "transactional", 1.7e9)
ADDED = (
    b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    b"Message-ID: <01jd0c4r0m0000000000000abc@example.com>\r\n"
    b"Auto-Submitted: auto-generated\r\n"
    b"Feedback-ID: receipts:transactional:example.com:carom\r\n"
    b"MIME-Version: 1.0\r\n"
)
FROM = b"From: a@example.com\r\n"

SAME = [
    FROM + b"Subject: hi\r\n\r\nHello.\r\n",
    FROM + b"Subject: =?utf-8?q?x?=\r\n folded\r\n\tagain\r\n\r\n.dot\r\n..\r\n",
    FROM + b"x-a:no blank\r\nX-A:  two blanks  \r\n\r\n\r\n\r\nan empty line in front\r\n",
    FROM + "Subject: Grüße\r\n\r\n".encode() + b"\xe4\xf6 8-bit\r\n",
    FROM + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nFrom: b@c.d\r\n--x--\r\n",
    FROM + b"\r\n",
]
OTHERWISE = [
    (FROM, FROM + b"\r\n"),
    (b"bcc: b@c.example,\r\n d@c.example\r\n" + FROM + b"\r\n", FROM + b"\r\n"),
    (b"Return-Path: <b@c.example>\r\n" + FROM + b"\r\n", FROM + b"\r\n"),
    (b"Subject : blank\r\n" + FROM + b"\r\n", b"Subject: blank\r\n" + FROM + b"\r\n"),
    (b"From ann Mon\r\n" + FROM + b"\r\nHello.\r\n", FROM + b"\r\nHello.\r\n"),
]
WISHES = b'X-Carom-Stream: codes\r\nx-carom-metadata: {"a":\r\n "' + b"y" * 1_200 + b'"}\r\n'
REFUSED = [
    (b"", "line 1 is no header field, or holds a control character"),
    (b"\r\nHello.\r\n", "line 1 is no header field, or holds a control character"),
    (FROM + b"no colon\r\n\r\n", "line 2 is no header field, or holds a control character"),
    (FROM + b"X: a\x0bb\r\n\r\n", "line 3 is no header field, or holds a control character"),
    (FROM + b"X: \xe4\r\n\r\n", "has headers that are neither ASCII nor UTF-8"),
    (FROM + b"no colon \xe4\r\n\r\n", "has headers that are neither ASCII nor UTF-8"),
    (FROM + b"X: y\r\n" * 17_000 + b"\r\n", "has more than 100000 octets of headers"),
    (FROM + b"\r\n" + b"x" * 999 + b"\r\n", "has a line of more than 998 octets"),
    (FROM + b"X: " + b"x" * 999 + b"\r\n\r\n", "has a line of more than 998 octets"),
    (FROM + b"\r\nnul \0\r\n", "contains a NUL octet"),
    (FROM + FROM + b"Date: a\r\nDate: b\r\n\r\n", "has more than one Date header"),
    (b"Subject: hi\r\n\r\n", "has no From header"),
    (b"From: a@example.com, b@example.com\r\n\r\n", "From has 2 addresses: exactly one is needed"),
]


@pytest.mark.parametrize("octets", SAME)
def test_what_is_sent_is_what_was_handed_in_behind_what_was_missing(octets: bytes) -> None:
    assert accept(read(octets), ORIGIN).content == ADDED + octets
    assert accept(take_out(octets, "receipts").message, ORIGIN).content == ADDED + octets


@pytest.mark.parametrize(("octets", "sent"), OTHERWISE)
def test_what_is_sent_otherwise_is_this_and_no_more(octets: bytes, sent: bytes) -> None:
    assert accept(read(octets), ORIGIN).content == ADDED + sent
    assert accept(take_out(octets, "receipts").message, ORIGIN).content == ADDED + sent


@pytest.mark.parametrize("octets", SAME)
def test_wishes_leave_no_trace_wherever_they_stand(octets: bytes) -> None:
    """Nor does their length count, which no line of a message may have."""
    for handed_in in (WISHES + octets, octets.replace(FROM, FROM + WISHES, 1)):
        assert accept(take_out(handed_in, "default").message, ORIGIN).content == ADDED + octets


@pytest.mark.parametrize(("octets", "why"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_is_refused_is_refused_with_these_words_at_every_entrance(
    octets: bytes, why: str
) -> None:
    for message in (
        read(octets),
        take_out(octets, "default").message,
        take_out(octets.replace(FROM, FROM + WISHES, 1), "default").message,
    ):
        with pytest.raises(ComposeError, match=re.escape(f"raw: {why}") + "$"):
            accept(message, ORIGIN)


@pytest.mark.parametrize("octets", [one for one in SAME if b"multipart" not in one])
def test_the_lint_sees_the_message_that_is_sent(octets: bytes) -> None:
    """Also where it stands behind the first line of an mbox file."""
    for handed_in in (octets, b"From ann Mon\r\n" + octets):
        letter = of_ready(read(handed_in))
        assert letter.headers["from"] == "a@example.com"
        assert letter.text == octets.partition(b"\r\n\r\n")[2].decode("utf-8", "replace")
        assert letter.size == len(octets)

"""A seeded mutator of mail: the same seed and herd give the same messages on every machine.

It knows what mail is made of, and breaks that: boundaries, encodings, charsets, fields, line ends,
lengths, nesting.  A mutated message is at most `MOST` octets, since the fuzz looks for mail that is
slow for its size; the bombs (`tests.ingest.bombs`) are large.
"""

from __future__ import annotations

import base64
import quopri
import re
from collections.abc import Callable, Iterator, Sequence
from random import Random

MOST = 200_000

SPICES = (
    *(b"\0", b"\xff", b"\xed\xa0\x80", b"\x1b$B", b"\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf"),
    *(b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\n \n", b"\r\n.\r\n", b"\t", b" " * 60, b"\x0b\x0c"),
    *(
        b"<",
        b">",
        b"<<",
        b">>>",
        b"@",
        b"a@b.cc",
        b"<a@b.cc>",
        b'"',
        b"(",
        b"((((",
        b")",
        b"[",
        b"\\",
    ),
    *(
        b"=?utf-8?q?=0A?=",
        b"=?utf-8?b?////?=",
        b"=?utf-7?q?+ADw-?=",
        b"=?x?",
        b"=20",
        b"=\r\n",
        b"=3D",
    ),
    *(
        b"550 5.1.1 ",
        b"550-5.1.1 ",
        b"4.2.2",
        b"5.999.999",
        b"599",
        b"(#5.1.1)",
        b"smtp; ",
        b"rfc822;",
    ),
    *(
        b"--",
        b"--=_edge",
        b"--=_edge--",
        b"\r\n--cut--\r\n",
        b"Content-Type: ",
        b"multipart/",
        b"message/",
    ),
    *(
        b"said: ",
        b"host a.example ",
        b"user unknown",
        b"mailbox full",
        b"Recipient: ",
        b">>> RCPT TO:<",
    ),
    *(
        b"<style",
        b"</style>",
        b"<script>",
        b"<!--",
        b"-->",
        b"<br",
        b"&#64;",
        b"&#x110000;",
        b"&amp;",
    ),
    *(
        "收件人：".encode(),
        "邮箱已满".encode("gbk"),
        "宛先".encode("shift_jis"),
        "не".encode("koi8-r"),
    ),
    *(
        b"+3D",
        b"\\x{41}",
        b"\\x{D800}",
        b"\\x{ffffff}",
        b"b+",
        b"{",
        b'{"a":',
        b"[[[[",
        b"9" * 5_000,
    ),
)
CHARSETS = (
    *(b"utf-7", b"idna", b"undefined", b"zlib", b'"us-ascii\0"', b"utf-16", b"punycode", b"rot13"),
    *(
        b"gb2312",
        b"gbk",
        b"gb18030",
        b"big5",
        b"shift_jis",
        b"iso-2022-jp",
        b"iso-2022-kr",
        b"euc-kr",
    ),
    *(
        b"hz-gb-2312",
        b"koi8-r",
        b"windows-1251",
        b"iso-8859-8-i",
        b"cp932",
        b"",
        b"''",
        b"utf-8\r\n x",
    ),
)
TYPES = (
    *(
        b"text/plain",
        b"text/html",
        b"message/rfc822",
        b"message/delivery-status",
        b"multipart/mixed",
    ),
    *(
        b"multipart/report; report-type=delivery-status",
        b"message/feedback-report",
        b"text/rfc822-headers",
    ),
    *(
        b"multipart/report; report-type=feedback-report",
        b"message/global-delivery-status",
        b"multipart/",
    ),
    *(
        b"message/partial",
        b"application/zip",
        b"application/tlsrpt+gzip",
        b"image/png",
        b"/",
        b";;;=;",
    ),
)
ENCODINGS = (
    b"base64",
    b"quoted-printable",
    b"x-uuencode",
    b"8bit",
    b"binary",
    b"base64 quoted-printable",
)
FIELDS = (
    *(b"From", b"To", b"Subject", b"Content-Type", b"Content-Transfer-Encoding", b"Message-ID"),
    *(
        b"X-Failed-Recipients",
        b"Auto-Submitted",
        b"Final-Recipient",
        b"Action",
        b"Status",
        b"Return-Path",
    ),
    *(
        b"Diagnostic-Code",
        b"Original-Recipient",
        b"Feedback-Type",
        b"Original-Rcpt-To",
        b"Received",
    ),
    *(b"x-amz-sns-message-id", b"X-MLServer", b"X-HmXmrOriginalRecipient", b"Content-Disposition"),
)

_FIELD = re.compile(rb"(?m)^([A-Za-z-]{2,40}):[^\r\n]*")


def mutants(herd: Sequence[bytes], seed: int) -> Iterator[bytes]:
    """Messages without end, each some sound one spoilt one to eight times."""
    draw = Random(seed)
    while True:
        mail = draw.choice(herd)
        for _ in range(1 + int(draw.expovariate(0.5)) % 8):
            mail = draw.choice(MUTATIONS)(mail, draw, herd)[:MOST]
        yield mail


def _span(mail: bytes, draw: Random, most: int = 400) -> tuple[int, int]:
    begin = draw.randrange(len(mail) + 1)
    return begin, min(len(mail), begin + draw.randrange(most))


def _flip(mail: bytes, draw: Random, _: Sequence[bytes]) -> bytes:
    changed = bytearray(mail)
    for _ in range(draw.randrange(1, 20)):
        if changed:
            changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


def _season(mail: bytes, draw: Random, _: Sequence[bytes]) -> bytes:
    for _ in range(draw.randrange(1, 6)):
        at = draw.randrange(len(mail) + 1)
        mail = mail[:at] + draw.choice(SPICES) * draw.choice((1, 1, 2, 40)) + mail[at:]
    return mail


def _flood(mail: bytes, draw: Random, _: Sequence[bytes]) -> bytes:
    """One piece, or two that alternate, over and over: what slow patterns are slow on."""
    at = draw.randrange(len(mail) + 1)
    piece = draw.choice(SPICES) + draw.choice((b"", b" ", b"a", draw.choice(SPICES)))
    return mail[:at] + piece * (draw.choice((300, 3_000, 60_000)) // len(piece)) + mail[at:]


def _cut(mail: bytes, draw: Random, _: Sequence[bytes]) -> bytes:
    begin, end = _span(mail, draw)
    return mail[:begin] + mail[end:]


def _end(mail: bytes, draw: Random, _: Sequence[bytes]) -> bytes:
    return mail[: draw.randrange(len(mail) + 1)]


def _repeat(mail: bytes, draw: Random, _: Sequence[bytes]) -> bytes:
    begin, end = _span(mail, draw)
    return mail[:begin] + mail[begin:end] * draw.choice((2, 5, 100)) + mail[end:]


def _repeat_line(mail: bytes, draw: Random, _: Sequence[bytes]) -> bytes:
    lines = mail.split(b"\n")
    at = draw.randrange(len(lines))
    lines[at:at] = [lines[at]] * draw.choice((1, 3, 30, 3_000))
    return b"\n".join(lines)


def _shuffle(mail: bytes, draw: Random, _: Sequence[bytes]) -> bytes:
    lines = mail.split(b"\n")
    begin = draw.randrange(len(lines))
    part = lines[begin : begin + draw.randrange(2, 12)]
    draw.shuffle(part)
    return b"\n".join([*lines[:begin], *part, *lines[begin + len(part) :]])


def _splice(mail: bytes, draw: Random, herd: Sequence[bytes]) -> bytes:
    other = draw.choice(herd)
    return mail[: draw.randrange(len(mail) + 1)] + other[draw.randrange(len(other) + 1) :]


def _field(mail: bytes, draw: Random, _: Sequence[bytes]) -> bytes:
    """A field of ours, somewhere where fields stand."""
    value = draw.choice((*SPICES, *TYPES, b"ann@example.net", b"failed", b"x" * 3_000))
    line = draw.choice(FIELDS) + draw.choice((b": ", b":", b" : ", b"\t:")) + value + b"\r\n"
    starts = [0, *(match.start() for match in _FIELD.finditer(mail))]
    at = draw.choice(starts)
    return mail[:at] + line * draw.choice((1, 1, 2, 200)) + mail[at:]


def _value(mail: bytes, draw: Random, _: Sequence[bytes]) -> bytes:
    """Another value for one of the fields."""
    found = list(_FIELD.finditer(mail))
    if not found:
        return mail
    match = draw.choice(found)
    value = draw.choice((*SPICES, *TYPES, *ENCODINGS, *CHARSETS))
    return mail[: match.start()] + match[1] + b": " + value + mail[match.end() :]


def _type(mail: bytes, draw: Random, _: Sequence[bytes]) -> bytes:
    kind, charset = draw.choice(TYPES), draw.choice(CHARSETS)
    line = b"Content-Type: " + kind + b"; charset=" + charset + b"\r\n"
    if draw.random() < 0.5:
        line += b"Content-Transfer-Encoding: " + draw.choice(ENCODINGS) + b"\r\n"
    at = draw.choice([0, *(m.start() for m in _FIELD.finditer(mail))])
    return mail[:at] + line + mail[at:]


def _ends(mail: bytes, draw: Random, _: Sequence[bytes]) -> bytes:
    return mail.replace(
        b"\r\n", draw.choice((b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\r\n", b"\0"))
    )


def _encode(mail: bytes, draw: Random, _: Sequence[bytes]) -> bytes:
    """The body in another encoding, said or not."""
    head, gap, body = mail.partition(b"\r\n\r\n")
    name, done = draw.choice(
        (
            (b"base64", base64.encodebytes(body)),
            (b"quoted-printable", quopri.encodestring(body)),
            (b"7bit", body.decode("latin-1").encode("utf-16")),
            (b"8bit", body.decode("latin-1").encode("utf-8")),
        )
    )
    said = b"\r\nContent-Transfer-Encoding: " + name if draw.random() < 0.7 else b""
    return head + said + gap + done


def _wrap(mail: bytes, draw: Random, herd: Sequence[bytes]) -> bytes:
    """The whole as a part of another, its boundary perhaps the same as one inside."""
    edge = draw.choice((b"=_edge", b"cut", b"=_the-demo-is-over", b"-", b"a" * 70, b"x y"))
    kind = draw.choice(
        (b"mixed", b"report; report-type=delivery-status", b"alternative", b"digest")
    )
    inner = draw.choice(
        (b"Content-Type: message/rfc822\r\n\r\n", b"", b"\r\n", b"Content-Type: text/html\r\n\r\n")
    )
    head = b"Content-Type: multipart/" + kind + b'; boundary="' + edge + b'"\r\n\r\n'
    times = draw.choice((1, 1, 2, 25))
    for _ in range(times):
        mail = (
            b"From: postmaster@example.org\r\n"
            + head
            + b"--"
            + edge
            + b"\r\n"
            + inner
            + mail[:MOST]
        )
    return mail + draw.choice((b"", b"\r\n--" + edge + b"--\r\n"))


def _boundary(mail: bytes, draw: Random, _: Sequence[bytes]) -> bytes:
    edges = (b"=_edge", b"=_the-demo-is-over", b"cut")
    return mail.replace(
        draw.choice(edges),
        draw.choice((b"", b"-", b"=_edg", b"=_edge=_edge")),
        draw.choice((1, 2, -1)),
    )


Mutation = Callable[[bytes, Random, Sequence[bytes]], bytes]

MUTATIONS: tuple[Mutation, ...] = (
    *(_flip, _season, _flood, _cut, _end, _repeat, _repeat_line, _shuffle, _splice),
    *(_field, _value, _type, _ends, _encode, _wrap, _boundary),
)

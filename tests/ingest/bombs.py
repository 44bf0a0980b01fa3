"""Mail made to break its reader: cheap for its sender, dear for a careless parser.

Every value of `BOMBS` builds one message, at most as large as the listener takes.  The name says
what a parser would have to do wrong.
"""

from __future__ import annotations

import base64
import gzip
import io
import zipfile
import zlib
from collections.abc import Callable

MOST = 10_000_000
"""Octets of a message that the listener accepts."""

DAEMON = (
    b"From: MAILER-DAEMON@mx.example.org\r\nTo: news@example.com\r\n"
    b"Subject: Undelivered Mail Returned to Sender\r\nMIME-Version: 1.0\r\n"
)
LISTING = b"Your message could not be delivered to the following recipients:\r\n\r\n"


def notice(body: bytes, kind: bytes = b"text/plain", more: bytes = b"") -> bytes:
    """A notice of failure with this body, so that every reader of prose is asked."""
    head = DAEMON + b"Content-Type: " + kind + b"\r\n" + more + b"\r\n"
    return (head + body)[:MOST]


def multipart(*parts: bytes, kind: bytes = b"mixed", boundary: bytes = b"=_edge") -> bytes:
    head = DAEMON + b"Content-Type: multipart/" + kind + b'; boundary="' + boundary + b'"\r\n\r\n'
    pieces = (b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return (head + b"".join(pieces) + b"--" + boundary + b"--\r\n")[:MOST]


def report(fields: bytes) -> bytes:
    """A delivery status notification with these fields."""
    return multipart(
        b"Content-Type: text/plain\r\n\r\nA message could not be delivered.",
        b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; a.example\r\n\r\n"
        + fields,
        kind=b"report; report-type=delivery-status",
    )


def nested(depth: int, *, same: bool = False) -> bytes:
    """Multiparts inside each other, with boundaries of their own or all with the same."""
    opened = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n"
        % (n * (not same), n * (not same))
        for n in range(depth)
    )
    return DAEMON + opened + b"\r\nthe end"


def forwarded(depth: int) -> bytes:
    """Messages inside messages."""
    return DAEMON + b"Content-Type: message/rfc822\r\n\r\n" * depth + b"the end"


def prefixes(count: int) -> bytes:
    """Nested multiparts, each boundary the beginning of the next."""
    opened = b"".join(
        b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n--%s\r\n" % (b"a" * n, b"a" * n)
        for n in range(1, count)
    )
    return DAEMON + opened + b"--" + b"a" * 69 + b"\r\n" * 100_000


def archive() -> bytes:
    """A zip that claims to be an aggregate report and holds 1 GB of nothing."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as file, file.open("r.xml", "w") as page:
        for _ in range(50):
            page.write(bytes(2_000_000))
    return held.getvalue()


def attached(name: bytes, kind: bytes, content: bytes) -> bytes:
    return multipart(
        b"Content-Type: text/plain\r\n\r\nsee attachment",
        b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: attachment; filename="' + name + b'"\r\n\r\n'
        + base64.encodebytes(content),
    )  # fmt: skip


def html(page: bytes) -> bytes:
    return notice(b"<p>could not be delivered to a@example.net " + page, b"text/html")


def event(message: bytes) -> bytes:
    """What Amazon's notifications look like from outside."""
    return b"From: sns@example.com\r\nx-amz-sns-message-id: 1\r\n\r\n" + message


def charset(name: bytes) -> bytes:
    return notice(
        b"+ADw-script+AD4- \xe9\x00 a@example.net\r\n" * 20_000, b"text/plain; charset=" + name
    )


def recipients(count: int) -> bytes:
    return report(
        b"".join(
            b"Final-Recipient: rfc822; user%d@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n"
            b"Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n" % n
            for n in range(count)
        )
    )


def words(count: int) -> bytes:
    """One header field of nothing but encoded words."""
    chain = b"\r\n ".join([b"=?utf-8?q?=61=62=63?=", b"=?utf-8?b?YWJj?="] * count)
    return DAEMON.replace(b"Subject: ", b"Subject: " + chain) + b"\r\nbody"


def rfc2231(count: int) -> bytes:
    parameters = b";\r\n ".join(b"boundary*%d*=utf-8''%%41" % n for n in range(count))
    return notice(b"--A\r\n\r\nbody", b"multipart/mixed;\r\n " + parameters)


BOMBS: dict[str, Callable[[], bytes]] = {
    # nesting
    "multiparts nested 1,000 deep": lambda: nested(1_000),
    "multiparts nested 10,000 deep": lambda: nested(10_000),
    "multiparts nested 10,000 deep with one boundary": lambda: nested(10_000, same=True),
    "a chain of 10,000 messages": lambda: forwarded(10_000),
    "a chain of 300,000 messages": lambda: forwarded(300_000),
    "500,000 empty parts": lambda: multipart(*[b""] * 500_000),
    "500,000 empty parts with one letter for a boundary": lambda: multipart(
        *[b""] * 500_000, boundary=b"a"
    ),
    "a boundary of 70 hyphens in a body of hyphens": lambda: multipart(
        b"\r\n" + b"-" * 9_000_000, boundary=b"-" * 70
    ),
    "delimiter lines that are none": lambda: multipart(b"--=_edgeX\r\n" * 800_000),
    "each boundary the beginning of the next": lambda: prefixes(69),
    "the closing delimiter is missing": lambda: multipart(b"x" * 5_000_000)[:-20],
    "multiparts that all hold the whole rest": lambda: nested(21)[:-7] + b"y\r\n" * 3_000_000,
    # header
    "500,000 folded lines": lambda: DAEMON + b"X-Long: a\r\n" + b" b\r\n" * 500_000 + b"\r\nbody",
    "500,000 fields": lambda: DAEMON + b"A: b\r\n" * 500_000 + b"\r\nbody",
    "a header of 10 MB in one line": lambda: DAEMON + b"X: " + b"a" * 9_900_000,
    "Content-Type: a=((((": lambda: notice(b"body", b"text/plain; a=" + b"(" * 50_000),
    "Content-Type of semicolons": lambda: notice(b"body", b"text/plain" + b";" * 90_000),
    "Content-Type of quotation marks": lambda: notice(
        b"body", b'text/plain; a="' + b'\\"' * 40_000
    ),
    "RFC 2231 continuations a*0 to a*9999": lambda: rfc2231(10_000),
    "a chain of 20,000 encoded words": lambda: words(10_000),
    "encoded words that never end": lambda: (
        DAEMON + b"Subject: " + b"=?utf-8?q?" * 9_000 + b"\r\n\r\n"
    ),
    "100,000 parentheses in From": lambda: b"From: " + b"(" * 50_000 + b")" * 49_000 + DAEMON,
    "60,000 addresses in To": lambda: DAEMON + b"To: " + b"a@b.cc, " * 12_000 + b"\r\n\r\nfailed",
    "X-Failed-Recipients of 12,000": lambda: (
        DAEMON + b"X-Failed-Recipients: " + b",".join(b"u%d@a.cc" % n for n in range(9_000))
    ),
    "a header without an end": lambda: DAEMON + b"A: b\r\n" * 1_600_000,
    "10 MB of blank lines in front": lambda: b"\r\n" * 4_990_000 + DAEMON,
    # lines and bytes
    "one line of 10 MB": lambda: notice(b"a" * MOST),
    "one line of 10 MB of addresses": lambda: notice(b"a@b.cc " * (MOST // 7)),
    "5,000,000 empty lines": lambda: notice(b"\r\n" * 5_000_000),
    "CR only": lambda: notice(
        LISTING + b"<a@example.net>: user unknown\r\n" * 300_000
    ).replace(b"\n", b""),
    "UTF-16": lambda: notice((LISTING * 20_000).decode().encode("utf-16")),
    "all in UTF-16": lambda: notice(LISTING * 20_000).decode().encode("utf-16"),
    "every second byte NUL": lambda: notice(b"\0".join(bytes([c]) for c in LISTING * 30_000)),
    "10 MB of NUL": lambda: bytes(MOST),
    "10 MB of 0xFF": lambda: notice(b"\xff" * MOST),
    "surrogates in UTF-8": lambda: notice(
        b"\xed\xa0\x80 a\xed\xb0\x80@example.net failed\r\n" * 200_000
    ),
    "nothing": lambda: b"",
    # transfer encodings
    "10 MB of base64": lambda: notice(
        base64.encodebytes(b"could not be delivered <a@example.net>\n" * 180_000),
        more=b"Content-Transfer-Encoding: base64\r\n",
    ),
    "base64 with more noise than letters": lambda: notice(
        b"Q-\x00=!" * 2_000_000, more=b"Content-Transfer-Encoding: base64\r\n"
    ),
    "quoted-printable of soft breaks": lambda: notice(
        b"=\r\n" * 3_300_000, more=b"Content-Transfer-Encoding: quoted-printable\r\n"
    ),
    "quoted-printable of equals signs": lambda: notice(
        b"=" * MOST, more=b"Content-Transfer-Encoding: quoted-printable\r\n"
    ),
    "uuencode": lambda: notice(
        b"begin 644 a\r\n" + b"M" + b"#" * 60 + b"\r\n" * 5_000_000,
        more=b"Content-Transfer-Encoding: x-uuencode\r\n",
    ),
    "a status part of 10 MB of base64": lambda: multipart(
        b"Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(b"Final-Recipient: rfc822; a@b.cc\n\n" * 200_000),
        kind=b"report; report-type=delivery-status",
    ),
    # charsets
    "charset utf-7": lambda: charset(b"utf-7"),
    "charset idna": lambda: charset(b"idna"),
    "charset undefined": lambda: charset(b"undefined"),
    "charset zlib": lambda: notice(zlib.compress(bytes(MOST), 9), b"text/plain; charset=zlib"),
    "charset with a NUL": lambda: charset(b'"us-ascii\x00"'),
    "charset of 90 kB": lambda: charset(b"x" * 90_000),
    "charset hz": lambda: charset(b"hz-gb-2312"),
    "charset iso-2022-jp": lambda: notice(
        b"\x1b$B!!" * 500_000, b"text/plain; charset=iso-2022-jp"
    ),
    # HTML
    "1,000,000 tags": lambda: html(b"<p>" * 1_000_000),
    "1,000,000 entities": lambda: html(b"&amp;" * 1_000_000),
    "entities of 60,000 digits": lambda: html(b"&#" + b"9" * 60_000 + b";"),
    "tags that never close": lambda: html(b"<" * 3_000_000),
    "br that never closes": lambda: html(b"<br" * 1_000_000),
    "tags over many lines": lambda: html(b"<a\r\n" * 1_000_000),
    "comments that never close": lambda: html(b"<!--" * 1_000_000),
    "styles that never close": lambda: html(b"<style" * 1_000_000),
    "capitals that grow when lowered": lambda: html("İ<STYLE>".encode() * 300_000),
    # finders of addresses and codes
    "a flood of <": lambda: notice(LISTING + b"<" * MOST),
    "a flood of @": lambda: notice(LISTING + b"@" * MOST),
    "a flood of a@": lambda: notice(LISTING + b"a@" * (MOST // 2)),
    "a flood of <a@b>": lambda: notice(LISTING + b"<a@b>" * 200_000),
    "a flood of quotation marks": lambda: notice(LISTING + b'"a' * 300_000 + b"@b"),
    "a domain of dots": lambda: notice(LISTING + b"a@" + b"b." * 300_000),
    "hyphens and blanks": lambda: notice(LISTING + (b"- " * 240 + b"@\r\n") * 2_000),
    "labels and blanks": lambda: notice(LISTING + (b"recipient" + b" " * 400 + b"@\r\n") * 2_000),
    "stars, blanks and addresses": lambda: notice(
        LISTING + (b"* " * 20 + b"a" * 400 + b"@\r\n") * 2_000
    ),
    "lines of commas": lambda: notice(LISTING + (b"a@b.cc," * 70 + b"!\r\n") * 2_000),
    "10,000 listed addresses": lambda: notice(
        LISTING + b"".join(b"<user%d@example.net>:\r\n550 5.1.1 no\r\n" % n for n in range(10_000))
    ),
    "a transcript of 100,000 lines": lambda: notice(
        b"".join(b">>> RCPT TO:<u%d@a.cc>\r\n<<< 550 5.1.1 no\r\n" % n for n in range(50_000))
    ),
    "sentences without an end": lambda: notice(b"not be delivered to a@b.cc. " * 300_000),
    "codes without an end": lambda: notice(LISTING + b"a@example.net: " + b"550-5.1.1 " * 100_000),
    "the beginnings of every rule": lambda: notice(
        LISTING + b"a@example.net: 550 " + b"user mailbox recipient address account host " * 10_000
    ),
    "\\x{41} without an end": lambda: report(
        b"Final-Recipient: utf-8; " + b"\\x{41}" * 100_000 + b"@b.cc\r\nAction: failed\r\n"
    ),
    "said: without an end": lambda: report(
        b"Final-Recipient: rfc822; a@b.cc\r\nAction: failed\r\nDiagnostic-Code: smtp; "
        + b"said host was server " * 40_000
    ),
    # reports
    "a report on 10,000 recipients": lambda: recipients(10_000),
    "status fields repeated 100,000 times": lambda: report(
        b"Final-Recipient: rfc822; a@b.cc\r\nAction: failed\r\n" + b"Status: 5.1.1\r\n" * 100_000
    ),
    "one field of 100,000 lines": lambda: report(
        b"Final-Recipient: rfc822; a@b.cc\r\nDiagnostic-Code: smtp; 550\r\n"
        + b"    no\r\n" * 100_000
    ),
    "a status part of blank lines": lambda: report(b"\r\n" * 2_000_000),
    "150 status parts": lambda: multipart(
        *[
            b"Content-Type: message/delivery-status\r\n\r\n"
            + b"Final-Recipient: rfc822; a%d@b.cc\r\n\r\n" % n * 1_500
            for n in range(150)
        ],
        kind=b"report; report-type=delivery-status",
    ),
    "150 parts that only look like status parts": lambda: multipart(
        *[b"\r\n" + b"Final-Recipient: rfc822; a@b.cc\r\n\r\n" * 1_800 for _ in range(150)]
    ),
    "150 parts of HTML": lambda: multipart(
        *[b"Content-Type: text/html\r\n\r\n" + b"<p>a@b.cc&amp;" * 4_500 for _ in range(150)]
    ),
    "a feedback report of 100,000 fields": lambda: multipart(
        b"Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n"
        + b"Removal-Recipient: a@b.cc\r\n" * 100_000,
        kind=b"report; report-type=feedback-report",
    ),
    "JSON of brackets": lambda: event(b'{"a":' + b"[" * 500_000 + b"}"),
    "JSON of numbers": lambda: event(b'{"a":' + b"9" * 60_000 + b"}"),
    "JSON in JSON": lambda: event(b'{"Message":"{\\"notificationType\\":\\"Bounce\\",\\"bounce\\":'
                                  b'{\\"bouncedRecipients\\":[' + b"{}," * 300_000 + b'{}]}}"}'),
    # archives
    "a zip of 100 MB called a DMARC report": lambda: attached(
        b"a.example!b.example!1700000000!1700086400.zip", b"application/zip", archive()
    ),
    "a gzip of 100 MB called a DMARC report": lambda: attached(
        b"a.example!b.example!1700000000!1700086400.xml.gz", b"application/gzip",
        gzip.compress(bytes(100_000_000)),
    ),
}  # fmt: skip

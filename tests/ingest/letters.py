"""Reports as mail systems write them, in our own words, with addresses of RFC 2606."""

from __future__ import annotations

import base64
from collections.abc import Iterable

SENDER = "news@example.com"
LETTER = "\r\n".join(
    [
        "Received: from app.example.com by out.example.com; Mon, 6 May 2024 10:00:00 +0000",
        f"From: News <{SENDER}>",
        "To: nobody@example.net",
        "Subject: Your invoice",
        "Message-ID: <letter.1@example.com>",
        "",
        "Good day.",
    ]
)


def letter(headers: Iterable[str], body: str) -> bytes:
    """A message of these header lines and this body, CRLF all through."""
    text = "\n".join([*headers, "", body])
    return text.replace("\r\n", "\n").replace("\n", "\r\n").encode()


def notice(
    body: str,
    *,
    sender: str = "Mail Delivery System <MAILER-DAEMON@mx.example.org>",
    subject: str = "Undelivered Mail Returned to Sender",
    more: Iterable[str] = (),
) -> bytes:
    """A notice of failure in plain text."""
    headers = [f"From: {sender}", f"To: {SENDER}", f"Subject: {subject}", *more]
    return letter(headers, body)


def group(**fields: str) -> str:
    """One recipient's fields: `final_recipient` becomes `Final-Recipient`."""
    return "\n".join(f"{name.replace('_', '-').title()}: {text}" for name, text in fields.items())


def report(
    *groups: str,
    text: str = "A message could not be delivered.",
    kind: str = "message/delivery-status",
    encoding: str = "",
    blank: str = "\n\n",
    returned: str = LETTER,
    subject: str = "Undelivered Mail Returned to Sender",
) -> bytes:
    """A delivery status notification: notice, fields, the returned letter.  RFC 3464."""
    fields = blank.join(["Reporting-MTA: dns; mx.example.org", *groups])
    if encoding == "base64":
        fields = base64.encodebytes(fields.encode()).decode()
    lines = [
        "From: MAILER-DAEMON@mx.example.org",
        f"To: {SENDER}",
        f"Subject: {subject}",
        "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=delivery-status; boundary="=_edge"',
    ]
    parts = [
        "--=_edge",
        "Content-Type: text/plain; charset=utf-8",
        "",
        text,
        "--=_edge",
        f"Content-Type: {kind}",
        *([f"Content-Transfer-Encoding: {encoding}"] if encoding else []),
        "",
        fields,
        "",
        "--=_edge",
        "Content-Type: message/rfc822",
        "",
        returned,
        "--=_edge--",
    ]
    return letter(lines, "\n".join(parts))


def feedback(
    fields: str, *, returned: str = LETTER, encoding: str = "", top: str = "report"
) -> bytes:
    """A feedback report.  RFC 5965."""
    if encoding == "base64":
        fields = base64.encodebytes(fields.encode()).decode()
    lines = [
        "From: feedback@isp.example.org",
        "To: fbl@example.com",
        "Subject: FW: Your invoice",
        f"Content-Type: multipart/{top}; report-type=feedback-report; boundary=cut",
    ]
    parts = [
        "--cut\nContent-Type: text/plain\n\nThis is an abuse report.",
        "--cut\nContent-Type: message/feedback-report",
        *([f"Content-Transfer-Encoding: {encoding}"] if encoding else []),
        f"\n{fields}\n",
        f"--cut\nContent-Type: message/rfc822\n\n{returned}",
        "--cut--",
    ]
    return letter(lines, "\n".join(parts))

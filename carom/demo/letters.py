"""What the demo's providers write back: delivery status notifications, complaints, auto-replies.

Real formats (RFC 3464, RFC 5965, RFC 3834) around the real message they are about, as a receiving
system would make them; the reader has to understand them like anybody's.
"""

from __future__ import annotations

from email.utils import formatdate, make_msgid

HOST = "mx.providers.example"
_MARK = "=_the-demo-is-over"


def bounce(sender: str, recipient: str, original: bytes, status: str, diagnostic: str) -> bytes:
    """A multipart/report of delivery-status, to `sender`."""
    return _report(
        _head(f"postmaster@{HOST}", sender, "Undelivered Mail Returned to Sender", "auto-replied"),
        "delivery-status",
        f"I could not deliver your message.\n\n<{recipient}>: {diagnostic}\n",
        f"Reporting-MTA: dns; {HOST}\n\n"
        f"Final-Recipient: rfc822; {recipient}\nAction: failed\nStatus: {status}\n"
        f"Diagnostic-Code: smtp; {diagnostic}\n",
        original,
    )


def complaint(to: str, recipient: str, original: bytes) -> bytes:
    """A feedback report, RFC 5965, without the recipient's name, as most providers send it."""
    return _report(
        _head(f"feedback@{HOST}", to, "Abuse report", "auto-generated"),
        "feedback-report",
        "A user marked this message as spam.\n",
        "Feedback-Type: abuse\nUser-Agent: Providers-FBL/1.0\nVersion: 1\n"
        f"Source-IP: 127.0.0.1\nReported-Domain: {recipient.rpartition('@')[2]}\n",
        original,
    )


def out_of_office(to: str, recipient: str) -> bytes:
    """A vacation notice, RFC 3834."""
    head = _head(recipient, to, "Out of office", "auto-replied")
    return _wire(f"{head}Precedence: bulk\n\nI am away until Monday and read your mail then.\n")


def _head(from_: str, to: str, subject: str, auto: str) -> str:
    return (
        f"From: <{from_}>\nTo: <{to}>\nSubject: {subject}\nDate: {formatdate()}\n"
        f"Message-ID: {make_msgid(domain=HOST)}\nAuto-Submitted: {auto}\nMIME-Version: 1.0\n"
    )


def _report(head: str, kind: str, words: str, fields: str, original: bytes) -> bytes:
    """RFC 6522: words for people, fields for machines, the message that it is about."""
    front = (
        f'{head}Content-Type: multipart/report; report-type={kind}; boundary="{_MARK}"\n\n'
        f"--{_MARK}\nContent-Type: text/plain\n\n{words}\n"
        f"--{_MARK}\nContent-Type: message/{kind}\n\n{fields}\n"
        f"--{_MARK}\nContent-Type: message/rfc822\n\n"
    )
    return _wire(front) + original + _wire(f"\n--{_MARK}--\n")


def _wire(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()

"""A bounce that a person passes on is read as what it reports, and suppresses nobody by itself."""

from __future__ import annotations

import pytest

from analysis.facts import Kind, Reading
from analysis.rulebook import shipped
from analysis.verdict import Category, Severity
from ingest.parse import read_mail

REPORT = """\
From: Mail Delivery System <MAILER-DAEMON@mx.example.org>
Date: Thu, 26 Nov 2026 10:00:00 +0000
To: shop@example.com
Subject: Undelivered Mail Returned to Sender

I'm sorry to have to inform you that your message could not be delivered.

<gone@example.net>: host mx.example.net said: 550 5.1.1 <gone@example.net>: user unknown
"""
BY_HAND = "From: Ann <ann@example.com>\nTo: bounce@example.com\nUser-Agent: Mail 1\n"


def quoted(mark: str) -> str:
    return "".join(f"{mark}{line}\n" for line in REPORT.splitlines())


def read(subject: str, body: str) -> Reading:
    return read_mail(f"{BY_HAND}Subject: {subject}\n\n{body}".encode(), shipped())


@pytest.mark.parametrize("mark", ["> ", ">", "", "| "])
@pytest.mark.parametrize("subject", ["Fwd: Undelivered Mail", "WG: Undelivered", "转发：退信"])
def test_a_quoted_report_is_read_whatever_marks_the_quotation(subject: str, mark: str) -> None:
    reading = read(subject, f"see below\n\n-------- Forwarded Message --------\n{quoted(mark)}")
    assert (reading.kind, [r.address for r in reading.recipients]) == (
        Kind.BOUNCE,
        ["gone@example.net"],
    )
    verdict = reading.recipients[0].verdict
    assert (verdict.category, verdict.severity) == (Category.BAD_MAILBOX, Severity.HARD)


def test_an_attached_report_is_read() -> None:
    parts = f"--x\nContent-Type: message/rfc822\n\n{REPORT}\n--x--\n"
    header = f"{BY_HAND}Subject: Fwd: bounce\nContent-Type: multipart/mixed; boundary=x\n\n"
    reading = read_mail((header + parts).encode(), shipped())
    assert [r.address for r in reading.recipients] == ["gone@example.net"]


def test_what_a_person_hands_over_suppresses_nobody() -> None:
    assert not any(r.verdict.suppress for r in read("Fwd: x", quoted("> ")).recipients)


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        ("Re: Undelivered Mail Returned to Sender", quoted("> ")),
        ("Undelivered mail, what now?", quoted("> ")),
        ("Fwd: lunch", quoted("> ").replace("Mail Delivery System <MAILER-DAEMON", "Bob <bob")),
        ("Fwd: Undelivered Mail", "> From: Mail Delivery System\n\n550 for gone@example.net"),
        ("Fwd: Undelivered", "From: MAILER-DAEMON tells that gone@example.net: user unknown"),
    ],
)
def test_an_answer_a_letter_and_a_mere_mention_are_no_bounce(subject: str, body: str) -> None:
    assert read(subject, body).kind is Kind.NORMAL


def test_a_report_is_opened_once() -> None:
    inner = REPORT.replace("Subject: Undelivered", "Subject: Fwd: Undelivered")
    twice = "".join(f"> {line}\n" for line in (inner + quoted("> ")).splitlines())
    assert len(read("Fwd: Fwd: Undelivered", twice).recipients) == 1

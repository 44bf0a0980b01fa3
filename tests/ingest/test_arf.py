"""Complaints are recognised in every shape, and what they lack is not invented."""

from __future__ import annotations

import pytest

from analysis.facts import Kind, Reading
from ingest.arf import read_complaint
from ingest.mime import read_mime
from tests.ingest.letters import LETTER, feedback, letter

FULL = """Feedback-Type: abuse
User-Agent: Isp/1.0
Version: 1
Original-Rcpt-To: <angry@example.net>
Source-IP: 192.0.2.9
Reporting-MTA: dns; mx.example.org
Arrival-Date: Mon, 6 May 2024 10:00:00 +0000"""


def read(raw: bytes) -> Reading:
    reading = read_complaint(read_mime(raw))
    assert reading is not None
    assert reading.kind is Kind.COMPLAINT
    return reading


def test_a_full_report_gives_type_recipient_and_the_returned_message() -> None:
    reading = read(feedback(FULL))
    assert reading.feedback_type == "abuse"
    assert [recipient.address for recipient in reading.recipients] == ["angry@example.net"]
    assert reading.message_id == "<letter.1@example.com>"
    assert reading.extra["source_ip"] == "192.0.2.9"
    assert reading.reporting_mta == "mx.example.org"


@pytest.mark.parametrize("kind", ["abuse", "fraud", "not-spam", "opt-out", "auth-failure", "virus"])
def test_every_feedback_type_is_told(kind: str) -> None:
    assert read(feedback(f"feedback-type: {kind.upper()}\nVersion: 1")).feedback_type == kind


def test_a_base64_report_in_multipart_mixed_is_read() -> None:
    reading = read(feedback(FULL, encoding="base64", top="mixed"))
    assert (reading.feedback_type, len(reading.recipients)) == ("abuse", 1)


def test_fields_in_a_plain_text_part_are_a_report() -> None:
    body = f"--cut\n\n{FULL}\n--cut\nContent-Type: message/rfc822\n\n{LETTER}\n--cut--"
    raw = letter(["From: fbl@isp.example", "Content-Type: multipart/mixed; boundary=cut"], body)
    assert [r.address for r in read(raw).recipients] == ["angry@example.net"]


def test_several_recipients_are_all_evidence() -> None:
    reading = read(feedback(FULL + "\nOriginal-Rcpt-To: b@example.net"))
    assert [r.address for r in reading.recipients] == ["angry@example.net", "b@example.net"]


def test_a_redacted_report_names_nobody() -> None:
    redacted = LETTER.replace("To: nobody@example.net", "To: [redacted]")
    assert read(feedback("Feedback-Type: abuse", returned=redacted)).recipients == ()


def test_a_microsoft_complaint_carries_its_recipient_in_the_original() -> None:
    body = (
        "--cut\nContent-Type: message/rfc822\n\n"
        f"X-HmXmrOriginalRecipient: angry@hotmail.example\n{LETTER}\n--cut--"
    )
    reading = read(
        letter(
            [
                "From: staff@hotmail.com",
                "Subject: complaint about message from 192.0.2.9",
                "Content-Type: multipart/mixed; boundary=cut",
            ],
            body,
        )
    )
    assert [recipient.address for recipient in reading.recipients] == ["angry@hotmail.example"]


def test_a_failure_report_in_plain_text_is_an_auth_failure() -> None:
    raw = letter(
        ["From: dmarc@example.org", "Subject: DMARC Forensic Report for example.com"],
        "A message failed the published DMARC policy of your domain.",
    )
    assert read(raw).feedback_type == "auth-failure"


@pytest.mark.parametrize("subject", ["Re: abuse report", "spam complaint procedure", "Lunch"])
def test_mail_about_complaints_is_no_complaint(subject: str) -> None:
    raw = letter([f"Subject: {subject}", "From: friend@example.net"], "How do we handle these?")
    assert read_complaint(read_mime(raw)) is None

"""Amazon's events are the reports they would have been as mail."""

from __future__ import annotations

import json
from typing import Any

import pytest

from analysis.facts import Kind
from analysis.rulebook import shipped
from analysis.verdict import Category
from ingest.parse import read_mail
from tests.ingest.letters import letter

HEADERS = ["From: no-reply@sns.amazonaws.com", "x-amz-sns-message-id: 1"]


def event(message: Any, *headers: str) -> bytes:
    body = json.dumps({"Type": "Notification", "Message": message}, indent=1)
    return letter([*HEADERS, *headers], body)


def test_a_bounce_event_names_recipient_and_cause() -> None:
    row = {
        "emailAddress": "gone@example.net",
        "status": "5.1.1",
        "diagnosticCode": "smtp; 550 5.1.1 user unknown",
    }
    message = json.dumps({"notificationType": "Bounce", "bounce": {"bouncedRecipients": [row]}})
    reading = read_mail(event(message), shipped())
    (recipient,) = reading.recipients
    assert (reading.kind, recipient.address) == (Kind.BOUNCE, "gone@example.net")
    assert recipient.verdict.category is Category.BAD_MAILBOX


def test_a_complaint_event_is_a_complaint() -> None:
    detail = {"complainedRecipients": [{"emailAddress": "angry@example.net"}]}
    message = json.dumps({"eventType": "Complaint", "complaint": detail})
    reading = read_mail(event(message), shipped())
    assert (reading.kind, reading.feedback_type) == (Kind.COMPLAINT, "abuse")
    assert [recipient.address for recipient in reading.recipients] == ["angry@example.net"]


@pytest.mark.parametrize(
    "message",
    [
        None,
        "",
        "[" * 50_000,
        "{}",
        '{"notificationType": "Bounce", "bounce": []}',
        '{"notificationType": "Bounce", "bounce": {"bouncedRecipients": {"a": 1}}}',
        '{"notificationType": "Bounce", "bounce": {"bouncedRecipients": [1, null, []]}}',
        '{"notificationType": ["Bounce"]}',
    ],
)
def test_an_event_out_of_shape_names_nobody(message: Any) -> None:
    reading = read_mail(event(message), shipped())
    assert reading.recipients == ()
    assert reading.error is None


def test_json_that_a_person_sends_is_mail() -> None:
    body = json.dumps({"Message": json.dumps({"notificationType": "Bounce"})})
    assert read_mail(letter(["From: a@example.net"], body), shipped()).kind is Kind.NORMAL


def test_escapes_that_no_database_takes_are_not_taken_over() -> None:
    row = {
        "emailAddress": "a@example.net",
        "status": "5.1.1\0",
        "diagnosticCode": "550 \ud800\0 no",
    }
    message = json.dumps({"notificationType": "Bounce", "bounce": {"bouncedRecipients": [row]}})
    reading = read_mail(event(message), shipped())
    [recipient] = reading.recipients
    assert reading.error is None
    assert (recipient.address, recipient.status) == ("a@example.net", "5.1.1")
    assert recipient.diagnostic.isprintable()

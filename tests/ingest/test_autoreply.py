"""Software that answers for a person is told from a mail system that failed."""

from __future__ import annotations

import pytest

from ingest.autoreply import is_away, is_challenge, is_help_desk
from ingest.mime import read_mime
from tests.ingest.letters import letter


@pytest.mark.parametrize(
    "header",
    [
        "Auto-Submitted: auto-replied",
        "Precedence: auto_reply",
        "X-Autoreply: yes",
        "X-Auto-Reply: yes",
        "Subject: Out of Office: invoice",
        "Subject: Automatic reply: invoice",
        "Subject: Abwesenheitsnotiz: invoice",
        "Subject: =?utf-8?B?6Ieq5Yqo5Zue5aSNOiBoaQ==?=",
    ],
)
def test_an_answering_machine_is_known(header: str) -> None:
    assert is_away(read_mime(letter([header, "From: a@example.net"], "Back on Monday.")))


def test_a_person_who_answers_is_no_machine() -> None:
    raw = letter(["Subject: Re: office hours", "Auto-Submitted: no"], "I am in the office.")
    assert not is_away(read_mime(raw))


def test_a_mailbox_that_wants_a_click_is_a_challenge() -> None:
    body = "Please click the link below to be added to the allowed list.\nhttps://example.net/1"
    assert is_challenge(read_mime(letter(["Subject: Re: Your invoice"], body)))
    assert not is_challenge(read_mime(letter(["Subject: Newsletter"], body)))


MADE = "Auto-Submitted: auto-generated"
QUIET = "X-Auto-Response-Suppress: All"


@pytest.mark.parametrize(
    ("headers", "body", "desk"),
    [
        ([MADE, QUIET], "We have received your message and will look into it.", True),
        ([MADE, QUIET], "Ihre Anfrage ist bei uns eingegangen.", True),
        ([MADE, "Return-Path: <>"], "Somebody will write to you.", True),
        ([MADE, QUIET], "The weekly figures are ready.", False),
        ([MADE], "We have received your message.", False),
        ([QUIET], "We have received your message.", False),
    ],
)
def test_a_help_desk_says_that_it_answers(headers: list[str], body: str, desk: bool) -> None:
    mail = read_mime(letter([*headers, "From: desk@example.net", "Subject: Hello"], body))
    assert is_help_desk(mail) is desk


@pytest.mark.parametrize(
    "body",
    [
        "Jo has a guest list. To be on it, prove that you are human: https://example.net/a",
        "Your mail is on the waitlist until you confirm yourself: https://example.net/b",
    ],
)
def test_a_waiting_list_that_wants_a_proof_is_a_challenge(body: str) -> None:
    mail = read_mime(letter(["Subject: Mail to Jo", "Auto-Submitted: auto-replied"], body))
    assert is_challenge(mail)

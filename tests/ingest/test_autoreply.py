"""Software that answers for a person is told from a mail system that failed."""

from __future__ import annotations

import pytest

from ingest.autoreply import is_away, is_challenge
from ingest.mime import read_mime
from tests.ingest.letters import letter


@pytest.mark.parametrize(
    "header",
    [
        "Auto-Submitted: auto-replied",
        "Precedence: auto_reply",
        "X-Autoreply: yes",
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

"""The shipped rules understand replies they were not written from."""

from __future__ import annotations

import pytest

from analysis.reply import Reply
from analysis.rulebook import shipped
from analysis.verdict import Fault, Severity
from tests.analysis.loose_wordings import LOOSE

DEAD = {"bad_mailbox", "mailbox_disabled", "bad_domain"}
TOLD = [(category, text) for category, texts in LOOSE.items() for text in texts]


@pytest.mark.parametrize(("category", "text"), TOLD)
def test_loose_wording_is_understood(category: str, text: str) -> None:
    verdict = shipped().classify(Reply.read(text))
    assert verdict.category == category, verdict.rule


@pytest.mark.parametrize(("category", "text"), TOLD)
def test_hard_against_the_recipient_exactly_where_it_is_gone(category: str, text: str) -> None:
    reply = Reply.read(text)
    verdict = shipped().classify(reply)
    hard = verdict.severity is Severity.HARD
    against = hard and verdict.fault in (Fault.RECIPIENT, Fault.DOMAIN)
    lasting = reply.code is None or reply.code >= 500
    assert against == (category in DEAD and lasting)

"""What many systems write is read as they mean it, and ordinary mail about failures is not."""

from __future__ import annotations

import pytest

from analysis.rulebook import shipped
from analysis.verdict import Fault, Severity
from ingest.parse import read_mail
from tests.ingest.ordinary import ORDINARY
from tests.ingest.samples import BOUNCES, OTHERS

RULES = shipped()
DEAD = {"bad_mailbox", "mailbox_disabled", "bad_domain"}


@pytest.mark.parametrize("name", BOUNCES)
def test_bounce_names_who_failed_and_why(name: str) -> None:
    raw, expected = BOUNCES[name]
    reading = read_mail(raw, RULES)
    failed = (r for r in reading.recipients if r.action in ("failed", "delayed"))
    assert {r.address: r.verdict.category.value for r in failed} == expected
    assert reading.kind == "bounce"
    assert reading.error is None


@pytest.mark.parametrize("name", BOUNCES)
def test_only_the_dead_are_held_against(name: str) -> None:
    raw, expected = BOUNCES[name]
    for recipient in read_mail(raw, RULES).recipients:
        verdict = recipient.verdict
        hard = verdict.severity is Severity.HARD and verdict.fault in (
            Fault.RECIPIENT,
            Fault.DOMAIN,
        )
        assert hard == (expected.get(recipient.address) in DEAD)


@pytest.mark.parametrize("name", OTHERS)
def test_other_notices_are_told_apart(name: str) -> None:
    kind, raw = OTHERS[name]
    assert read_mail(raw, RULES).kind == kind


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_mail_about_failures_is_no_bounce(name: str) -> None:
    reading = read_mail(ORDINARY[name], RULES)
    assert reading.kind not in ("bounce", "delayed", "complaint")

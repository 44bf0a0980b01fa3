"""The account that a rule knows best decides."""

from __future__ import annotations

import pytest

from analysis.rulebook import shipped
from analysis.verdict import Category, Severity
from ingest.finding import Finding, judge, reply_in


class Silent:
    """A notice that says nothing."""

    def near(self, address: str) -> tuple[str, ...]:
        return ()

    def whole(self) -> str:
        return ""


class Telling(Silent):
    """A notice with these words beside the address, and these in all."""

    def __init__(self, near: str = "", whole: str = "") -> None:
        self._near, self._whole = near, whole

    def near(self, address: str) -> tuple[str, ...]:
        return (self._near,) if self._near else ()

    def whole(self) -> str:
        return self._whole


@pytest.mark.parametrize(
    ("words", "code", "enhanced"),
    [
        ("550 5.1.1 user unknown", 550, "5.1.1"),
        ("host mx.example.net[192.0.2.1] said: 552-5.2.2 mailbox full", 552, "5.2.2"),
        ("550 #5.1.0 Address rejected.", 550, "5.1.0"),
        ("Remote host said: 554 no", 554, None),
        ("no mailbox here by that name. (#5.1.1)", None, "5.1.1"),
        ("connect to mx.example.net[192.0.2.1]:25: timed out", None, None),
        ("took 450.5 seconds on 10.5.1.1", None, None),
        ("", None, None),
    ],
)
def test_codes_are_found_wherever_they_stand(
    words: str, code: int | None, enhanced: str | None
) -> None:
    reply = reply_in(words)
    assert (reply.code, reply.enhanced) == (code, enhanced)


def test_codes_of_a_wrapped_reply_are_taken_off_its_text() -> None:
    reply = reply_in("550-5.1.1 The account does 550-5.1.1 not exist. 550 5.1.1 Try again")
    assert "550" not in reply.text
    assert "does not exist" in " ".join(reply.text.split())


def test_the_status_field_fills_in_but_does_not_overrule() -> None:
    assert reply_in("550 unknown", "5.1.1").enhanced == "5.1.1"
    assert reply_in("550 5.7.1 blocked", "5.1.1").enhanced == "5.7.1"
    assert reply_in("450 busy", "5.0.0").enhanced is None


def test_words_beside_the_address_are_asked_where_the_field_says_nothing() -> None:
    finding = Finding("u@example.net", "554 zork", status="5.0.0")
    line = judge(finding, shipped(), Telling(near="550 mailbox is full"))
    assert line.verdict.category is Category.MAILBOX_FULL


def test_boilerplate_does_not_overrule_what_is_known() -> None:
    finding = Finding("u@example.net", "550 5.1.1 user unknown")
    line = judge(finding, shipped(), Telling(whole="This mail was scanned for spam and viruses."))
    assert line.verdict.category is Category.BAD_MAILBOX


def test_a_delay_is_never_held_to_be_for_good() -> None:
    finding = Finding("u@example.net", "user unknown", action="delayed")
    assert judge(finding, shipped(), Silent()).verdict.severity is not Severity.HARD


def test_the_reply_that_a_gateway_quotes_decides() -> None:
    words = "5.1.0 - Unknown address error 550-'5.7.1 blocked by policy'"
    assert (reply_in(words).code, reply_in(words).enhanced) == (550, "5.7.1")


def test_a_queue_that_gave_up_has_expired() -> None:
    finding = Finding("u@example.net", status="4.4.7 (delivery time expired)")
    assert judge(finding, shipped(), Silent()).verdict.category is Category.EXPIRED


def test_hostile_words_are_clean_in_the_line() -> None:
    line = judge(Finding("u@example.net", "550 \x1b[31mred\x00\u2028"), shipped(), Silent())
    assert "\x1b" not in line.diagnostic
    assert "\x00" not in line.diagnostic


@pytest.mark.parametrize(
    "words",
    [
        "550 5.1.1 <u@example.net>: no such user",
        "550 5.2.1 account disabled",
        "The domain does not exist: 550 5.1.2",
    ],
)
def test_while_it_is_tried_no_answer_is_held_against_anybody(words: str) -> None:
    verdict = judge(Finding("u@example.net", words, action="delayed"), shipped(), Silent()).verdict
    assert verdict.severity is not Severity.HARD
    assert not verdict.suppress


def test_an_answer_told_as_an_earlier_one_is_not_the_answer() -> None:
    reply = reply_in("451 4.3.0 disk trouble (previously: 550 5.1.1 user unknown)")
    assert (reply.code, reply.enhanced) == (451, "4.3.0")
    assert "unknown" not in reply.text
    assert reply_in("(before: 550 5.1.1 unknown) now 421 4.3.2 closing").code == 421


def test_what_the_remote_host_said_decides_and_not_that_it_was_given_up() -> None:
    refused = "Remote host said: 550 nobody has that name\nGiving up on 192.0.2.7."
    assert "Giving up" not in reply_in(refused).text
    assert "Giving up" in reply_in(refused.replace("550", "451")).text


@pytest.mark.parametrize(
    ("action", "words", "severity"),
    [
        ("failed", "450 4.2.1 the mailbox has been disabled", Severity.HARD),
        ("failed", "450 4.1.1 user unknown", Severity.HARD),
        ("delayed", "450 4.2.1 the mailbox has been disabled", Severity.SOFT),
        ("failed", "452 4.2.2 mailbox full", Severity.SOFT),
        ("failed", "450 mailbox unavailable", Severity.SOFT),
    ],
)
def test_plain_words_last_once_it_is_given_up_but_a_passing_code_proves_nothing(
    action: str, words: str, severity: Severity
) -> None:
    verdict = judge(Finding("jo@example.net", words, action=action), shipped(), Silent()).verdict
    assert verdict.severity is severity
    assert not verdict.suppress

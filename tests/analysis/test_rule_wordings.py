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


@pytest.mark.parametrize(
    "text",
    [
        "550 Ihre IP-Adresse ist gesperrt",
        "554 Votre adresse IP est bloquee",
        "550 IP адрес не найден в DNS",
        "550 您的IP地址已被禁用",
        "550 Absenderadresse existiert nicht",
        "550 Votre compte expediteur est suspendu",
        "550 发件人地址不存在",
        "550 送信者のアドレスが存在しません",
        "550 Adres nadawcy nie istnieje",
        "550 Ihr Postfach wurde aufgelöst",
        "550 Ihr Konto existiert nicht mehr",
        "550 Ihr Vertrag ist gekündigt",
        "550 Votre boîte a été fermée",
        "550 Su cuenta ha sido desactivada",
        "550 La tua casella è stata chiusa",
    ],
)
def test_what_is_said_of_the_sender_is_not_held_against_the_recipient(text: str) -> None:
    verdict = shipped().classify(Reply.read(text))
    assert not verdict.suppress
    assert verdict.fault is Fault.SENDER


OURS = (
    "sender", "sender address", "your account", "your mailbox", "the sending account",
    "sending user", "mail from address", "envelope sender", "return path", "from address",
    "your mailbox [jo] at post office [example.com]", "sender account jo at example.com",
    "your account jo on server example.com", "authenticated user", "the originator",
    "your domain", "sender domain", "sending domain",
    "your IP address", "client host", "your host", "HELO name", "sender account a@example.com",
)  # fmt: skip
GONE = (
    "does not exist", "is unknown", "not found", "is disabled", "has been suspended",
    "is no longer valid", "has been deleted", "is not recognized", "has expired", "is locked",
    "is inactive", "could not be found", "has no mailbox here", "is not registered", "not local",
    "no longer exists", "not in our directory", "has left the company", "does not have an account",
)  # fmt: skip


@pytest.mark.parametrize("whose", OURS)
def test_whatever_is_said_of_us_suppresses_nobody(whose: str) -> None:
    said = [
        f"{codes} {intro}{whose} {what}"
        for codes in ("550", "550 5.1.1", "550 5.7.1", "554 5.2.1")
        for intro in ("", "Rejected: ", "<someone@example.net>: ")
        for what in GONE
    ]
    against = [text for text in said if shipped().classify(Reply.read(text)).suppress]
    assert against == []

"""The exchanges of AUTH PLAIN and LOGIN, and the syntax of DSN parameters."""

from __future__ import annotations

import asyncio
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.smtpd import CommandError
from analysis.smtpd.auth import MECHANISMS, Credentials, exchange
from analysis.smtpd.notices import check_mail, check_recipient


def coded(text: str) -> str:
    return b64encode(text.encode()).decode()


def talked(argument: str, *lines: str) -> tuple[Credentials, list[str]]:
    """What comes of an exchange in which the client says these lines, and what it was asked."""
    asked: list[str] = []
    said = iter(lines)

    async def ask(challenge: str) -> str:
        asked.append(challenge)
        return next(said)

    return asyncio.run(exchange(argument, MECHANISMS, ask)), asked


@pytest.mark.parametrize(
    ("argument", "lines", "asked"),
    [
        (f"PLAIN {coded(chr(0) + 'ann' + chr(0) + 'pass')}", [], []),
        (f"plain {coded('ann' + chr(0) + 'ann' + chr(0) + 'pass')}", [], []),
        ("PLAIN", [coded("\0ann\0pass")], [""]),
        ("LOGIN", [coded("ann"), coded("pass")], [coded("Username:"), coded("Password:")]),
        (f"login {coded('ann')}", [coded("pass")], [coded("Password:")]),
    ],
)
def test_every_form_gives_the_credentials(
    argument: str, lines: list[str], asked: list[str]
) -> None:
    assert talked(argument, *lines) == (Credentials("ann", "pass"), asked)


@pytest.mark.parametrize(
    ("argument", "lines", "code"),
    [
        ("", [], "504 5.5.4 "),
        ("CRAM-MD5", [], "504 5.5.4 "),
        ("PLAIN", ["*"], "501 5.7.0 "),
        ("LOGIN", [coded("ann"), "*"], "501 5.7.0 "),
        ("PLAIN !!!", [], "501 5.5.2 "),
        ("PLAIN /w==", [], "501 5.5.2 "),
        ("PLAIN =", [], "501 5.5.2 "),
        (f"PLAIN {coded('ann' + chr(0) + 'pass')}", [], "501 5.5.2 "),
        (f"PLAIN {coded('bob' + chr(0) + 'ann' + chr(0) + 'pass')}", [], "535 5.7.8 "),
    ],
)
def test_what_is_no_exchange_is_refused(argument: str, lines: list[str], code: str) -> None:
    with pytest.raises(CommandError) as refused:
        talked(argument, *lines)
    assert refused.value.reply.startswith(code)


@given(st.text(), st.text())
def test_a_hostile_exchange_ends_in_credentials_or_a_refusal(argument: str, line: str) -> None:
    for mechanism in MECHANISMS:
        reply = "501"
        try:
            talked(f"{mechanism} {argument}", line, line)
        except CommandError as refusal:
            reply = refusal.reply
        assert reply[:3] in ("501", "535")


def test_a_password_is_not_in_the_credentials_own_words() -> None:
    assert "pass" not in repr(Credentials("ann", "pass"))


@pytest.mark.parametrize(
    "parameters",
    [
        {"RET": "full", "ENVID": "QQ314159"},
        {"RET": "HDRS", "ENVID": "a+2Bb"},
        {"NOTIFY": "NEVER"},
        {"NOTIFY": "success,FAILURE,Delay", "ORCPT": "rfc822;Bob+2B1@example.com"},
        {"ORCPT": "utf-8;jörg@example.com"},
        {},
    ],
)
def test_parameters_of_rfc_3461_are_taken(parameters: dict[str, str]) -> None:
    check_mail(parameters)
    check_recipient(parameters)


@pytest.mark.parametrize(
    "parameters",
    [
        {"RET": ""},
        {"RET": "BODY"},
        {"ENVID": ""},
        {"ENVID": "a=b"},
        {"ENVID": "a+2"},
        {"ENVID": "x" * 101},
        {"NOTIFY": ""},
        {"NOTIFY": "NEVER,FAILURE"},
        {"NOTIFY": "FAILURE,FAILURE"},
        {"NOTIFY": "SOMETIMES"},
        {"ORCPT": "bob@example.com"},
        {"ORCPT": "rfc822;"},
        {"ORCPT": "rfc822;a+zz"},
        {"ORCPT": "rfc822;" + "x" * 500},
    ],
)
def test_parameters_that_are_written_wrong_are_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(CommandError) as refused:
        (check_mail if {"RET", "ENVID"} & parameters.keys() else check_recipient)(parameters)
    assert refused.value.reply.startswith("501 5.5.4 ")

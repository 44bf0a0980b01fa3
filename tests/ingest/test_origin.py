"""A mail system is told from a person by the header alone."""

from __future__ import annotations

import pytest

from ingest.mime import read_mime
from ingest.origin import is_failure_notice, is_from_robot, is_from_system, is_passed_on
from tests.ingest.letters import letter


@pytest.mark.parametrize(
    "header",
    [
        "From: MAILER-DAEMON@example.org",
        "From: Mail Delivery Subsystem <mailer@example.org>",
        "From: post_master@example.org",
        "From: <>",
        "From: a@example.org\nX-Failed-Recipients: b@example.net",
        "From: a@example.org\nSubject: Undeliverable: invoice",
        "From: a@example.org\nSubject: =?utf-8?B?57O757uf6YCA5L+h?=",
        "From: a@example.org\nContent-Type: multipart/report; report-type=delivery-status",
    ],
)
def test_a_mail_system_is_known(header: str) -> None:
    assert is_from_system(read_mime(letter([header], "x")))


@pytest.mark.parametrize(
    "header", ["From: friend@example.net\nSubject: Hello", "From: Master Post <m@example.net>"]
)
def test_a_person_is_none(header: str) -> None:
    mail = read_mime(letter([header], "x"))
    assert not is_from_system(mail)
    assert not is_failure_notice(mail)


def test_a_robot_is_known_by_its_name_its_mark_or_its_null_path() -> None:
    for header in (
        "From: no-reply@example.org",
        "Return-Path: <>",
        "Auto-Submitted: auto-generated",
    ):
        assert is_from_robot(read_mime(letter([header, "X: y"], "x")))
    assert not is_from_robot(read_mime(letter(["From: friend@example.net"], "x")))


@pytest.mark.parametrize(
    ("headers", "passed_on"),
    [
        (["From: friend@example.net", "Subject: Fwd: failure notice"], True),
        (["From: friend@example.net", "Subject: Re: failure notice", "In-Reply-To: <1>"], True),
        (["From: MAILER-DAEMON@example.org", "Subject: Re: your mail"], False),
        (["From: gw@example.org", "Subject: RE: your mail (delivery failed)"], False),
        (["From: friend@example.net", "Subject: failure notice"], False),
    ],
)
def test_a_bounce_passed_on_is_told_from_a_bounce(headers: list[str], passed_on: bool) -> None:
    assert is_passed_on(read_mime(letter(headers, "x"))) is passed_on

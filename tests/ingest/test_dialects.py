"""Notices of no general shape, each in its dialect."""

from __future__ import annotations

import pytest

from ingest import dialects
from ingest.flufl import ask
from ingest.mime import read_mime
from ingest.notice import Notice
from tests.ingest.letters import group, letter, notice, report


def addresses(raw: bytes) -> list[str]:
    return [finding.address for finding in dialects.read(Notice(read_mime(raw)))]


def test_a_list_manager_refuses_in_the_lists_name() -> None:
    raw = notice(
        "Duplicated Message-ID in <list@example.org>.",
        sender="list-admin@example.org",
        subject="Loop Alert",
        more=["X-MLServer: fml [fml 4.0]"],
    )
    assert addresses(raw) == ["list@example.org"]


def test_a_post_through_the_same_list_is_no_refusal() -> None:
    raw = notice(
        "A loop in the code of list@example.org",
        sender="friend@example.net",
        more=["X-MLServer: fml [fml 4.0]"],
    )
    assert addresses(raw) == []


def test_names_without_a_domain_belong_to_the_system_that_speaks() -> None:
    body = "Your mail could not be delivered to the following recipients:\n\n  somebody\n  else2\n"
    raw = notice(body, sender="MAILER-DAEMON@example.org")
    assert addresses(raw) == ["somebody@example.org", "else2@example.org"]


def test_a_bounce_attached_by_a_gateway_is_opened_once() -> None:
    inner = report(group(final_recipient="rfc822; gone@example.net", action="failed")).decode()
    raw = letter(
        ["From: MAILER-DAEMON@gw.example.org", "Content-Type: multipart/mixed; boundary=cut"],
        f"--cut\n\nPermanent errors.\n--cut\nContent-Type: message/rfc822\n\n{inner}\n--cut--",
    )
    assert addresses(raw) == ["gone@example.net"]


def test_old_wordings_are_asked_of_flufl() -> None:
    delayed, failed = ask(
        "postmaster@example.org",
        "x",
        "Delivery to the following recipients failed.\n\n  a@example.net\n",
    )
    assert (delayed, failed) == ([], ["a@example.net"])


@pytest.mark.parametrize(
    ("sender", "subject", "text"),
    [
        ("", "", ""),
        ("\x00\udcff", "\n\n", "\udcff"),
        ("a@b@c", "x", "<" * 16_000),
        ("x@aol.com", "x", "not accepting mail with attachments\n" * 400),
    ],
)
def test_no_text_makes_a_detector_raise(sender: str, subject: str, text: str) -> None:
    assert ask(sender, subject, text) == ([], [])

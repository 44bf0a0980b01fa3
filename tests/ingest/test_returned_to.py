"""The single recipient of the returned message fills in what a report leaves open, and no more."""

from __future__ import annotations

import pytest

from analysis.facts import ReportedRecipient
from analysis.rulebook import shipped
from ingest.parse import read_mail
from tests.ingest.letters import LETTER, group, notice, report

HOST = "MAILER-DAEMON@in7.mx.example.net"
BARE = (
    "The following users did not take the mail of news@example.com, it was not delivered:\n\n"
    "    {name}\n\n{returned}"
)


def read(raw: bytes) -> ReportedRecipient:
    [recipient] = read_mail(raw, shipped()).recipients
    return recipient


def bare(name: str, to: str, sender: str = HOST) -> ReportedRecipient:
    returned = LETTER.replace("To: nobody@example.net", f"To: {to}")
    return read(notice(BARE.format(name=name, returned=returned), sender=sender))


def test_a_bare_name_is_the_one_that_was_written_to() -> None:
    assert bare("old.joe", "Old.Joe@example.net").address == "Old.Joe@example.net"


@pytest.mark.parametrize(
    ("name", "to", "sender"),
    [
        ("old.joe", "jim@example.net", HOST),
        ("old.joe", "old.joe@example.net, jim@example.net", HOST),
        ("old.joe", "old.joe@example.org", HOST),
    ],
)
def test_another_name_or_house_is_not_the_one_written_to(name: str, to: str, sender: str) -> None:
    assert bare(name, to, sender).address == "old.joe@in7.mx.example.net"


def forwarded(**fields: str) -> ReportedRecipient:
    told = {"action": "failed", "status": "5.1.1", "diagnostic_code": "smtp; 550 5.1.1 no user"}
    return read(report(group(final_recipient="rfc822; far@example.org", **told, **fields)))


def test_a_forwarded_address_keeps_the_one_written_to_as_its_original() -> None:
    found = forwarded()
    assert (found.address, found.original) == ("far@example.org", "nobody@example.net")


def test_an_original_that_the_report_names_is_believed_first() -> None:
    found = forwarded(original_recipient="rfc822; near@example.com")
    assert (found.address, found.original) == ("far@example.org", "near@example.com")


def test_who_was_written_to_and_failed_has_no_other_original() -> None:
    fields = group(final_recipient="rfc822; nobody@example.net", action="failed", status="5.1.1")
    assert read(report(fields)).original is None

"""Delivery status fields are read as they really come."""

from __future__ import annotations

import pytest

from ingest import dsn

FIELDS = """Reporting-MTA: dns; mx.example.org
Arrival-Date: Mon, 6 May 2024 10:00:00 +0000

Final-Recipient: rfc822; gone@example.net
Action: failed
Status: 5.1.1
Remote-MTA: dns; in.example.net
Diagnostic-Code: smtp; 550 5.1.1 <gone@example.net>:
    nobody of that name
"""


def findings(text: str) -> list[dsn.Finding]:
    return [dsn.finding_of(group) for group in dsn.read_report(text).groups]


def test_a_report_gives_recipient_action_status_and_words() -> None:
    (finding,) = findings(FIELDS)
    assert (finding.address, finding.action, finding.status) == (
        "gone@example.net",
        "failed",
        "5.1.1",
    )
    assert finding.words == "550 5.1.1 <gone@example.net>: nobody of that name"
    assert finding.remote_mta == "in.example.net"
    assert dsn.read_report(FIELDS).reporting_mta == "mx.example.org"


@pytest.mark.parametrize(
    "text",
    [
        FIELDS.replace("\n\n", "\n\n\n\n"),
        FIELDS.replace(": ", " : "),
        FIELDS.replace("\n\n", "\n"),
        FIELDS.replace("Final-Recipient", "Original-Recipient"),
        FIELDS.replace("Action", "ACTION").replace("Final", "FINAL"),
        FIELDS.replace("Action: failed", "\nAction: failed"),
        "text before\n\n" + FIELDS + "\n\ntext behind",
    ],
    ids=["blank", "spaced", "joined", "original", "case", "apart", "around"],
)
def test_a_report_out_of_shape_says_the_same(text: str) -> None:
    (finding,) = findings(text)
    assert (finding.address, finding.action, finding.status) == (
        "gone@example.net",
        "failed",
        "5.1.1",
    )


def test_two_recipients_without_a_blank_line_are_two() -> None:
    one = "Final-Recipient: rfc822; {}@example.net\nAction: failed\nStatus: 5.1.1"
    found = findings(f"{one.format('a')}\n{one.format('b')}")
    assert [finding.address for finding in found] == ["a@example.net", "b@example.net"]


def test_a_forwarded_mailbox_keeps_both_addresses() -> None:
    (finding,) = findings(
        "Original-Recipient: rfc822; old@example.net\nFinal-Recipient: rfc822; new@example.org\n"
        "Action: failed"
    )
    assert (finding.address, finding.original) == ("new@example.org", "old@example.net")


def test_a_recipient_that_is_no_address_falls_back_on_the_original() -> None:
    (finding,) = findings(
        "Final-Recipient: x-unix; /var/mail/u\nOriginal-Recipient: rfc822; u@example.net\n"
        "Action: failed"
    )
    assert (finding.address, finding.original) == ("u@example.net", "")


@pytest.mark.parametrize(
    ("action", "status", "known"),
    [
        ("Failed", "", "failed"),
        ("failed (for good)", "", "failed"),
        ("failure", "", "failed"),
        ("expired", "", "failed"),
        ("delayed", "5.0.0", "delayed"),
        ("relayed", "", "relayed"),
        ("expanded", "", "expanded"),
        ("delivered", "", "delivered"),
        ("", "4.4.1", "delayed"),
        ("", "2.1.5", "delivered"),
        ("", "", "failed"),
    ],
)
def test_an_action_is_one_of_five(action: str, status: str, known: str) -> None:
    assert dsn.action_of(action, status) == known


def test_recipients_are_bounded() -> None:
    text = "\n\n".join(f"Final-Recipient: rfc822; u{n}@example.net" for n in range(5_000))
    assert len(dsn.read_report(text).groups) == dsn.MAX_RECIPIENTS

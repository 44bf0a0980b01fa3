"""Notices in prose name whom they could not reach, and nobody else."""

from __future__ import annotations

import pytest

from ingest.mime import read_mime
from ingest.notice import Notice
from tests.ingest.letters import LETTER, notice


def found(body: str, **more: str) -> dict[str, str]:
    """Address -> the words that belong to it."""
    findings = Notice(read_mime(notice(body, **more))).findings
    return {finding.address: finding.words for finding in findings}


POSTFIX = """This is the mail system at host mx.example.org.

Your message could not be delivered to one or more recipients. For help, write to postmaster or
<helpdesk@example.org>.

<gone@example.net>: host in.example.net[192.0.2.7] said: 550 5.1.1
    <other@example.net>: no such person here (in reply to RCPT TO command)

<full@example.net>: mailbox is over its quota
"""

QMAIL = """Hi. This is the mail program at example.org. I could not deliver your message.

<gone@example.net>:
192.0.2.7 does not like recipient.
Remote host said: 550 nobody of that name
Giving up on 192.0.2.7.

--- Below this line is a copy of the message.

Return-Path: <news@example.com>
To: bystander@example.net
"""

EXIM = """This message was created by the mail software.

A message sent by

  <news@example.com>

could not be delivered to one or more of its recipients. The following address(es) failed:

  gone@example.net
    (ultimately generated from old@example.net)
    host in.example.net [192.0.2.7]: 550 nobody of that name

------ This is a copy of the message, including all the headers. ------

To: bystander@example.net
"""

SENDMAIL = """The original message was received at Mon, 6 May 2024 10:00:00 GMT
from localhost [127.0.0.1]

   ----- The following addresses had permanent fatal errors -----
<gone@example.net>
    (reason: 550 nobody of that name)

   ----- Transcript of session follows -----
... while talking to in.example.net.:
>>> RCPT To:<gone@example.net>
<<< 550 nobody of that name
550 5.1.1 <gone@example.net>... User unknown
"""

EXCHANGE = """Your message

  To:      everybody@example.net
  Subject: Your invoice

did not reach the following recipient(s):

gone@example.net on Mon, 6 May 2024 10:00:00 -0700
    The recipient name is not recognized
"""

DOMINO = """Your message

  Subject: Your invoice

was not delivered to:

  gone@example.net

because:

  User gone (gone@example.net) not listed in the directory
"""

GMAIL = """Delivery to the following recipient failed permanently:

     gone@example.net

Technical details of permanent failure:
The other server returned: 550 5.1.1 nobody of that name

----- Original message -----

From: news@example.com
"""


@pytest.mark.parametrize(
    ("body", "addresses"),
    [
        (POSTFIX, ["gone@example.net", "full@example.net"]),
        (QMAIL, ["gone@example.net"]),
        (EXIM, ["gone@example.net"]),
        (SENDMAIL, ["gone@example.net"]),
        (EXCHANGE, ["gone@example.net"]),
        (DOMINO, ["gone@example.net"]),
        (GMAIL, ["gone@example.net"]),
        ("Unknown user: gone@example.net\n\nOriginal message follows.\n\nx", ["gone@example.net"]),
        ("There was an error delivering your mail to <gone@example.net>.", ["gone@example.net"]),
        ("User's mailbox is full: <gone@example.net>", ["gone@example.net"]),
        ("Die Nachricht konnte nicht zugestellt werden:\n\ngone@example.net", ["gone@example.net"]),
        ("您发送到 gone@example.net 的邮件被退回，原因：用户不存在", ["gone@example.net"]),
        ("以下の宛先に配信できませんでした。\n\n  gone@example.net\n", ["gone@example.net"]),
        ("Ваше сообщение не доставлено:\n\n  gone@example.net\n", ["gone@example.net"]),
        ("Nothing to see, ask helpdesk@example.org.", []),
        ("Your message was read by friend@example.net.", []),
    ],
    ids=lambda value: "" if isinstance(value, list) else value[:16],
)
def test_the_failed_are_named_and_nobody_else(body: str, addresses: list[str]) -> None:
    assert list(found(body)) == addresses


def test_words_belong_to_the_address_they_stand_with() -> None:
    words = found(POSTFIX)
    assert "550 5.1.1" in words["gone@example.net"]
    assert "quota" not in words["gone@example.net"]
    assert "quota" in words["full@example.net"]


def test_an_exim_forward_keeps_the_address_it_came_from() -> None:
    (finding,) = Notice(read_mime(notice(EXIM))).findings
    assert (finding.address, finding.original) == ("gone@example.net", "old@example.net")


def test_the_failed_recipients_header_is_asked_where_the_text_names_nobody() -> None:
    raw = notice("It failed.", more=["X-Failed-Recipients: a@example.net, b@example.net"])
    findings = Notice(read_mime(raw)).findings
    assert [finding.address for finding in findings] == ["a@example.net", "b@example.net"]


def test_the_sender_is_nobody_who_failed() -> None:
    body = "Delivery failed.\n\nnews@example.com\n\n----- Original message -----\n\n" + LETTER
    assert found(body) == {}


def test_a_sender_who_wrote_to_himself_may_fail() -> None:
    body = "Delivery to the following recipients failed.\n\n  news@example.com\n"
    assert list(found(body)) == ["news@example.com"]


def test_the_returned_header_is_found_below_the_notice() -> None:
    reading = Notice(
        read_mime(notice(f"<a@example.net>: unknown\n\n--- Original message\n\n{LETTER}"))
    )
    assert reading.returned.get("message-id") == "<letter.1@example.com>"
    assert "invoice" not in reading.text

"""Postfix, old and new."""

# ruff: noqa: E501  (a sample stands as it is sent)

from __future__ import annotations

from tests.ingest.letters import LETTER, group, letter, notice, report
from tests.ingest.samples.table import sample

sample(
    "postfix-no-dsn",
    notice(
        """This is the mail system at host out.example.org.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients.

For further assistance, please send mail to <postmaster>

                   The mail system

<jo@example.net>: host mx.example.net[192.0.2.5] said: 452 4.2.2 Mailbox of
    user is over quota (in reply to RCPT TO command)

<kim@example.net> (expanded from <list@example.org>): unknown user: "kim" """
    ),
    jo="mailbox_full",
    kim="bad_mailbox",
)

sample(
    "postfix-sender-blocked",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.0.0",
            remote_mta="dns; mx.example.net",
            diagnostic_code="smtp; 554 mx.example.net ESMTP refused: 192.0.2.1 has a poor sending history",
        )
    ),
    jo="reputation",
)

sample(
    "postfix-tls",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="4.7.4",
            diagnostic_code="X-Postfix; TLS is required, but was not offered by host mx.example.net[192.0.2.5]",
        )
    ),
    jo="tls_required",
)

sample(
    "postfix-mailbox-gone-vague",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.0.0",
            remote_mta="dns; mx.example.net",
            diagnostic_code="smtp; 550 This recipient is not known to us",
        )
    ),
    jo="bad_mailbox",
)

sample(
    "unknown-name-sender",
    notice(
        """Your message could not be delivered to the following recipient:

jo@example.net
    550 5.1.1 recipient unknown

--- original message headers ---

"""
        + LETTER,
        sender="Acme Relay <relay-system@mx.example.org>",
        subject="Message not delivered",
        more=["Auto-Submitted: auto-replied"],
    ),
    jo="bad_mailbox",
)

sample(
    "null-sender-unknown-name",
    notice(
        """We tried to hand over your mail but the other side refused:

  jo@example.net: 550 user is unknown
""",
        sender="Post Office <office@mx.example.org>",
        subject="Problem with your mail",
        more=["Return-Path: <>", "Auto-Submitted: auto-generated"],
    ),
    jo="bad_mailbox",
)

sample(
    "expired-greylisted",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="4.7.1",
            diagnostic_code="smtp; 451 4.7.1 Greylisting in action, come back later",
        )
    ),
    jo="greylisted",
)

sample(
    "relay-denied",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.7.1",
            diagnostic_code="smtp; 554 5.7.1 <jo@example.net>: Relay access denied",
        )
    ),
    jo="relay_denied",
)

sample(
    "code-says-user-words-say-rate",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.1.1",
            diagnostic_code="smtp; 550 5.1.1 too many recipients from you this hour",
        )
    ),
    jo="rate_limit",
)

sample(
    "only-status",
    report(
        group(final_recipient="rfc822; jo@example.net", action="failed", status="5.1.1"),
        text="Undeliverable.",
    ),
    jo="bad_mailbox",
)

sample(
    "no-returned-mail",
    letter(
        [
            "From: MAILER-DAEMON@mx.example.org",
            "To: news@example.com",
            "Subject: Delivery Status Notification",
            "MIME-Version: 1.0",
            "Content-Type: multipart/report; report-type=delivery-status; boundary=b1",
        ],
        "--b1\n\nSorry.\n--b1\nContent-Type: message/delivery-status\n\nReporting-MTA: dns;mx.example.org\n\nFinal-Recipient: rfc822;jo@example.net\nAction: failed\nStatus: 5.2.1\nDiagnostic-Code: smtp;550 5.2.1 account of this user was closed\n--b1--\n",
    ),
    jo="mailbox_disabled",
)

sample(
    "expanded-alias",
    notice(
        """   ----- The following addresses had permanent fatal errors -----
kim@example.net
    (reason: 550 5.1.1 User unknown)
    (expanded from: <team@example.org>)

   ----- Transcript of session follows -----
... while talking to mx.example.net.:
>>> RCPT To:<kim@example.net>
<<< 550 5.1.1 User unknown
550 5.1.1 <team@example.org>... User unknown
""",
        subject="Returned mail: see transcript for details",
    ),
    kim="bad_mailbox",
)

sample(
    "closed-under-a-passing-code-given-up",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="4.2.1",
            diagnostic_code="smtp; 450 4.2.1 <jo@example.net>: this mailbox has been disabled",
        )
    ),
    jo="mailbox_disabled",
)

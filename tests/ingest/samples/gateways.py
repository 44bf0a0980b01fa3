"""Gateways and senders for hire."""

# ruff: noqa: E501  (a sample stands as it is sent)

from __future__ import annotations

from tests.ingest.letters import group, letter, notice, report
from tests.ingest.samples.table import sample

sample(
    "mailmarshal",
    notice(
        """Your message:
   From:    news@example.com
   Subject: Your invoice

Could not be delivered because of

550 5.1.1 User unknown

The following recipients were affected:
    jo@example.net
""",
        sender="postmaster@mx.example.org (MailMarshal)",
        subject='Undeliverable Mail: "Your invoice"',
    ),
    jo="bad_mailbox",
)

sample(
    "interscan",
    notice(
        """****** Message from InterScan E-Mail Gateway ******

The following mail could not be delivered.
Reason: jo@example.net: 550 mailbox not found

******************     End of message     ***************
""",
        sender="InterScan Notification <mailgw@mx.example.org>",
        subject="Mail could not be delivered",
    ),
    jo="bad_mailbox",
)

sample(
    "mimecast-text",
    notice(
        """The following mail could not be delivered by Mimecast.

Recipient: jo@example.net
Reason: 550 Rejected - mailbox does not exist

-----END-----
""",
        sender="postmaster@mx.example.org",
        subject="[Postmaster] Email Delivery Failure",
    ),
    jo="bad_mailbox",
)

sample(
    "mcafee",
    notice(
        """--- The following addresses had delivery problems ---

<jo@example.net>   (User unknown jo@example.net)

--------------Boundary-00=_00000000--
""",
        sender="Postmaster <postmaster@mx.example.org>",
        subject="WebShield Virus Scanner: Unable to deliver",
    ),
    jo="bad_mailbox",
)

sample(
    "surfcontrol",
    notice(
        """Your message could not be sent.
A transcript of the attempts to send the message follows.
The number of attempts made: 1
Addressed To: jo@example.net

Mon 6 May 2024 10:00:00
Failed to send to identified host,
jo@example.net: [192.0.2.5], 550 jo@example.net... No such user
--- Message non-deliverable.
""",
        sender="Mail Delivery System <postmaster@mx.example.org>",
        subject="Message Delivery Failure",
    ),
    jo="bad_mailbox",
)

sample(
    "barracuda",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.7.1",
            diagnostic_code="smtp; 550 5.7.1 Message blocked by the mail filter: content 00000-11-2",
        )
    ),
    jo="spam_content",
)

sample(
    "powermta",
    report(
        group(
            final_recipient="rfc822;jo@example.net",
            action="failed",
            status="5.2.2 (mailbox full)",
            remote_mta="dns;mx.example.net (192.0.2.5)",
            diagnostic_code="smtp;552 5.2.2 The mailbox is full",
            x_powermta_bouncecategory="quota-issues",
        ),
        text="Hello, this is the mail server on out.example.org.\n\nI am sending you this message to inform you on the delivery status of a message you previously sent.",
    ),
    jo="mailbox_full",
)

sample(
    "sendgrid",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            original_recipient="rfc822; jo@example.net",
            action="failed",
            status="Unable to resolve MX host example.net",
            diagnostic_code="Unable to resolve MX host example.net",
        ),
        text="This is an automatically generated message from SendGrid.\n\nI'm sorry to have to tell you that your message was not able to be delivered to one of its intended recipients.",
    ),
    jo="bad_domain",
)

sample(
    "smtp-gateway-html-only",
    letter(
        [
            "From: Mail Delivery <postmaster@mx.example.org>",
            "To: news@example.com",
            "Subject: Delivery failure",
            "MIME-Version: 1.0",
            "Content-Type: text/html; charset=utf-8",
        ],
        "<html><head><style>p{x:y}</style></head><body><h3>Delivery failure</h3><p>We could not deliver your message to:</p><ul><li><a href='mailto:jo@example.net'>jo@example.net</a></li></ul><p>Server answer: <code>550&nbsp;5.1.1 this user is not known here</code></p></body></html>",
    ),
    jo="bad_mailbox",
)

sample(
    "cisco",
    report(
        group(
            final_recipient="rfc822;jo@example.net",
            action="failed",
            status="5.0.0",
            diagnostic_code="smtp; 5.1.0 - Unknown address error 550-'5.1.1 <jo@example.net> is not a valid mailbox' (delivery attempts: 0)",
        )
    ),
    jo="bad_mailbox",
)

sample(
    "clamsmtp",
    notice(
        "Your message to jo@example.net was rejected because it contains a virus: Eicar-Test.\n",
        sender="Virus Scanner <postmaster@mx.example.org>",
        subject="VIRUS IN YOUR MAIL - message rejected",
    ),
    jo="virus",
)

sample(
    "amavis",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.7.1",
            diagnostic_code="smtp; 554 5.7.1 Reject, id=1-2 - SPAM",
        ),
        text="A message from <news@example.com> to:\n-> jo@example.net\n\nwas considered unsolicited bulk e-mail (UBE).",
        subject="Considered UNSOLICITED BULK EMAIL, apparently from you",
    ),
    jo="spam_content",
)

"""Mailbox providers."""

# ruff: noqa: E501  (a sample stands as it is sent)

from __future__ import annotations

from tests.ingest.letters import LETTER, group, letter, notice, report
from tests.ingest.samples.table import sample

sample(
    "gmail-dsn",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.1.1",
            remote_mta="dns; mx.example.net. (192.0.2.5, the server for the domain example.net.)",
            diagnostic_code="smtp; 550-5.1.1 The email account that you tried to reach does not exist. Please try 550-5.1.1 double-checking the recipient's email address for typos or 550 5.1.1 unnecessary spaces.",
        ),
        text="** Address not found **\n\nYour message wasn't delivered to jo@example.net because the address couldn't be found, or is unable to receive mail.",
    ),
    jo="bad_mailbox",
)

sample(
    "gmail-no-domain",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="4.0.0",
            diagnostic_code="smtp; DNS Error: DNS type 'mx' lookup of example.net responded with code NXDOMAIN Domain name not found: example.net",
        )
    ),
    jo="bad_domain",
)

sample(
    "gmail-old",
    notice(
        """Delivery to the following recipient failed permanently:

     jo@example.net

Technical details of permanent failure:
Google tried to deliver your message, but it was rejected by the recipient domain. The error that the other server returned was: 550 550 No mailbox by that name is currently available (state 14).

----- Original message -----

"""
        + LETTER,
        sender="Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
        subject="Delivery Status Notification (Failure)",
    ),
    jo="bad_mailbox",
)

sample(
    "yahoo",
    notice(
        """Sorry, we were unable to deliver your message to the following address.

<jo@example.net>:
Remote host said:
550 5.2.1 This mailbox is disabled.
 [RCPT_TO]

--- Below this line is a copy of the message.

"""
        + LETTER,
        sender="MAILER-DAEMON@yahoo.com",
        subject="Failure Notice",
    ),
    jo="mailbox_disabled",
)

sample(
    "aol",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.1.1",
            diagnostic_code="smtp; 550 5.1.1 <jo@example.net>: Recipient address rejected: example.net",
        ),
        text="Your message could not be delivered.",
    ),
    jo="bad_mailbox",
)

sample(
    "amazon-ses-bounce",
    report(
        group(
            final_recipient="rfc822;jo@example.net",
            action="failed",
            status="5.1.1",
            diagnostic_code="smtp; 550 5.1.1 user unknown",
        ),
        text="An error occurred while trying to deliver the mail to the following recipients:\njo@example.net",
        subject="Delivery Status Notification (Failure)",
    ),
    jo="bad_mailbox",
)

sample(
    "workmail",
    notice(
        """Technical report:

Reporting-MTA: dns; a.example.org

Final-Recipient: rfc822;jo@example.net
Original-Recipient: rfc822;jo@example.net
Action: failed
Status: 5.2.2
Diagnostic-Code: smtp; 552 5.2.2 recipient storage quota reached
Remote-MTA: dns; mx.example.net
""",
        sender="Mail Delivery Subsystem <postmaster@a.example.org>",
        subject="Undeliverable: Your invoice",
    ),
    jo="mailbox_full",
)

sample(
    "zoho",
    notice(
        """This message was created automatically by mail delivery software.
 A message that you sent could not be delivered to one or more of its recipients. This is a permanent error.

jo@example.net Invalid Address, ERROR_CODE :550, ERROR_CODE :5.1.1 user unknown

Received:from app.example.com by out.example.com
""",
        sender="mailer-daemon@mail.example.org",
        subject="Undelivered Mail Returned to Sender",
    ),
    jo="bad_mailbox",
)

sample(
    "verizon-mms",
    notice(
        """Error: Reason: Recipient address unknown

Message could not be delivered to mobile.

  jo@example.net

""",
        sender="post_master@vtext.example.com",
        subject="Undeliverable Message",
    ),
    jo="bad_mailbox",
)

sample(
    "lost-mime-header",
    letter(
        [
            "From: MAILER-DAEMON@mx.example.org",
            "To: news@example.com",
            "Subject: Returned mail: User unknown",
        ],
        "This is a MIME-encapsulated message\n\n--AA/mx\n\nThe following addresses had delivery problems:\n<jo@example.net>\n    (reason: 550 User unknown)\n\n--AA/mx\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\nFinal-Recipient: RFC822; jo@example.net\nAction: failed\nStatus: 5.1.1\n\n--AA/mx\nContent-Type: message/rfc822\n\n"
        + LETTER
        + "\n--AA/mx--",
    ),
    jo="bad_mailbox",
)

sample(
    "aol-not-accepting",
    notice(
        "The original message was received at Mon, 6 May 2002\n\n   ----- The following addresses had permanent fatal errors -----\n<jo@example.net>\n\n   ----- Transcript of session follows -----\n... while talking to air.example.net.:\n>>> RCPT To:<jo@example.net>\n<<< 550 jo IS NOT ACCEPTING MAIL FROM THIS SENDER\n550 <jo@example.net>... User unknown\n",
        subject="Returned mail: User unknown",
    ),
    jo="policy",
)

sample(
    "mail-com",
    notice(
        "This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of\nits recipients. The following addresses failed:\n\n<jo@example.net>\nReason: quota exceeded\n\n<kim@example.net>\nReason: user is unknown\n\n--- The header of the original message is following. ---\n\n"
        + LETTER
    ),
    jo="mailbox_full",
    kim="bad_mailbox",
)

sample(
    "google-policy",
    report(
        group(
            final_recipient="rfc822; jo@example.net",
            action="failed",
            status="5.7.1",
            diagnostic_code="smtp; 550-5.7.1 [192.0.2.1] The IP you're using to send mail is not authorized to send email directly to our servers.",
        )
    ),
    jo="reputation",
)

sample(
    "zoho-bounce2",
    notice(
        "This message was created automatically by mail delivery software.\n A message that you sent could not be delivered to one or more of its recipients. This is a permanent error.\n\njo@example.net, ERROR CODE :552 - 5.2.2 Mailbox quota exceeded\nkim@example.net, ERROR CODE :550 - Unknown recipient\n",
        sender="mailer-daemon@mail.example.org",
    ),
    jo="mailbox_full",
    kim="bad_mailbox",
)

sample(
    "yahoo-quota",
    notice(
        "Message from example.net.\nUnable to deliver message to the following address(es).\n\n<jo@example.net>:\nSorry, that user is over quota [0]\n\n--- Original message follows.\n\n"
        + LETTER,
        sender="MAILER-DAEMON@example.net",
        subject="Delivery failure",
    ),
    jo="mailbox_full",
)

"""Mail servers of offices: Domino, GroupWise, Courier, MDaemon and others."""

# ruff: noqa: E501  (a sample stands as it is sent)

from __future__ import annotations

from tests.ingest.letters import LETTER, group, notice, report
from tests.ingest.samples.table import sample

sample(
    "domino",
    report(
        group(
            final_recipient="rfc822;jo@example.net",
            action="failed",
            status="5.1.1",
            diagnostic_code="X-Notes; User jo (jo@example.net) not listed in Domino Directory",
        ),
        text="Your message\n\n  Subject: Your invoice\n\nwas not delivered to:\n\n  jo@example.net\n\nbecause:\n\n  User jo (jo@example.net) not listed in Domino Directory\n",
    ),
    jo="bad_mailbox",
)

sample(
    "domino-japanese",
    report(
        group(
            final_recipient="rfc822;jo@example.net",
            action="failed",
            status="5.0.0",
            diagnostic_code="X-Notes; ユーザー jo (jo@example.net) は Domino ディレクトリにありません".encode(
                "iso-2022-jp"
            ).decode("latin-1"),
        )
    ),
    jo="bad_mailbox",
)

sample(
    "notes",
    notice(
        """------- Failure Reasons  --------

User jo not listed in public Name & Address Book
jo@example.net

------- Returned Message --------

Received: from app.example.com
""",
        sender="Postmaster <postmaster@mx.example.org>",
        subject="DELIVERY FAILURE: User jo not listed in public Name & Address Book",
    ),
    jo="bad_mailbox",
)

sample(
    "groupwise",
    notice(
        """The message that you sent was undeliverable to the following:
	jo (user not found)

Possibly truncated original message follows:

"""
        + LETTER.replace("nobody@", "jo@"),
        sender="Mailer-Daemon@example.net",
        subject="Message status - undeliverable",
    ),
    jo="bad_mailbox",
)

sample(
    "groupwise-full",
    notice(
        """The message that you sent was undeliverable to the following:
	jo@example.net (mailbox is full)

Possibly truncated original message follows:

"""
        + LETTER,
        subject="Message status - undeliverable",
    ),
    jo="mailbox_full",
)

sample(
    "courier",
    notice(
        """This is a delivery status notification from mx.example.org,
running the Courier mail server, version 0.73.

The original message was received on Mon, 06 May 2024 10:00:00 GMT
from app.example.com (app.example.com [192.0.2.1])

---------------------------------------------------------------------------

                           UNDELIVERABLE MAIL

Your message to the following recipients cannot be delivered:

<jo@example.net>:
    mx.example.net [192.0.2.5]:
>>> RCPT TO:<jo@example.net>
<<< 550 User does not exist in this place.

---------------------------------------------------------------------------

If your message was also sent to additional recipients, their delivery
status is not included in this report.
""",
        subject="NOTICE: mail delivery status.",
    ),
    jo="bad_mailbox",
)

sample(
    "imail",
    notice(
        """Unknown user: jo@example.net

Original message follows.

"""
        + LETTER,
        sender="Postmaster <postmaster@mx.example.org>",
        subject="Undeliverable Mail",
        more=["X-Mailer: <SMTP32 v8.22>"],
    ),
    jo="bad_mailbox",
)

sample(
    "imail-full",
    notice(
        """User mailbox exceeds allowed size: jo@example.net

Original message follows.

"""
        + LETTER,
        sender="Postmaster <postmaster@mx.example.org>",
        subject="Undeliverable Mail",
        more=["X-Mailer: <SMTP32 v8.22>"],
    ),
    jo="mailbox_full",
)

sample(
    "james",
    notice(
        """Hi. This is the James mail server at mx.example.org.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.  Below
I include the list of recipients and the reason why I was unable to deliver
your message.

Failed recipient(s):
jo@example.net

Error message:
550 5.1.1 no such account here

Message details:
  Subject: Your invoice
  From: news@example.com
""",
        sender="postmaster@mx.example.org",
        subject="[BOUNCE] Your invoice",
    ),
    jo="bad_mailbox",
)

sample(
    "opensmtpd",
    notice(
        """Hi!

This is the MAILER-DAEMON, please DO NOT REPLY to this email.

An error has occurred while attempting to deliver a message for
the following list of recipients:

jo@example.net: 550 Invalid recipient
kim@example.net: 552 5.2.2 Over quota

Below is a copy of the original message:

"""
        + LETTER,
        subject="Delivery status notification: error",
    ),
    jo="bad_mailbox",
    kim="mailbox_full",
)

sample(
    "dragonfly",
    notice(
        """This is the DragonFly Mail Agent v0.13 at out.example.org.

There was an error delivering your mail to <jo@example.net>.

mx.example.net [192.0.2.5] did not like our RCPT TO:
550 5.2.1 mailbox disabled

Original message headers follow.

"""
        + LETTER,
        subject="Mail delivery failed",
    ),
    jo="mailbox_disabled",
)

sample(
    "mdaemon",
    notice(
        """The attached message had PERMANENT fatal delivery errors!

After one or more unsuccessful delivery attempts the attached message has
been removed from the mail queue on this server.

--- Session Transcript ---
 Mon 2024-05-06 10:00:00: --> RCPT TO:<jo@example.net>
 Mon 2024-05-06 10:00:00: <-- 550 <jo@example.net>, Recipient unknown
 Mon 2024-05-06 10:00:00: --> QUIT
--- End Transcript ---
""",
        sender="MDaemon at mx.example.org <MDaemon@mx.example.org>",
        subject="Permanent Delivery Failure",
    ),
    jo="bad_mailbox",
)

sample(
    "communigate",
    notice(
        """Failed to deliver to 'jo@example.net'
LOCAL module(account jo) reports:
 mailbox is full
""",
        sender="MAILER-DAEMON@mx.example.org",
        subject="Undeliverable mail: Your invoice",
    ),
    jo="mailbox_full",
)

sample(
    "messaging-server",
    notice(
        """This report relates to a message you sent with the following header fields:

  Message-id: <letter.1@example.com>
  From: News <news@example.com>
  To: jo@example.net
  Subject: Your invoice

Your message cannot be delivered to the following recipients:

  Recipient address: jo@example.net
  Reason: Remote SMTP server has rejected address
  Diagnostic code: smtp;550 5.1.1 No such recipient
  Remote system: dns;mx.example.net (TCP|192.0.2.1|1|192.0.2.5|25)
""",
        sender="Internet Mail Delivery <postmaster@mx.example.org>",
        subject="Delivery Notification: Delivery has failed",
    ),
    jo="bad_mailbox",
)

sample(
    "ibm-notes-vague",
    notice(
        """Your message

  Subject: Hi

was not delivered to:

  jo@example.net

because:

  Error transferring to MX.EXAMPLE.NET; SMTP Protocol Returned a Permanent Error 550 5.1.1 unknown recipient
""",
        sender="postmaster@notes.example.org",
        subject="DELIVERY FAILURE: Error transferring to MX.EXAMPLE.NET",
    ),
    jo="bad_mailbox",
)

sample(
    "novell",
    notice(
        "The message from <news@example.com> to jo@example.net could not be delivered.\nError: 550 mailbox disabled\n"
    ),
    jo="mailbox_disabled",
)

sample(
    "netscape",
    notice(
        "This Message was undeliverable due to the following reason:\n\nEach of the following recipients was rejected by a remote mail server.\nThe reasons given by the server are included to help you determine why\neach recipient was rejected.\n\n    Recipient: <jo@example.net>\n    Reason:    5.1.1 <jo@example.net>... User unknown\n\nPlease reply to <Postmaster@mx.example.org>\nif you feel this message to be in error.\n",
        subject="Mail System Error - Returned Mail",
    ),
    jo="bad_mailbox",
)

sample(
    "netscape-timeout",
    notice(
        "This Message was undeliverable due to the following reason:\n\nYour message was not delivered because the destination computer was\nnot found.  Carefully check that it was spelled correctly and try\nsending it again if there were any mistakes.\n\n     Host example.net not found\n\nThe following recipients did not receive your message:\n\n     <jo@example.net>\n",
        subject="Mail System Error - Returned Mail",
    ),
    jo="bad_domain",
)

sample(
    "lotus-smtp",
    notice(
        "The message could not be delivered because the recipient's destination email system is unknown or invalid.\n\njo@example.net; Host unknown\n",
        sender="Mail Router <postmaster@notes.example.org>",
        subject="DELIVERY FAILURE",
    ),
    jo="bad_domain",
)

sample(
    "kerio",
    notice(
        "Your message did not reach some or all of the intended recipients.\n\n   Subject: x\n   Date: today\n\nThe following recipient(s) could not be reached:\n\n   jo@example.net\n      Error Type: SMTP\n      Remote server (192.0.2.5) issued an error.\n      hMailServer sent: RCPT TO:<jo@example.net>\n      Remote server replied: 550 Unknown user\n\nhMailServer\n",
        sender="mailer-daemon@mx.example.org",
        subject="Message undeliverable: x",
    ),
    jo="bad_mailbox",
)

sample(
    "mercury",
    notice(
        "Your message was not delivered to the following addresses:\n\n  To: <jo@example.net>\n  Error: Job failed - 553 No such user.\n",
        sender="Electronic Postmaster <Postmaster@mx.example.org>",
        subject="Delivery failure notification",
    ),
    jo="bad_mailbox",
)

sample(
    "argosoft",
    notice(
        "Message delivery to the following recipient failed:\n\n    jo@example.net\n\nError was:\n\n    Mailbox is over quota\n",
        sender="ArGoSoft Mail Server <postmaster@mx.example.org>",
        subject="Delivery Status",
    ),
    jo="mailbox_full",
)

sample(
    "gordano",
    notice(
        "The following message could not be delivered because the recipient address\n\n        jo@example.net\n\nis not known at this site.\n",
        subject="Undelivered message",
    ),
    jo="bad_mailbox",
)

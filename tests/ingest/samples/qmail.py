"""qmail and its children."""

# ruff: noqa: E501  (a sample stands as it is sent)

from __future__ import annotations

from tests.ingest.letters import LETTER, notice
from tests.ingest.samples.table import sample

sample(
    "qmail",
    notice(
        """Hi. This is the qmail-send program at mail.example.org.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<jo@example.net>:
192.0.2.7 does not like recipient.
Remote host said: 550 5.1.1 unknown or illegal alias: jo@example.net
Giving up on 192.0.2.7.

<kim@example.net>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

"""
        + LETTER,
        subject="failure notice",
    ),
    jo="bad_mailbox",
    kim="bad_mailbox",
)

sample(
    "qmail-connect",
    notice(
        """<jo@example.net>:
Sorry, I couldn't find any host named example.net. (#5.1.2)

--- Below this line is a copy of the message.

"""
        + LETTER,
        subject="failure notice",
    ),
    jo="bad_domain",
)

sample(
    "qmail-ldap-full",
    notice(
        """Hi. This is the deliver program at mail.example.org.

<jo@example.net>:
The users mailfolder is over the allowed quota (size). (#5.2.2)

--- Enclosed is a copy of the message.

"""
        + LETTER,
        subject="failure notice",
    ),
    jo="mailbox_full",
)

sample(
    "x-mfilter",
    notice(
        """-------server message
550 5.1.1 unknown recipient <jo@example.net>

-------SMTP command
RCPT TO:<jo@example.net>

-------original message
"""
        + LETTER,
        sender="postmaster@mx.example.jp",
        subject="failure notice",
        more=["X-Mailer: m-FILTER"],
    ),
    jo="bad_mailbox",
)

sample(
    "angle-dash",
    notice(
        "Failed addresses follow:\n---------------------|---------------------\n<jo@example.net> ... unknown user\n<kim@example.net> ... over quota\n\n--- message text follows ---\nFrom: x@y\n"
    ),
    jo="bad_mailbox",
    kim="mailbox_full",
)

sample(
    "vdomain-quota",
    notice(
        """Hi. This is the qmail-send program at example.org.

<jo@example.net>:
vpopmail: user is over quota

--- Below this line is a copy of the message.
"""
        + LETTER,
        subject="failure notice",
    ),
    jo="mailbox_full",
)

sample(
    "qmail-rcpthosts",
    notice(
        """<jo@example.net>:
192.0.2.5 does not like recipient.
Remote host said: 553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)
Giving up on 192.0.2.5.
""",
        subject="failure notice",
    ),
    jo="relay_denied",
)

sample(
    "plus-list",
    notice(
        "Delivery report\n\n+ jo@example.net: failed (550 unknown account)\n+ kim@example.net: failed (554 blocked using bl.example.org)\n",
        subject="Delivery report",
    ),
    jo="bad_mailbox",
    kim="reputation",
)

sample(
    "qmail-refused-and-given-up",
    notice(
        """<jo@example.net>:
198.51.100.9 does not like recipient.
Remote host said: 550 No account is kept under this name
Giving up on 198.51.100.9.

<kim@example.net>:
Connected to 198.51.100.9 but sender was rejected.
Remote host said: 554 Your network is on our block list
Giving up on 198.51.100.9.

<lee@example.net>:
Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)
Giving up on 198.51.100.9.
I'm not going to try again; this message has been in the queue too long.
""",
        subject="failure notice",
    ),
    jo="bad_mailbox",
    kim="reputation",
    lee="expired",
)

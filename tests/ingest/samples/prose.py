"""Shapes of prose that name who failed."""

# ruff: noqa: E501  (a sample stands as it is sent)

from __future__ import annotations

from tests.ingest.letters import LETTER, group, letter, notice, report
from tests.ingest.samples.table import sample

sample(
    "prose-sentence",
    notice(
        "Dear sender,\n\nyour message to jo@example.net was rejected because the mailbox has been disabled.\n\nFor questions contact postmaster@example.net.\n"
    ),
    jo="mailbox_disabled",
)

sample(
    "prose-help-after",
    notice(
        "We could not deliver your message to the address jo@example.net. The remote server said:\n\n   554 5.7.1 Message refused, sender on our block list\n\nIf you think this is wrong write to help@example.net or call 555."
    ),
    jo="reputation",
)

sample(
    "numbered-list",
    notice(
        "The following recipients could not be reached:\n\n1. jo@example.net - mailbox full\n2. kim@example.net - unknown user\n"
    ),
    jo="mailbox_full",
    kim="bad_mailbox",
)

sample(
    "brackets",
    notice("Message could not be delivered to:\n[jo@example.net] 550 no such account\n"),
    jo="bad_mailbox",
)

sample(
    "table-html",
    letter(
        [
            "From: mailer-daemon@mx.example.org",
            "To: news@example.com",
            "Subject: Delivery failure",
            "Content-Type: text/html",
        ],
        "<table><tr><th>Recipient</th><th>Reason</th></tr><tr><td>jo@example.net</td><td>The user is not known</td></tr><tr><td>kim@example.net</td><td>Mailbox quota exceeded</td></tr></table>",
    ),
    jo="bad_mailbox",
    kim="mailbox_full",
)

sample(
    "reason-above",
    notice(
        "Reason for failure: the mailbox is full.\n\nRecipient: jo@example.net\nSubject: Hello\n"
    ),
    jo="mailbox_full",
)

sample(
    "dkim-prose",
    notice(
        "jo@example.net\n  Remote server said: 550 5.7.20 The message was rejected: no valid DKIM signature\n",
        subject="Undelivered Mail Returned to Sender",
    ),
    jo="authentication",
)

sample(
    "prose-handed-over",
    notice(
        "Dear user,\n\nI regret that the following message could not be handed to its recipient.\n\nTo: jo@example.net\nSubject: Your invoice\n\nThe answer of the other server was:\n550 5.1.1 no such person\n",
        subject="Undelivered message",
    ),
    jo="bad_mailbox",
)

sample(
    "error-colon",
    notice(
        "ERROR: Your mail to <jo@example.net> was not delivered:\n\n   552 mailbox over quota\n\n----- message headers -----\n"
        + LETTER
    ),
    jo="mailbox_full",
)

sample(
    "addressee",
    report(
        group(
            final_recipient="rfc822;jo@example.net",
            action="failed",
            status="5.3.0",
            diagnostic_code="smtp;553 5.3.0 <jo@example.net>... Addressee not known here",
        )
    ),
    jo="bad_mailbox",
)

sample(
    "temporary-then-final",
    report(
        group(
            final_recipient="rfc822;jo@example.net",
            action="failed",
            status="4.3.0",
            diagnostic_code="smtp;451 4.3.0 mail server temporarily rejected message",
        )
    ),
    jo="system",
)

sample(
    "in-parentheses",
    notice(
        "The following addresses had errors:\n  jo@example.net (unknown user)\n  kim@example.net (mailbox full)\nThe message was sent to all others.\n"
    ),
    jo="bad_mailbox",
    kim="mailbox_full",
)

for _name, _said in {
    "english": "The server will not keep trying to reach it.",
    "portuguese": "O servidor não continuará tentando.",
    "spanish": "El servidor no seguirá intentando la entrega.",
    "french": "Le serveur ne continuera pas ses tentatives.",
    "russian": "Сервер не будет продолжать попытки доставки.",
    "chinese": "服务器不会继续尝试。",
    "german": "Es wird nicht weiterhin versucht.",
}.items():
    sample(
        f"no-longer-tried-{_name}",
        notice(f"<jo@example.net>: 550 5.1.1 user unknown\n\n{_said}\n"),
        jo="bad_mailbox",
    )

"""Sendmail and gateways that speak as it does."""

# ruff: noqa: E501  (a sample stands as it is sent)

from __future__ import annotations

from tests.ingest.letters import LETTER, notice
from tests.ingest.samples.table import RETURNED, coded, sample

sample(
    "sendmail",
    notice(
        """The original message was received at Mon, 6 May 2024 10:00:00 GMT
from app.example.com [192.0.2.1]

   ----- The following addresses had permanent fatal errors -----
<jo@example.net>
    (reason: 550 5.1.1 <jo@example.net>... User unknown)
<kim@example.net>
    (reason: 552 5.2.2 <kim@example.net>... Mailbox full)

   ----- Transcript of session follows -----
... while talking to mx.example.net.:
>>> DATA
<<< 550 5.1.1 <jo@example.net>... User unknown
550 5.1.1 <jo@example.net>... User unknown
<<< 552 5.2.2 <kim@example.net>... Mailbox full
554 5.0.0 Service unavailable
""",
        subject="Returned mail: see transcript for details",
    ),
    jo="bad_mailbox",
    kim="mailbox_full",
)

sample(
    "sendmail-host-unknown",
    notice(
        """   ----- The following addresses had permanent fatal errors -----
<jo@example.net>
    (reason: 550 Host unknown)

   ----- Transcript of session follows -----
550 5.1.2 <jo@example.net>... Host unknown (Name server: example.net: host not found)
""",
        subject="Returned mail: Host unknown (Name server: example.net: host not found)",
    ),
    jo="bad_domain",
)

sample(
    "sendmail-8.6",
    notice(
        """The original message was received at Mon, 6 May 1996 10:00:00 -0500
from app.example.com

   ----- The following addresses had delivery problems -----
jo@example.net  (unrecoverable error)

   ----- Transcript of session follows -----
... while talking to mx.example.net.:
>>> RCPT To:<jo@example.net>
<<< 550 <jo@example.net>... Name not in our directory

   ----- Original message follows -----
"""
        + LETTER,
        subject="Returned mail: User unknown",
    ),
    jo="bad_mailbox",
)

sample(
    "activehunter",
    notice(
        """A message that you sent could not be delivered to all of its recipients.

  >>> 550 sorry, no mailbox here by that name (#5.1.1 - chkusr)

This is the following address(es) failed:

jo@example.net
""",
        sender="MAILER-DAEMON <postmaster@mx.example.org>",
        subject="FAILURE NOTICE :",
    ),
    jo="bad_mailbox",
)

sample(
    "jp-raw-jis",
    b"From: MAILER-DAEMON@example.jp\r\nTo: news@example.com\r\nSubject: failure notice\r\n\r\n"
    + "次の宛先に配信できませんでした。\r\n\r\n<jo@example.net>:\r\n該当するユーザーが存在しません。\r\n".encode(
        "iso-2022-jp"
    ),
    jo="bad_mailbox",
)

sample(
    "sjis",
    coded(
        "以下の宛先に送信できませんでした\n\njo@example.net\n\nエラー内容: 宛先のメールアドレスが見つかりません\n",
        "shift_jis",
        "送信エラーのお知らせ",
    ),
    jo="bad_mailbox",
)

sample(
    "sendmail-fatal-local",
    notice(
        """   ----- The following addresses had permanent fatal errors -----
"|/usr/bin/vacation jo"
    (reason: 127)
    (expanded from: <jo@example.net>)

   ----- Transcript of session follows -----
sh: vacation: not found
554 5.3.0 unknown mailer error 127
""",
        subject="Returned mail: see transcript for details",
    ),
    jo="system",
)

sample(
    "transcript-said-both",
    notice(
        "   ----- The following addresses had permanent fatal errors -----\n<jo@example.net>\n<kim@example.net>\n\n   ----- Transcript of session follows -----\n... while talking to mx.example.net.:\n>>> RCPT To:<jo@example.net>\n<<< 550 5.1.1 <jo@example.net>... User unknown\n550 5.1.1 <jo@example.net>... User unknown\n>>> RCPT To:<kim@example.net>\n<<< 452 4.2.2 <kim@example.net>... Mailbox full\n<kim@example.net>... Deferred: 452 4.2.2 <kim@example.net>... Mailbox full\n",
        subject="Returned mail: see transcript for details",
    ),
    jo="bad_mailbox",
    kim="mailbox_full",
)

sample(
    "error-after-transfer-of-mail-text",
    notice(
        """This message was created automatically by mail delivery software.
It could not be delivered. The following address failed:

<jo@example.net>:
SMTP error from remote server after transfer of mail text:
host: mx.example.net
5.7.1 Message classified as SPAM
"""
        + RETURNED,
        sender="Mail Delivery System <mailer-daemon@mx.example.org>",
        subject="Mail delivery failed: returning message to sender",
    ),
    jo="spam_content",
)

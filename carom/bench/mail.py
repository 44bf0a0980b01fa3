"""Mail for benchmarks: bounces and complaints as common systems write them, made up here.

A mixture like a listener's day: standard reports of several shapes, old text-only notices, a
complaint, an out-of-office and ordinary mail.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle, islice

from carom.demo.letters import bounce, complaint, out_of_office

REPLIES = (
    "550 5.1.1 <user@example.net>: Recipient address rejected: User unknown in local table",
    "552 5.2.2 Mailbox over quota, message not accepted",
    "421 4.7.0 Too many connections from your host, try again later",
    "550 5.7.1 Service unavailable; client host [192.0.2.1] blocked using a blocklist",
    "450 4.7.1 Greylisted, please try again in 300 seconds",
    "554 5.7.1 Message content rejected as spam",
    "550-5.1.1 The email account that you tried to reach does not exist",
    "451 4.3.0 Temporary lookup failure",
    "550 5.7.26 Unauthenticated mail is prohibited by the domain's policy",
    "550 Requested action not taken: mailbox unavailable",
)

_LETTER = (
    b"From: Shop <shop@bench.example>\r\nTo: user@example.net\r\nSubject: Your receipt\r\n"
    b"Message-ID: <letter@bench.example>\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\n"
    + b"A line of an ordinary letter, of ordinary length, like many others.\r\n"
    * 30
)


def letters(count: int) -> list[bytes]:
    """`count` messages of the mixture, each with addresses of its own."""
    return [make(number) for number, make in enumerate(islice(cycle(_MIX), count))]


def _dsn(number: int) -> bytes:
    words = REPLIES[number % len(REPLIES)]
    user = f"user{number}@example.net"
    return bounce("b@bounces.bench.example", user, _LETTER, words[4:9], words)


def _old(number: int) -> bytes:
    user = f"user{number}@example.net"
    return (
        b"From: MAILER-DAEMON@old.example\r\nTo: b@bounces.bench.example\r\n"
        b"Subject: failure notice\r\n\r\n"
        b"Hi. This is the mail program at old.example.\r\nI could not deliver your message to the "
        b"following addresses.\r\nThis is a permanent error; I have given up.\r\n\r\n<"
        + user.encode()
        + b">:\r\nSorry, no mailbox here by that name. (#5.1.1)\r\n\r\n"
        b"--- Below this line is a copy of the message.\r\n\r\n" + _LETTER
    )


def _complaint(number: int) -> bytes:
    return complaint("fbl@bounces.bench.example", f"user{number}@example.net", _LETTER)


def _away(number: int) -> bytes:
    return out_of_office("b@bounces.bench.example", f"user{number}@example.net")


def _ordinary(number: int) -> bytes:
    return _LETTER.replace(b"letter@", f"letter{number}@".encode())


_MIX: tuple[Callable[[int], bytes], ...] = (
    _dsn,
    _dsn,
    _old,
    _dsn,
    _dsn,
    _complaint,
    _dsn,
    _away,
    _old,
    _ordinary,
)

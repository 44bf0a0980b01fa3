"""The tables that the samples of one family go into, and what their letters share.

`BOUNCES` holds name -> (raw message, {failed address: category}), `OTHERS` name -> (kind, raw
message).  The shapes follow what the systems are documented to write; no line is anybody's mail.
"""

from __future__ import annotations

import base64

from tests.ingest.letters import LETTER, letter

Expected = dict[str, str]
BOUNCES: dict[str, tuple[bytes, Expected]] = {}
OTHERS: dict[str, tuple[str, bytes]] = {}
"""What is said to the same address and is no failure."""

RETURNED = (
    f"\n\n------ This is a copy of the message, including all the headers. ------\n\n{LETTER}"
)


def sample(name: str, raw: bytes, **expected: str) -> None:
    """`jo="bad_mailbox"` stands for jo@example.net."""
    people = {
        f"{who.replace('__', '.')}@example.net": category for who, category in expected.items()
    }
    BOUNCES[name] = raw, people


def kind(name: str, kind: str, raw: bytes) -> None:
    OTHERS[name] = kind, raw


def coded(
    text: str,
    charset: str,
    subject: str,
    *,
    kind: str = "text/plain",
    sender: str = "Postmaster <postmaster@mx.example.org>",
) -> bytes:
    body = base64.encodebytes(text.encode(charset, "xmlcharrefreplace")).decode()
    words = base64.b64encode(subject.encode(charset)).decode()
    headers = [
        f"From: {sender}",
        "To: news@example.com",
        f"Subject: =?{charset}?B?{words}?=",
        "MIME-Version: 1.0",
        f"Content-Type: {kind}; charset={charset}",
        "Content-Transfer-Encoding: base64",
    ]
    return letter(headers, body)

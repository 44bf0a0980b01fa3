"""AUTH PLAIN and LOGIN: what a client says it is.  RFC 4954, RFC 4616.

Reads the exchange and judges nothing: whether the credentials are good is the handler's matter.
LOGIN was never made a standard, and most of the world's mail programs speak it all the same.
Fails with a `CommandError`, which never repeats what was sent.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

from analysis.smtpd.path import CommandError

MECHANISMS = ("PLAIN", "LOGIN")
"""In the order in which they are offered."""

Ask = Callable[[str], Awaitable[str]]
"""Sends a challenge, in base64, and returns the client's next line."""


@dataclass(frozen=True, slots=True)
class Credentials:
    user: str
    password: str = field(repr=False)


async def exchange(argument: str, offered: Collection[str], ask: Ask) -> Credentials:
    """Go through the mechanism that the argument of AUTH names, to the credentials."""
    mechanism, _, initial = argument.partition(" ")
    mechanism = mechanism.upper()
    if mechanism not in offered:
        raise CommandError("504 5.5.4 That mechanism is not offered")
    if mechanism == "PLAIN":
        return _plain(_decoded(initial or await ask("")))
    user = _decoded(initial or await ask(_encoded("Username:")))
    return Credentials(user, _decoded(await ask(_encoded("Password:"))))


def _plain(message: str) -> Credentials:
    """RFC 4616 section 2: `authzid NUL authcid NUL passwd`."""
    parts = message.split("\0")
    if len(parts) != 3:
        raise CommandError("501 5.5.2 Syntax of AUTH PLAIN: NUL user NUL password")
    acts_as, user, password = parts
    if acts_as not in ("", user):
        raise CommandError("535 5.7.8 Nobody acts for another here")
    return Credentials(user, password)


def _decoded(line: str) -> str:
    if line == "*":  # RFC 4954 section 4: the client gives up
        raise CommandError("501 5.7.0 Authentication ended by the client")
    if line == "=":  # an initial response that is empty
        return ""
    try:
        return b64decode(line.encode(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise CommandError("501 5.5.2 Expected UTF-8 in base64") from None


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode()

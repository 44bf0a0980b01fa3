"""What is asked of SMTP and what comes back: plain values, no network.

An `Envelope` goes along a `Route` to one of its `Host`s and comes to an `Outcome`.  Values that
could not be honoured cannot be made: an address that would not go out byte for byte as given, or
content with a stray CR or LF, raises ValueError before anybody connects.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field
from enum import StrEnum

from analysis.reply import Reply

_UNSAFE = re.compile(r"[\s<>\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message to one recipient, ready to go.

    `content` is complete and signed, every line ended by CRLF, not dot-stuffed.  `mail_from` may be
    empty (the null sender).  Raises ValueError for anything that could not be sent as it stands.
    """

    mail_from: str
    rcpt: str
    content: bytes = field(repr=False)
    smtputf8: bool = False  # the headers hold UTF-8 (RFC 6532)

    def __post_init__(self) -> None:
        if self.mail_from:
            _check_address(self.mail_from)
        _check_address(self.rcpt)
        ends = self.content.count(b"\r\n")
        if self.content.count(b"\n") != ends or self.content.count(b"\r") != ends:
            raise ValueError("content has a CR or LF that is not part of a CRLF")
        if not self.content.endswith(b"\r\n"):
            raise ValueError("content does not end with CRLF")

    @property
    def needs_smtputf8(self) -> bool:
        """RFC 6531 section 3.4: a non-ASCII address or header."""
        return self.smtputf8 or not (self.mail_from.isascii() and self.rcpt.isascii())


def _check_address(address: str) -> None:
    local, at, domain = address.rpartition("@")
    if not (local and at and domain) or address[0] == "@" or _UNSAFE.search(address):
        raise ValueError(f"cannot be sent as an address: {address!r}")


class TlsMode(StrEnum):
    NONE = "none"
    OPPORTUNISTIC = "opportunistic"  # RFC 7435: encrypted where it works, else in the clear
    REQUIRED = "required"  # encrypted, certificate not looked at
    VERIFIED = "verified"  # certificate valid for the host's name (PKIX)


@dataclass(frozen=True, slots=True)
class Host:
    """Where to connect: an address somebody has vetted, and the name it must answer for."""

    name: str
    address: str  # a literal IPv4 or IPv6 address: resolving again would undo the vetting
    port: int = 25

    def __post_init__(self) -> None:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        try:
            socket.inet_pton(family, self.address.partition("%")[0])
        except OSError:
            raise ValueError(f"not an IP address: {self.address!r}") from None


@dataclass(frozen=True, slots=True)
class Route:
    """The way to a site: its hosts in the order to try them, and the terms.

    With a username, `OPPORTUNISTIC` means `REQUIRED`: credentials are never sent in the clear
    unless the mode says `NONE`.
    """

    site: str  # groups connections: a relay's name, or what its MX hosts have in common
    hosts: tuple[Host, ...]
    tls: TlsMode = TlsMode.OPPORTUNISTIC
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    implicit_tls: bool = False  # TLS from the first byte, as on port 465
    source_address: str | None = None  # ours
    provider: str = "other"  # copied into every Reply

    def __post_init__(self) -> None:
        if not self.hosts:
            raise ValueError(f"route to {self.site} has no hosts")
        if self.implicit_tls and self.tls is TlsMode.NONE:
            raise ValueError(f"route to {self.site}: implicit TLS and no TLS")

    @property
    def may_go_plain(self) -> bool:
        """Whether a failed STARTTLS is followed by an attempt in the clear."""
        return self.tls is TlsMode.OPPORTUNISTIC and self.username is None and not self.implicit_tls


class Result(StrEnum):
    ACCEPTED = "accepted"  # the next host took responsibility
    REFUSED = "refused"  # a well-formed 5xx
    DEFERRED = "deferred"  # 4xx, an answer that is none, trouble of the network or of ours
    IN_DOUBT = "in_doubt"  # the final dot was written and no answer to it understood


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one delivery came to, and how it travelled."""

    result: Result
    reply: Reply
    host: str
    address: str
    tls_version: str | None = None  # "TLSv1.3"; None in the clear
    tls_verified: bool = False
    reused: bool = False  # on a kept connection


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds.  Longer than feels natural: giving up after the dot makes duplicates.

    RFC 5321 section 4.5.3.2 sets the floor for all but connect, banner and quit.
    """

    connect: float = 30.0
    banner: float = 120.0
    ehlo: float = 300.0  # each answer while greeting and signing in
    tls: float = 60.0  # the handshake
    mail: float = 300.0
    rcpt: float = 300.0
    data: float = 120.0
    block: float = 180.0  # for each 64 kB of content to be taken
    content: float = 1_800.0  # for all of it
    dot: float = 600.0
    quit: float = 5.0  # for answers that change nothing any more

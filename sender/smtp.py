"""What is asked of SMTP and what comes back: plain values, no network.

An `Envelope` goes along a `Route` to one of its `Host`s and comes to an `Outcome`.  Values that
could not be honoured cannot be made: an address that would not go out byte for byte as given, or
content with a stray CR or LF, raises ValueError before anybody connects.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from analysis.reply import Reply
from sender.tls_report import Kind
from sender.tlsa import Tlsa

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
    ours: Callable[[], bool] = field(default=lambda: True, compare=False, repr=False)
    """Asked just before the final dot: whether the message is still ours to send."""

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
    DANE = "dane"  # certificate as the TLSA records say, whoever issued it


class TlsPolicy(StrEnum):
    """Whose word the terms are; a label of `carom_tls_sessions_total`."""

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"
    REQUIRED = "required"  # the message's, the stream's or the relay's
    STS = "sts"  # RFC 8461
    DANE = "dane"  # RFC 7672


@dataclass(frozen=True, slots=True)
class Tls:
    """The terms of TLS with one host."""

    mode: TlsMode
    policy: TlsPolicy
    tlsa: tuple[Tlsa, ...] = ()  # in mode DANE; never empty there
    names: tuple[str, ...] = ()  # in mode DANE with an authority: the certificate has one of them
    trial: bool = False  # see first whether VERIFIED would do, and report it (RFC 8461 testing)

    def __post_init__(self) -> None:
        if (self.mode is TlsMode.DANE) != bool(self.tlsa):
            raise ValueError("DANE is for hosts with TLSA records, and for no others")

    @property
    def kind(self) -> Kind:
        """What reports call the policy."""
        if self.policy is TlsPolicy.DANE:
            return Kind.TLSA
        return Kind.STS if self.policy is TlsPolicy.STS or self.trial else Kind.NONE


@dataclass(frozen=True, slots=True)
class Host:
    """Where to connect: an address somebody has vetted, and the name it must answer for."""

    name: str
    address: str  # a literal IPv4 or IPv6 address: resolving again would undo the vetting
    port: int = 25
    tls: Tls | None = None  # its own terms, before the route's

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
    ehlo_name: str | None = None  # what that address resolves to; None: the sender's own name
    provider: str = "other"  # copied into every Reply
    domain: str = ""  # whose mail it is: the policy domain in reports of TLS
    fixed: bool = False  # through a host that the operator named, not by the domain's MX
    connections: int | None = None  # at once to the site; None: as the pool is set
    connection_messages: int | None = None  # likewise

    def __post_init__(self) -> None:
        if not self.hosts:
            raise ValueError(f"route to {self.site} has no hosts")
        if self.implicit_tls and self.tls is TlsMode.NONE:
            raise ValueError(f"route to {self.site}: implicit TLS and no TLS")
        if self.tls is TlsMode.DANE:
            raise ValueError(f"route to {self.site}: DANE is a matter of each host")

    @property
    def by_relay(self) -> bool:
        """Through a host that takes mail for everybody, not one that stands for a domain."""
        return self.fixed and not self.domain

    def terms(self, host: Host) -> Tls:
        """The terms of TLS with `host`: its own, unless the route's are stricter."""
        own = host.tls
        if own is not None and own.mode in (TlsMode.DANE, TlsMode.VERIFIED):
            return own
        if self.tls is not TlsMode.OPPORTUNISTIC:
            return _ROUTE_TERMS[self.tls]
        if self.username is not None or self.implicit_tls:
            return _REQUIRED
        return own or _ROUTE_TERMS[self.tls]


_REQUIRED = Tls(TlsMode.REQUIRED, TlsPolicy.REQUIRED)
_ROUTE_TERMS = {
    TlsMode.NONE: Tls(TlsMode.NONE, TlsPolicy.NONE),
    TlsMode.OPPORTUNISTIC: Tls(TlsMode.OPPORTUNISTIC, TlsPolicy.OPPORTUNISTIC),
    TlsMode.REQUIRED: _REQUIRED,
    TlsMode.VERIFIED: Tls(TlsMode.VERIFIED, TlsPolicy.REQUIRED),
}


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
    tls_policy: TlsPolicy = TlsPolicy.OPPORTUNISTIC  # whose word the terms were


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

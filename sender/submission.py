"""SMTP submission: the entrance for everything that speaks SMTP.  RFC 6409.

The same pipeline and the same answers as `POST /v1/messages/raw`: 250 is said after COMMIT, with
the message's id; what HTTP refuses is 554 5.6.0 with the field and the reason; trouble of ours is
451.  Only holders of an API key with the scope `send` submit (`logins`), so nobody relays.

Differences that SMTP makes:
- A suppressed recipient is refused at RCPT, 550 5.7.1 with reason, date and evidence.  Stream and
  class of a message come with its headers, later: RCPT is asked about the login's stream, and lets
  pass an address that nothing but soft bounces stands against, since a login code may probe it
  (`analysis.half_open`).  What is withheld after all enters as suppressed and is named in the 250;
  a message that is withheld from all its recipients is answered 550 5.7.1.
- The envelope sender is read and put away: bounces come to a return path of ours (VERP).  From is
  the client's matter, and may be any.
- DSN parameters (RFC 3461) are checked and put away: what becomes of a message is told by events,
  webhooks and the API, and NOTIFY is not handed on to the next host.
- Headers `X-Carom-*` say what the API's fields say (`submission_headers`).
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from analysis.address import Address, AddressError, Mailbox, address_hash, key_of, parse
from analysis.batch import Overloaded
from analysis.lookup import iso
from analysis.problem import Problem
from analysis.smtpd import (
    Balancers,
    CommandError,
    Conversation,
    Credentials,
    Door,
    Limits,
    Reason,
    Server,
)
from analysis.smtpd.auth import MECHANISMS
from analysis.smtpd.door import is_loopback
from analysis.store import StoreFull, StoreUnavailable
from analysis.suppression import Reason as Why
from analysis.suppression import Suppression
from sender.idempotency import Receipt
from sender.intake import Order, Refused
from sender.logins import Login, Logins
from sender.order import raw_order_of
from sender.pressure import Congested
from sender.submission_headers import IDEMPOTENCY, WishError, Wishes, header_of, take_out

log = structlog.get_logger()

_LATER = "451 4.3.0 Nothing can be stored now, try later"
_NO_ROOM = "452 4.3.1 Nothing more can be stored now, try later"
_TOO_MUCH_WAITS = "451 4.4.5 As much of this class waits to be sent as may, try later"
_MOST_OF_A_LINE = 500
"""Octets of a reply without its end.  RFC 5321 section 4.5.3.1.5."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What submitted mail is handed to.  All raise `StoreUnavailable`."""

    logins: Logins
    withheld: Callable[[Sequence[bytes], str], Awaitable[Sequence[Suppression | None]]]
    """What stands against addresses, by their hashes, in a stream."""
    accept: Callable[[Order], Awaitable[Receipt]]  # `Refused`, `Overloaded`, too


class Submitting:
    """What is done with mail on one connection: its `smtpd.Gatekeeper`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._failures = 0
        self._login: Login | None = None  # of the message in work
        self._recipients: list[Address] = []
        self._found: dict[str, Suppression | None] = {}  # of recipients that are next

    async def log_in(self, talk: Conversation, credentials: Credentials) -> Login:
        logins = self._desk.logins
        login = await logins.admit(talk.client, credentials, talk.loop.time())
        if login is None:
            self._failures += 1
            raise CommandError(
                "535 5.7.8 The user is `apikey`, the password an API key that stands",
                Reason.LOGIN,
                last=self._failures >= logins.limits.connection,
            )
        return login

    async def mail(self, talk: Conversation, _sender: str) -> str:
        if not isinstance(talk.identity, Login):
            self._failures += 1
            raise CommandError(
                "530 5.7.0 Authentication required",
                Reason.LOGIN,
                last=self._failures > self._desk.logins.limits.connection,
            )
        self._login = await self._desk.logins.proven(talk.identity.credentials)
        if self._login is None:
            raise CommandError("530 5.7.0 The API key was revoked", Reason.LOGIN, last=True)
        self._recipients = []
        self._found = {}
        return "250 2.1.0 OK"

    async def recipient(self, talk: Conversation, text: str) -> str:
        try:
            address = parse(text)
        except AddressError as error:
            raise _refusal("553 5.1.3", str(error)) from None
        try:
            entry = await self._withheld(talk, address)
        except StoreUnavailable as error:
            log.warning("submission.waits", error=str(error))
            return _LATER
        if entry is not None and not may_be_probed(entry):
            raise _refusal("550 5.7.1", _suppressed(entry), Reason.SUPPRESSED)
        self._recipients.append(address)
        return "250 2.1.5 OK"

    async def _withheld(self, talk: Conversation, address: Address) -> Suppression | None:
        """What stands against an address, asked about together with those behind it in the line.

        No answer is older than the command it is for.
        """
        if address.key not in self._found:
            keys = [address.key, *_keys(talk.recipients_ahead())]
            hashes = [address_hash(key) for key in keys]
            found = await self._desk.withheld(hashes, self._known().stream)
            self._found = dict(zip(keys, found, strict=True))
        return self._found.pop(address.key)

    async def message(self, _talk: Conversation, content: bytes) -> str:
        try:
            wishes = take_out(content, self._known().stream)
            receipt = await self._desk.accept(self._order(wishes))
        except WishError as error:
            raise _refusal("554 5.6.0", str(error)) from None
        except Refused as error:
            raise _refusal("554 5.6.0", f"{header_of(error.field)}: {error.text}") from None
        except Congested:
            return _TOO_MUCH_WAITS
        except (StoreUnavailable, Overloaded) as error:
            log.warning("submission.waits", error=str(error))
            return _NO_ROOM if isinstance(error, StoreFull) else _LATER
        if receipt.conflict:
            text = f"{IDEMPOTENCY}: was used with another message within the last day"
            raise _refusal("554 5.6.0", text)
        if withheld := _from_all(receipt):
            raise _refusal("550 5.7.1", withheld, Reason.SUPPRESSED)
        return _taken(receipt)

    def _known(self) -> Login:
        assert self._login is not None, "a message begins with MAIL, and that with a login"
        return self._login

    def _order(self, wishes: Wishes) -> Order:
        recipients = [Mailbox("", address) for address in self._recipients]
        mark = wishes.mark(self._known().key.id, [address.key for address in self._recipients])
        try:
            return raw_order_of(wishes.message, recipients, wishes.terms, mark)
        except Problem as problem:
            raise WishError(header_of(problem.field), problem.detail) from None


class Submission:
    """Both listeners behind one door.  `observe` is told each refusal."""

    def __init__(
        self,
        desk: Desk,
        *,
        listen: str,
        tls_listen: str | None,
        hostname: str,
        limits: Limits,
        observe: Callable[[Reason], None],
        tls: ssl.SSLContext | None = None,
        plain_auth: Callable[[str], bool] = is_loopback,
        balancers: Balancers = (),
    ) -> None:
        """`tls` is offered on `listen` by STARTTLS and spoken at once on `tls_listen`, which needs
        it; `plain_auth` says which clients may log in without."""
        if tls_listen is not None and tls is None:
            raise ValueError("a listener that speaks TLS at once needs a certificate")
        door = Door(limits)

        def server(where: str, *, at_once: bool) -> Server:
            return Server(
                [where],
                lambda: Submitting(desk),
                hostname=hostname,
                limits=limits,
                door=door,
                observe=observe,
                tls=tls,
                tls_at_once=at_once,
                auth=MECHANISMS,
                plain_auth=plain_auth,
                dsn=True,
                balancers=balancers,
            )

        self._plain = server(listen, at_once=False)
        self._tls = None if tls_listen is None else server(tls_listen, at_once=True)

    async def start(self) -> tuple[int, int | None]:
        """Bind both or none (`OSError`); their ports."""
        [(_, port), *_more] = await self._plain.start()
        if self._tls is None:
            return port, None
        try:
            [(_, tls_port), *_more] = await self._tls.start()
        except OSError:
            await self._plain.close(0)
            raise
        return port, tls_port

    async def close(self, grace: float) -> None:
        """Let what is under way come to its answer within `grace` seconds, then end it."""
        await self._plain.close(grace)
        if self._tls is not None:
            await self._tls.close(grace)


def _keys(addresses: Iterable[str]) -> Iterator[str]:
    """Identities of those that are addresses; what is none is refused in its turn."""
    for text in addresses:
        try:
            yield key_of(text)
        except AddressError:
            continue


def may_be_probed(entry: Suppression) -> bool:
    """Whether a login code could still go there; the weightiest entry is asked."""
    return entry.reason is Why.SOFT_BOUNCE


def _taken(receipt: Receipt) -> str:
    named = "".join(
        f"; {word}: {', '.join(found)}"
        for word, key in (("suppressed", "suppression"), ("put off", "put_off"))
        if (found := [_named(one, one[key]) for one in receipt.answer["deliveries"] if key in one])
    )
    return _line("250 2.0.0", f"{receipt.answer['id']} accepted{named}")


def _named(delivery: Mapping[str, Any], why: Mapping[str, Any]) -> str:
    return f"{delivery['recipient']} ({why['reason']})"


def _from_all(receipt: Receipt) -> str:
    """Why the message goes to nobody; nothing where it goes to somebody."""
    deliveries = receipt.answer["deliveries"]
    if not deliveries or any("suppression" not in one for one in deliveries):
        return ""
    if len(deliveries) > 1:
        return f"suppressed: {', '.join(_named(one, one['suppression']) for one in deliveries)}"
    why = deliveries[0]["suppression"]
    return _why(why["reason"], why["since"], why["until"], why["evidence"])


def _suppressed(entry: Suppression) -> str:
    return _why(entry.reason.value, entry.since, entry.until, entry.evidence)


def _why(reason: str, since: float, until: float | None, evidence: str) -> str:
    end = "" if until is None else f" until {iso(until)}"
    return f"suppressed: {reason} since {iso(since)}{end}: {evidence}"


def _refusal(code: str, text: str, reason: Reason = Reason.SYNTAX) -> CommandError:
    return CommandError(_line(code, text), reason)


def _line(code: str, text: str) -> str:
    """One line of a reply, whatever the text holds."""
    words = " ".join(text.split()).encode("ascii", "replace").decode()
    if not words.isprintable():
        words = "".join(char if char.isprintable() else "?" for char in words)
    return f"{code} {words}"[:_MOST_OF_A_LINE]

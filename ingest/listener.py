"""The bounce listener: the MX of the bounce domain.

A message is answered 250 when `store` has returned, which means COMMIT, and never before.  If
`store` fails, or takes too long, the answer is 451: the message stays with its sender and comes
again, so `store` must bear the same message twice.  Once begun, it is not cancelled because the
sender went away; only `close` does that, after its grace.

All else that is refused, and how much is borne, is told in `analysis.smtpd` and `recipients`.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from analysis.smtpd import Balancers, CommandError, Conversation, Door, Limits, Reason, Server
from ingest.allowance import Allowance
from ingest.recipients import Accepted, Recipients

_TOO_MUCH_WAITS = "451 4.4.5 As much waits to be read as may, try later"
_TOO_MUCH_TODAY = "452 4.3.1 As much was left here today as may, try tomorrow"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Inbound:
    """One message as it came, for one or more addresses of ours."""

    peer: str  # the client's IP address
    helo: str
    mail_from: str  # `` for the null sender
    recipients: tuple[Accepted, ...]
    content: bytes  # CRLF line ends, no NUL
    received_at: float  # Unix seconds
    tls: bool


Store = Callable[[Inbound], Awaitable[None]]


class _Incoming:
    """What is done with mail on one connection: its `smtpd.Handler`."""

    def __init__(
        self,
        recipients: Recipients,
        has_room: Callable[[Accepted], bool],
        allowance: Allowance,
        store: Store,
        clock: Callable[[], float],
    ) -> None:
        self._recipients = recipients
        self._has_room = has_room
        self._allowance = allowance
        self._store = store
        self._clock = clock
        self._accepted: dict[tuple[str, str], Accepted] = {}  # each mailbox once

    async def mail(self, _talk: Conversation, _sender: str) -> str:
        self._accepted = {}
        return "250 2.1.0 OK"

    async def recipient(self, talk: Conversation, address: str) -> str:
        now = self._clock()
        accepted = self._recipients.find(address, now)
        if not self._has_room(accepted):
            raise CommandError(_TOO_MUCH_WAITS, Reason.UNREAD)
        if not self._allowance.is_left(talk.client, accepted, now):
            raise CommandError(_TOO_MUCH_TODAY, Reason.RATE)
        self._accepted.setdefault(_mailbox(accepted), accepted)
        return "250 2.1.5 OK"

    async def message(self, talk: Conversation, content: bytes) -> str:
        inbound = Inbound(
            peer=talk.client,
            helo=talk.helo,
            mail_from=talk.sender,
            recipients=tuple(self._accepted.values()),
            content=content,
            received_at=self._clock(),
            tls=talk.encrypted,
        )
        if not self._allowance.take(
            inbound.peer, inbound.recipients, len(content), inbound.received_at
        ):
            raise CommandError(_TOO_MUCH_TODAY, Reason.RATE)
        await self._store(inbound)
        return "250 2.0.0 Stored"


def _mailbox(accepted: Accepted) -> tuple[str, str]:
    """One address has many spellings, and a message that names it fifty times is kept once."""
    return accepted.purpose, "" if accepted.token is None else accepted.token.subject_id


class Listener:
    """`observe` is told each refusal; `clock` gives Unix seconds; `has_room` says of an address of
    ours whether a report to it is taken now: if not, 451 (RFC 3463 section 3.5: congestion).
    `allowance` bounds what strangers leave in a day."""

    def __init__(
        self,
        listen: Sequence[str],
        *,
        hostname: str,
        recipients: Recipients,
        store: Store,
        clock: Callable[[], float],
        observe: Callable[[Reason], None],
        limits: Limits | None = None,
        door: Door | None = None,
        tls: ssl.SSLContext | None = None,
        balancers: Balancers = (),
        has_room: Callable[[Accepted], bool] = lambda _: True,
        allowance: Allowance | None = None,
    ) -> None:
        limits = limits or Limits()
        allowance = allowance or Allowance()
        self._server = Server(
            listen,
            lambda: _Incoming(recipients, has_room, allowance, store, clock),
            hostname=hostname,
            limits=limits,
            door=door or Door(limits),
            observe=observe,
            tls=tls,
            balancers=balancers,
        )

    @property
    def open(self) -> int:
        """Connections there are."""
        return self._server.open

    async def start(self) -> list[tuple[str, int]]:
        """Bind every address or none (`OSError`); return the hosts and ports."""
        bound = await self._server.start()
        log.info("listener.open", bound=bound)
        return bound

    async def close(self, grace: float) -> None:
        """Let what is under way come to its answer within `grace` seconds, then end it."""
        await self._server.close(grace)
        log.info("listener.closed")

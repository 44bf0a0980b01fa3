# ruff: noqa: N802, ARG002  aiosmtpd finds commands by these names and calls them so
"""The commands of SMTP as a careful server obeys them.  RFC 5321 section 4.1.

What happens to mail is a `Handler`'s matter.  It gets addresses of the strict grammar in `path`,
the null sender as ``, content as `content` promises it, and its work on a message is never
cancelled because the client went away.  The client gets a positive reply to a message only after
the handler gave one; if that takes longer than `store_seconds`, or fails, 451.

No command tells who exists or what runs here.  AUTH is offered and obeyed only where the house has
mechanisms and the handler is a `Gatekeeper`, and only under TLS or from clients that the house
trusts with plain text.
"""

from __future__ import annotations

import asyncio
import re
from typing import Protocol, runtime_checkable

import structlog

from analysis.smtpd import auth, notices
from analysis.smtpd.arrived import unread, whole_lines
from analysis.smtpd.auth import Credentials
from analysis.smtpd.connection import Connection, House
from analysis.smtpd.content import Content
from analysis.smtpd.door import Reason
from analysis.smtpd.path import MAIL, RCPT, CommandError, Path

log = structlog.get_logger()

_HELO = re.compile(r"[!-~]{1,255}")
_BODY = frozenset({"7BIT", "8BITMIME"})
# Without DSN in EHLO no notices are promised (RFC 3461), but some ask for them all the same.
_MAIL_PARAMETERS = frozenset({"SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH"})
_RCPT_PARAMETERS = frozenset({"NOTIFY", "ORCPT"})


class Handler(Protocol):
    """What is done with mail; one object a connection.  Each answers with one whole reply line.

    A sender or recipient is taken, and a message promised, by a reply that begins with `2`.
    `CommandError` refuses; any other exception is trouble of ours and becomes 451.
    """

    async def mail(self, talk: Conversation, sender: str, /) -> str: ...

    async def recipient(self, talk: Conversation, address: str, /) -> str: ...

    async def message(self, talk: Conversation, content: bytes, /) -> str: ...


@runtime_checkable
class Gatekeeper(Handler, Protocol):
    """A handler that knows who may come in."""

    async def log_in(self, talk: Conversation, credentials: Credentials, /) -> object:
        """Who that is, to be `talk.identity`; refuses with `CommandError`."""


class Conversation(Connection):
    """`identity` is what `log_in` returned in this session, or None; STARTTLS begins another."""

    identity: object

    def __init__(self, handler: Handler, house: House, client: str = "") -> None:
        super().__init__(handler, house, client)
        self._handler = handler

    @property
    def helo(self) -> str:
        return self.session.host_name or ""

    @property
    def sender(self) -> str:
        return self.envelope.mail_from or ""

    def _start_afresh(self) -> None:
        super()._start_afresh()
        self.identity = None

    @property
    def _may_log_in(self) -> bool:
        return self.encrypted or self._house.plain_auth(self.client)

    async def smtp_HELO(self, hostname: str) -> None:
        self._greet(hostname, extended=False)
        await self.push(f"250 {self.hostname}")

    async def smtp_EHLO(self, hostname: str) -> None:
        self._greet(hostname, extended=True)
        offers = [
            self.hostname,
            "PIPELINING",
            f"SIZE {self._limits.message}",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
        ]
        if self._house.tls is not None and not self.encrypted:
            offers.append("STARTTLS")
        if self._house.dsn:
            offers.append("DSN")
        if self._house.auth and self._may_log_in:
            mechanisms = [name for name in auth.MECHANISMS if name in self._house.auth]
            offers.append(" ".join(["AUTH", *mechanisms]))
        *most, last = offers
        await self.push("".join(f"250-{offer}\r\n" for offer in most) + f"250 {last}")

    def _greet(self, hostname: str, *, extended: bool) -> None:
        if not _HELO.fullmatch(hostname):
            raise CommandError("501 5.5.4 Syntax: EHLO hostname")
        self._set_rset_state()
        self.session.host_name = hostname
        self.session.extended_smtp = extended

    async def smtp_MAIL(self, arg: str | None) -> None:
        if not self.session.host_name:
            raise CommandError("503 5.5.1 Say EHLO first")
        if self.envelope.mail_from is not None:
            raise CommandError("503 5.5.1 A sender was given already")
        path = MAIL.read(arg or "")
        _check(path, _MAIL_PARAMETERS)
        self._check_mail(path.parameters)
        utf8 = "SMTPUTF8" in path.parameters
        _check_ascii(path, utf8)
        reply = await self._handler.mail(self, path.address)
        if reply.startswith("2"):
            self.envelope.mail_from = path.address
            self.envelope.smtp_utf8 = utf8
        await self.push(reply)

    def _check_mail(self, parameters: dict[str, str]) -> None:
        if parameters.get("BODY", "7BIT").upper() not in _BODY or parameters.get("SMTPUTF8"):
            raise CommandError("501 5.5.4 That parameter is not understood")
        size = parameters.get("SIZE", "0")
        if not (size.isascii() and size.isdigit() and len(size) <= 20):
            raise CommandError("501 5.5.4 Syntax: SIZE=octets")
        if int(size) > self._limits.message:
            raise CommandError("552 5.3.4 Message too big", Reason.TOO_BIG)
        if self._house.dsn:
            notices.check_mail(parameters)

    async def smtp_RCPT(self, arg: str | None) -> None:
        if self.envelope.mail_from is None:
            raise CommandError("503 5.5.1 Give a sender first")
        path = RCPT.read(arg or "")
        _check(path, _RCPT_PARAMETERS)
        if self._house.dsn:
            notices.check_recipient(path.parameters)
        _check_ascii(path, self.envelope.smtp_utf8)
        # A notice answers one message, and that had one return path: RFC 3464 section 2.
        most = self._limits.recipients if self.envelope.mail_from else 1
        if len(self.envelope.rcpt_tos) >= most:
            raise CommandError("452 4.5.3 Too many recipients", Reason.RATE)
        reply = await self._handler.recipient(self, path.address)
        if reply.startswith("2"):
            self.envelope.rcpt_tos.append(path.address)
        await self.push(reply)

    def recipients_ahead(self) -> list[str]:
        """Addresses of RCPT commands that came with the one in work and are next, in order.

        For handlers that can ask about many at once.  Each is judged and answered in its own turn
        all the same, before anybody waits for the client again.
        """
        found: list[str] = []
        room = self._limits.recipients - len(self.envelope.rcpt_tos) - 1
        for line in whole_lines(self._reader)[:room]:
            verb, _, argument = line.partition(b" ")
            if verb.upper() != b"RCPT":
                break
            try:
                found.append(RCPT.read(argument.decode().strip(" ")).address)
            except (CommandError, UnicodeDecodeError):
                break
        return found

    async def smtp_DATA(self, arg: str) -> None:
        if arg:
            raise CommandError("501 5.5.4 Syntax: DATA")
        if not self.envelope.rcpt_tos:
            raise CommandError("503 5.5.1 No recipient was accepted")
        content = Content(self._reader, self._limits, self._house.door)
        self._reading_content = True
        try:
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            self._wait(self._look_at_rate)
            reply = await self._store(await content.read())
        finally:
            self._reading_content = False
            content.release()
            self._set_rset_state()
        if reply.startswith("2"):
            self._commands = 0
        await self.push(reply)

    async def _store(self, content: bytes) -> str:
        """Hand the message over and wait, but not for ever; what is begun is let to its end."""
        task = self.loop.create_task(self._handler.message(self, content))
        self._house.storing.add(task)
        task.add_done_callback(self._house.storing.discard)
        self._stop_waiting()
        self._storing = True
        try:
            return await _within(self._limits.store_seconds, task)
        except CommandError:
            raise
        except Exception as error:  # noqa: BLE001 the message is the sender's until we took it
            task.add_done_callback(_note_late_end)
            return await self.handle_exception(error)
        finally:
            self._storing = False
            self._wait(self._expire)

    async def smtp_STARTTLS(self, arg: str) -> None:
        if arg:
            raise CommandError("501 5.5.4 Syntax: STARTTLS")
        if self._house.tls is None or self.encrypted:
            raise CommandError("503 5.5.1 No STARTTLS here and now")
        if unread(self._reader):
            # Sent in plain text to be taken for encrypted: CVE-2011-0411, CVE-2024-34083.
            raise CommandError("554 5.5.1 Nothing may follow STARTTLS", last=True)
        self.transport.pause_reading()  # or the handshake's first octets are read as a command
        await self.push("220 2.0.0 Go ahead")
        secure = await self.loop.start_tls(
            self.transport,
            self,
            self._house.tls,
            server_side=True,
            ssl_handshake_timeout=self._house.door.patience,
            ssl_shutdown_timeout=self._limits.linger_seconds,
        )
        if secure is None:
            raise ConnectionAbortedError("ended in the handshake")
        self._move_to(secure)
        self._start_afresh()  # RFC 3207 section 4.2

    def _move_to(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._reader._transport = transport  # type: ignore[attr-defined]
        self._writer._transport = transport  # type: ignore[attr-defined]
        self._replace_writer(self._writer)  # type: ignore[attr-defined]

    async def smtp_AUTH(self, arg: str) -> None:
        if not self._house.auth:
            raise CommandError("502 5.5.1 No AUTH here")
        if not self._may_log_in:
            raise CommandError("538 5.7.11 AUTH needs STARTTLS first")
        if not isinstance(self._handler, Gatekeeper):
            raise CommandError("502 5.5.1 No AUTH here")
        if not self.session.extended_smtp:
            raise CommandError("503 5.5.1 Say EHLO first")
        if self.identity is not None or self.envelope.mail_from is not None:
            raise CommandError("503 5.5.1 No AUTH here and now")
        credentials = await auth.exchange(arg, self._house.auth, self._challenge)
        self.identity = await self._handler.log_in(self, credentials)
        await self.push("235 2.7.0 Welcome")

    async def _challenge(self, text: str) -> str:
        await self.push(f"334 {text}")
        return await self._read_line()

    async def smtp_RSET(self, arg: str) -> None:
        self._set_rset_state()
        await self.push("250 2.0.0 OK")

    async def smtp_NOOP(self, arg: str) -> None:
        await self.push("250 2.0.0 OK")

    async def smtp_QUIT(self, arg: str) -> None:
        self._last_words = "221 2.0.0 Good bye"

    async def smtp_VRFY(self, arg: str) -> None:
        await self.push("252 2.1.5 Send the mail and see")

    async def smtp_EXPN(self, arg: str) -> None:
        raise CommandError("502 5.5.1 No EXPN here")

    async def smtp_HELP(self, arg: str) -> None:
        await self.push("214 2.0.0 See RFC 5321")


def _check(path: Path, known: frozenset[str]) -> None:
    if not path.parameters.keys() <= known:
        raise CommandError("555 5.5.4 That parameter is not known here")


def _check_ascii(path: Path, utf8: bool) -> None:
    if not utf8 and not path.address.isascii():
        raise CommandError("553 5.6.7 That address needs SMTPUTF8")


async def _within(seconds: float, task: asyncio.Task[str]) -> str:
    """What comes of it, or TimeoutError if that takes longer: it goes on all the same."""
    done, _ = await asyncio.wait([task], timeout=seconds)
    if not done:
        raise TimeoutError
    return task.result()


def _note_late_end(task: asyncio.Task[str]) -> None:
    """A message answered with 451 may be stored after all: it comes again, and is known."""
    if not task.cancelled():
        log.info("smtpd.late", stored=task.exception() is None)

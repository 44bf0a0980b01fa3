"""One SMTP connection, bounded in time, commands and memory, on aiosmtpd's protocol.

aiosmtpd gives the session, the envelope, the dispatch by verb and AUTH.  Its connection and its
command loop are replaced here, because they answer our own faults with 500 and the text of the
exception, wait for ever in `transport.close()`, know no limit on connections or sessions, log what
clients say, and cancel the work on a message when its sender half-closes.

Replies to commands that came together leave together where RFC 2920 section 3.2 wants it so: those
to MAIL, RCPT and RSET wait while another whole command is there to be obeyed.

Promises: every way out gives the slot back; a socket is closed for certain `linger_seconds` after
the last words, also towards a client that never reads; our trouble is 451 in words that say
nothing of it.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import cast

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session

from analysis.smtpd.arrived import unread
from analysis.smtpd.door import Door, Limits, Reason, client_address
from analysis.smtpd.path import CommandError
from analysis.store import StoreFull

log = structlog.get_logger()

TROUBLE = "451 4.3.0 Temporary trouble here, try later"
NO_ROOM = "452 4.3.1 No room now, try later"
_GROUPED = frozenset({"MAIL", "RCPT", "RSET"})
"""Commands whose replies may wait for the next one's: RFC 2920 section 3.2."""
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(slots=True)
class House:
    """What all connections of one server share."""

    hostname: str
    limits: Limits
    door: Door
    observe: Callable[[Reason], None]
    tls: ssl.SSLContext | None = None  # offers STARTTLS
    auth: frozenset[str] = frozenset()  # mechanisms offered, under TLS and to these without it:
    plain_auth: Callable[[str], bool] = lambda _client: False
    dsn: bool = False  # offers RFC 3461, and holds clients to its syntax
    open: set[Connection] = field(default_factory=set)
    storing: set[asyncio.Task[str]] = field(default_factory=set)


class Connection(SMTP):
    """`client` is the peer's address as text, IPv4 also where it came mapped; or as it is told."""

    line_length_limit = 2**16  # how much aiosmtpd's reader looks through at a time
    session: Session
    envelope: Envelope
    transport: asyncio.Transport

    def __init__(self, handler: object, house: House, client: str = "") -> None:
        super().__init__(
            handler,
            hostname=house.hostname,  # or aiosmtpd asks DNS, blocking
            enable_SMTPUTF8=True,
            auth_require_tls=False,  # asked for by our own AUTH
            loop=asyncio.get_running_loop(),
        )
        self.client = client
        self.gone: asyncio.Future[None] = self.loop.create_future()
        self._house = house
        self._limits = house.limits
        self._inside = False
        self._storing = False
        self._reading_content = False
        self._grouped = False  # the command in work is one of `_GROUPED`
        self._unsaid = b""  # replies that wait for the next one: fewer than commands are allowed
        self._last_words: str | None = None  # set once it is to end
        self._errors = self._commands = self._received = self._received_before = 0
        self._window = 0.0
        self._then: Callable[[], None] | None = None  # what is done when patience is over
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None  # rings then, or before and looks again
        self._life: asyncio.TimerHandle | None = None
        self._certain_end: asyncio.TimerHandle | None = None

    @property
    def encrypted(self) -> bool:
        return self.transport.get_extra_info("ssl_object") is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        asyncio.StreamReaderProtocol.connection_made(self, transport)
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own are no subclass
        self._start_afresh()
        self.client = self.client or client_address(transport.get_extra_info("peername"))
        self._house.open.add(self)
        if not self.arrive():
            self.end("421 4.7.0 Too many connections, try later")
            return
        self._life = self.loop.call_later(self._limits.session_seconds, self._expire)
        self._handler_coroutine = self.loop.create_task(self._handle_client())

    def arrive(self) -> bool:
        """Ask for a place, as a `Guest` does before its handshake; once."""
        if self._inside:
            return True
        reason = self._house.door.enter(self.client, self.loop.time())
        if reason is not None:
            self._house.observe(reason)
        self._inside = reason is None
        return self._inside

    def depart(self) -> None:
        if self._inside:
            self._house.door.leave(self.client)
        self._inside = False

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        super().data_received(data)

    def eof_received(self) -> bool | None:
        """A client that has said all it had to say still gets its answer."""
        return asyncio.StreamReaderProtocol.eof_received(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Give the slot back, once.  The command in work meets EOF and ends by itself."""
        if self.gone.done():
            return
        self._house.open.discard(self)
        for timer in (self._timer, self._life, self._certain_end):
            if timer is not None:
                timer.cancel()
        self.depart()
        asyncio.StreamReaderProtocol.connection_lost(self, error)
        self.gone.set_result(None)

    def end(self, last_words: str, *, patiently: bool = False) -> None:
        """End at once, or after a message that is being stored; `patiently` also one being read."""
        self._last_words = last_words
        if self._storing or (patiently and self._reading_content):
            return
        if not self.transport.is_closing() and self.transport.get_write_buffer_size() == 0:
            self._writer.write(self._unsaid + last_words.encode() + b"\r\n")
        self._hang_up()

    def abort(self) -> None:
        """Close the socket for certain, whatever is still to be written."""
        self.transport.abort()
        self.connection_lost(None)

    def _hang_up(self) -> None:
        if self._certain_end is None and not self.gone.done():
            self.transport.close()
            self._certain_end = self.loop.call_later(self._limits.linger_seconds, self.abort)

    def _start_afresh(self) -> None:
        self.session = self._create_session()
        self._set_rset_state()

    def _set_rset_state(self) -> None:
        self.envelope = self._create_envelope()

    def _wait(self, then: Callable[[], None]) -> None:
        """Do `then` when patience with the client is over, unless it is waited for anew before.

        Every command is waited for, so the timer is left alone unless it would ring too late.
        """
        self._received_before = self._received
        self._window = self._house.door.patience
        self._then, self._due = then, self.loop.time() + self._window
        if self._timer is not None and self._timer.when() > self._due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self.loop.call_at(self._due, self._ring)

    def _stop_waiting(self) -> None:
        self._then = None

    def _ring(self) -> None:
        self._timer = None
        if self._then is None:
            return
        if self.loop.time() < self._due:
            self._timer = self.loop.call_at(self._due, self._ring)
        else:
            self._then()

    def _expire(self) -> None:
        if not self._storing:
            self._house.observe(Reason.TIMEOUT)
        self.end("421 4.4.2 Too slow, good bye")

    def _look_at_rate(self) -> None:
        if self._received - self._received_before < self._limits.data_rate * self._window:
            self._expire()
        else:
            self._wait(self._look_at_rate)

    async def _handle_client(self) -> None:
        try:
            await self.push(f"220 {self.hostname} ESMTP")
            while self._last_words is None:
                self._wait(self._expire)
                await self._serve_command()
                self._keep_count()
            if self._last_words and not self.transport.is_closing():
                await self.push(self._last_words)
        except (OSError, asyncio.IncompleteReadError) as gone:
            log.debug("smtpd.gone", client=self.client, how=type(gone).__name__)
        finally:
            self._hang_up()

    async def _serve_command(self) -> None:
        self._grouped = False
        try:
            verb, _, argument = (await self._read_line()).partition(" ")
            verb = verb.upper()
            self._grouped = verb in _GROUPED
            command = self._smtp_methods.get(verb, _unknown_command)
            await command(argument.strip(" "))
        except CommandError as refusal:
            self._house.observe(refusal.reason)
            if refusal.last:
                self._last_words = refusal.reply
            else:
                await self.push(refusal.reply)
        except asyncio.IncompleteReadError:
            raise
        except Exception as error:
            if isinstance(error, OSError) and self.transport.is_closing():
                raise  # the client's end, not our fault
            await self.push(await self.handle_exception(error))

    async def _read_line(self) -> str:
        try:
            line = await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            raise CommandError("500 5.5.2 Line too long", last=True) from None
        if len(line) > self._limits.line:
            raise CommandError("500 5.5.2 Line too long")
        if not line.endswith(b"\r\n"):
            raise CommandError("500 5.5.2 Lines end with CR LF")
        try:
            text = line[:-2].decode()
        except UnicodeDecodeError:
            raise CommandError("500 5.5.2 Neither ASCII nor UTF-8") from None
        if _UNPRINTABLE.search(text):
            raise CommandError("500 5.5.2 Control characters")
        return text

    def _keep_count(self) -> None:
        self._commands += 1
        if self._last_words is not None:
            return
        if self._errors > self._limits.errors or self._commands > self._limits.commands:
            self._house.observe(Reason.ERRORS)
            self._last_words = "421 4.7.0 Too many errors or idle commands, good bye"

    async def push(self, status: str | bytes) -> None:
        """Write a reply, whose lines are split by CRLF, and wait while the client does not read.

        One that may leave with the next is kept until then.
        """
        reply = status.encode("ascii", "replace") if isinstance(status, str) else status
        if reply.startswith(b"5"):
            self._errors += 1
        self._unsaid += reply + b"\r\n"
        if self._grouped and b"\n" in unread(self._reader):
            return
        if self.transport.is_closing():  # uvloop would raise RuntimeError, as if we were at fault
            raise ConnectionAbortedError("went before its answer")
        self._writer.write(self._unsaid)
        self._unsaid = b""
        await self._writer.drain()

    async def handle_exception(self, error: Exception) -> str:
        """Answer our own fault.  Its text may hold secrets: it is for those who debug."""
        self._house.observe(Reason.TROUBLE)
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        file = PurePath(trace.tb_frame.f_code.co_filename).name if trace else ""
        line = trace.tb_lineno if trace else 0
        log.error("smtpd.trouble", error=type(error).__name__, file=file, line=line)
        log.debug("smtpd.trouble.detail", exc_info=error)
        return NO_ROOM if isinstance(error, StoreFull) else TROUBLE


async def _unknown_command(_argument: str) -> None:
    raise CommandError("500 5.5.1 Unknown command")

"""The wire under one outbound SMTP session: who may speak, what counts as a reply, when it is cut.

Extends aiosmtplib's protocol, which owns commands and STARTTLS, with the guarantees that judging a
reply needs:

- **A reply belongs to the command it answers.**  The wire counts the replies it is owed.  A word
  out of turn, a reply given up on (timeout, cancellation) or half a reply makes the wire unusable
  and cuts it, so that no late `550` can ever be read as the answer to the next message.
- **A reply is well formed or it is trouble.**  RFC 5321 section 4.2: three digits from 200 to 599,
  the same on every line of a multi-line reply, at most 8 kB a line and 32 kB in all.
- **Cutting is immediate.**  `abort()`, never `close()`: a peer that stopped reading must not keep
  a descriptor and a write buffer alive.
- **Writing has flow control**: `room()` waits until the peer took what was written.

Trouble is raised as aiosmtplib's own exceptions.  Replies that were complete before the trouble
are still handed out first.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable
from typing import cast

from aiosmtplib import (
    SMTPException,
    SMTPReadTimeoutError,
    SMTPResponse,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPStatus,
    SMTPTimeoutError,
)
from aiosmtplib.protocol import MAX_LINE_LENGTH, MAX_RESPONSE_LENGTH, SMTPProtocol

PATIENCE = 300.0
"""Seconds to wait where a caller names no limit.  RFC 5321 section 4.5.3.2."""

_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?\r?", re.DOTALL)


class Wire(SMTPProtocol):
    """One connection's protocol.  Starts owed one reply: the banner."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._owed = 1
        self._replies: deque[SMTPResponse] = deque()
        self._code = b""  # of the multi-line reply being read
        self._lines: list[bytes] = []
        self._room_left = MAX_RESPONSE_LENGTH
        self._trouble: SMTPException | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def at_rest(self) -> bool:
        """Connected, nothing owed, nothing half read: the next command starts on clean ground."""
        return self.is_connected and not (self.broken or self._owed or self._replies)

    @property
    def answered(self) -> bool:
        """Whether a reply, or trouble, is there to be read without waiting."""
        return bool(self._replies) or self.broken

    @property
    def broken(self) -> bool:
        return self._trouble is not None

    def send(self, data: bytes, *, replies: int = 1) -> None:
        """Write commands that `replies` answers are owed to."""
        self.write(data)
        self.expect(replies)

    def expect(self, replies: int) -> None:
        """From now on so many more replies may come."""
        self._owed += replies

    def write(self, data: bytes | memoryview) -> None:
        if self._trouble is not None:
            raise self._trouble
        super().write(cast(bytes, data))

    async def read_response(
        self,
        timeout: float | None = None,  # noqa: ASYNC109  aiosmtplib's own signature
    ) -> SMTPResponse:
        """The next reply, whole, within `timeout` seconds however slowly it drips."""
        if not self._replies:
            self._owed = max(self._owed, 1)
            seconds = PATIENCE if timeout is None else timeout
            expiry = SMTPReadTimeoutError(f"no answer within {seconds:g} s")
            await self._until(lambda: self.answered, seconds, expiry)
        if self._replies:
            return self._replies.popleft()
        assert self._trouble is not None
        raise self._trouble

    async def room(self, seconds: float) -> None:
        """Wait until the peer has taken enough of what was written, or has answered already."""
        expiry = SMTPTimeoutError(f"nothing taken within {seconds:g} s")
        await self._until(lambda: not self._paused or self.answered, seconds, expiry)

    def abort(self) -> None:
        """Hang up at once; what was not sent is thrown away and the descriptor is free."""
        self._fail(SMTPServerDisconnected("connection cut by us"))

    async def _until(
        self, ready: Callable[[], bool], seconds: float, expiry: SMTPException
    ) -> None:
        if ready():
            return
        timer = self._loop.call_later(seconds, self._fail, expiry)
        try:
            while not ready():
                self._waiter = self._loop.create_future()
                await self._waiter
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            timer.cancel()
            self._waiter = None

    def _fail(self, trouble: SMTPException) -> None:
        if self._trouble is None:
            self._trouble = trouble
        self._buffer.clear()
        if self.transport is not None:
            cast(asyncio.Transport, self.transport).abort()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._wake()

    def eof_received(self) -> bool:
        self._fail(SMTPServerDisconnected("connection closed by the other side"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._fail(SMTPServerDisconnected("connection lost" + (f": {exc}" if exc else "")))

    def data_received(self, data: bytes) -> None:
        if self.broken:
            return
        self._buffer += data
        while (end := self._buffer.find(b"\n")) != -1:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._take(line)
        if len(self._buffer) > MAX_LINE_LENGTH:
            self._malformed("line too long", self._buffer[:80])
        elif self._buffer and not self._owed:
            self._malformed("a word out of turn", self._buffer[:80])

    def _take(self, line: bytes) -> None:
        match = _LINE.fullmatch(line)
        self._room_left -= len(line)
        if match is None:
            self._malformed("not a reply", line[:200])
        elif not self._owed:
            self._malformed("a word out of turn", line[:200])
        elif self._lines and match[1] != self._code:
            self._malformed("codes differ within one reply", self._code + b" and " + line[:200])
        elif len(line) > MAX_LINE_LENGTH or self._room_left < 0:
            self._malformed("reply too long", line[:80])
        else:
            self._code = match[1]
            self._lines.append((match[3] or b"").strip(b" \t\r"))
            if match[2] != b"-":
                self._complete()

    def _complete(self) -> None:
        text = b"\n".join(self._lines).decode("utf-8", "replace")
        self._lines.clear()
        self._room_left = MAX_RESPONSE_LENGTH
        self._owed -= 1
        self._replies.append(SMTPResponse(int(self._code), text))
        self._wake()

    def _malformed(self, complaint: str, seen: bytes | bytearray) -> None:
        words = seen.decode("utf-8", "replace")
        self._fail(
            SMTPResponseException(SMTPStatus.invalid_response.value, f"{complaint}: {words}")
        )

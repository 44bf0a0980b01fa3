"""The content of DATA, read in pieces of any size and bounded all the way.

Only CRLF.CRLF ends a message (RFC 5321 section 4.1.1.4); no bare line end before or after the dot
does.  Every octet counts, also those of a line that never ends.  What is too big is thrown away as
it comes and refused at its end; a sender who goes on to twice the limit is hung up on.

Promises of the result: dots are unstuffed, every line ends in CRLF, there is no bare CR or LF and
no NUL.  Broken systems do send these, and a report is worth reading all the same; making it even
smuggles nothing, since a report is never sent on, and what submission takes is stuffed anew when
it is sent.  Long lines are kept as they are: the limit on the whole bounds them too.
"""

from __future__ import annotations

import asyncio

from analysis.smtpd.arrived import put_back
from analysis.smtpd.door import Door, Limits, Reason
from analysis.smtpd.path import CommandError

_END = b"\r\n.\r\n"
_SLACK = 2**20
"""Octets past twice the limit: a small limit must not cut those who stop at their end."""


class Content:
    """One message on its way in.  `release` gives back the room that it took."""

    def __init__(self, reader: asyncio.StreamReader, limits: Limits, door: Door) -> None:
        self._reader = reader
        self._limits = limits
        self._door = door
        self._raw = bytearray()
        self._seen = 0
        self._held = 0
        self._refusal: CommandError | None = None

    async def read(self) -> bytes:
        """Read up to the end of the content, and no octet further: commands may follow at once.

        Raises `CommandError` for what is refused and `asyncio.IncompleteReadError` at EOF.
        """
        # The line before the content is DATA's own: with its end put back, a dot on the first
        # line looks like any other.
        put_back(self._reader, b"\r\n")
        while True:
            try:
                self._take(await self._reader.readuntil(_END))
            except asyncio.LimitOverrunError as over:
                self._take(await self._reader.readexactly(over.consumed))
            else:
                break
        if self._refusal is not None:
            raise self._refusal
        return self._even()

    def release(self) -> None:
        self._raw = bytearray()
        self._door.give_back(self._held)
        self._held = 0

    def _take(self, part: bytes) -> None:
        self._seen += len(part)
        if self._refusal is None:
            if self._seen > self._limits.message + len(_END):
                self._refuse(CommandError("552 5.3.4 Message too big", Reason.TOO_BIG))
            elif not self._door.hold(len(part)):
                self._refuse(CommandError("452 4.3.1 No room now, try later", Reason.TROUBLE))
            else:
                self._held += len(part)
                self._raw += part
        elif self._seen > 2 * self._limits.message + _SLACK:
            raise CommandError(self._refusal.reply, self._refusal.reason, last=True)

    def _refuse(self, refusal: CommandError) -> None:
        self._refusal = refusal
        self.release()

    def _even(self) -> bytes:
        content = bytes(self._raw[: 2 - len(_END)])
        self._raw = bytearray()
        content = content.replace(b"\r\n.", b"\r\n")
        if b"\0" in content:
            content = content.replace(b"\0", b"")
        if not content.count(b"\r") == content.count(b"\n") == content.count(b"\r\n"):
            content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            content = content.replace(b"\n", b"\r\n")
        header = self._limits.header + 2
        if len(content) > header and content.find(b"\r\n\r\n", 0, header + 2) < 0:
            raise CommandError("552 5.3.4 Header too big", Reason.TOO_BIG)
        if len(content) > self._limits.message + 2:
            raise CommandError("552 5.3.4 Message too big", Reason.TOO_BIG)
        return content[2:]

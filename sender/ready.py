"""Ready messages (RFC 5322): read once, taken as they are, completed.

`read` splits octets into header fields and body and judges nothing, so it never fails; everybody
who looks at the message after that is handed the same `Ready`.  Promises of `accept`, the judge:
line ends become CRLF, Bcc and Return-Path are taken out, Date, Message-ID, MIME-Version,
Auto-Submitted and Feedback-ID are added where they are missing; nothing else is touched, an 8-bit
body neither (it then needs 8BITMIME).  Earlier DKIM signatures stay: one that our changes break
counts for no more than none (RFC 6376 section 6.1), one that still holds helps.

`accept` and `recipients` fail with `ComposeError` on the field `raw`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from analysis.address import AddressError, Mailbox, parse
from sender.compose import Composed, Origin
from sender.headers import (
    MAX_BLOCK,
    ComposeError,
    address_list,
    closed,
    crlf,
    decoded,
    header_block,
    read_block,
    unfolded,
)

MAX_LINE = 998  # RFC 5322 section 2.1.1, octets without the line end

_ONCE = frozenset(
    {"from", "sender", "reply-to", "to", "cc", "bcc", "subject", "date", "message-id"}
)
_TAKEN_OUT = frozenset({"bcc", "return-path"})
_BAD_IN_HEADER = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
Field = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Ready:
    """A message as it came, but for its line ends, which are CRLF."""

    head: bytes  # up to the empty line
    body: bytes
    fields: Sequence[Field]  # of the head, up to the first line that is none; folded as they came
    end: int  # octets of the head that they are

    @property
    def octets(self) -> int:
        return len(self.head) + len(b"\r\n") + len(self.body)

    @property
    def longest(self) -> int:
        """Octets of its longest line, without the line end."""
        return max(*map(len, self.head.split(b"\r\n")), *map(len, self.body.split(b"\r\n")))

    def having(self, fields: Sequence[Field]) -> Ready:
        """The same message with these fields instead."""
        block = _block(fields)
        return Ready(block + self.head[self.end :], self.body, fields, len(block))


def read(content: bytes) -> Ready:
    """Read a message in any line ends; the envelope line of an mbox file is left out."""
    return read_lines(crlf(content))


def read_lines(lines: bytes) -> Ready:
    """Read a message whose lines all end in CRLF."""
    if lines.startswith(b"From "):
        lines = lines.partition(b"\r\n")[2]
    end = lines.find(b"\r\n\r\n") + 2
    head, body = (lines[:end], lines[end + 2 :]) if end >= 2 else (closed(lines), b"")
    return Ready(head, body, *read_block(head))


def accept(message: Ready, origin: Origin) -> Composed:
    """Take a ready message, or raise `ComposeError`."""
    _check(message)
    fields = message.fields
    names = [name.lower().decode() for name, _ in fields]
    for name in sorted(_ONCE.intersection(names)):
        if names.count(name) > 1:
            raise ComposeError("raw", f"has more than one {name.title()} header")
    values = dict(zip(names, (value for _, value in fields), strict=True))
    kept = [field for name, field in zip(names, fields, strict=True) if name not in _TAKEN_OUT]
    block = _missing(names, origin) + _block(kept)
    return Composed(
        closed(block + b"\r\n" + message.body),
        _from(values.get("from")),
        decoded(values.get("subject", b"")),
        unfolded(values.get("message-id", origin.message_id.encode())).decode(),
    )


def recipients(message: Ready) -> tuple[Mailbox, ...]:
    """The mailboxes of To, Cc and Bcc, for callers that name no other; or `ComposeError`."""
    _check(message)
    wanted = [field for field in message.fields if field[0].lower() in (b"to", b"cc", b"bcc")]
    return tuple(one for name, value in wanted for one in _mailboxes(name.decode(), value))


def _check(message: Ready) -> None:
    """Refuse what is wrong whatever it means."""
    head, end = message.head, message.end
    if b"\0" in head or b"\0" in message.body:
        raise ComposeError("raw", "contains a NUL octet")
    if len(head) > MAX_BLOCK:
        raise ComposeError("raw", f"has more than {MAX_BLOCK} octets of headers")
    if _overlong(head) or _overlong(message.body):
        raise ComposeError("raw", f"has a line of more than {MAX_LINE} octets")
    if not _is_utf8(head):
        raise ComposeError("raw", "has headers that are neither ASCII nor UTF-8")
    if end < len(head) or _BAD_IN_HEADER.search(head):
        line = head.count(b"\r\n", 0, end) + 1
        raise ComposeError("raw", f"line {line} is no header field, or holds a control character")


def _overlong(lines: bytes) -> bool:
    """Whether a line is longer than `MAX_LINE`: from one line end to the farthest within reach."""
    at = 0
    while len(lines) - at > MAX_LINE:
        end = lines.rfind(b"\r\n", at, at + MAX_LINE + 2)
        if end < 0:
            return True
        at = end + 2
    return False


def _block(fields: Sequence[Field]) -> bytes:
    return b"".join([b"%b:%b\r\n" % field for field in fields])


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _missing(names: Sequence[str], origin: Origin) -> bytes:
    ours = {
        "Date": origin.date,
        "Message-ID": origin.message_id,
        "Auto-Submitted": "auto-generated",
        "Feedback-ID": origin.feedback_id,
        "MIME-Version": "1.0",
    }
    return b"".join([_field(*one) for one in ours.items() if one[0].lower() not in names])


@lru_cache(256)  # but for the Message-ID, many messages have the same
def _field(name: str, value: str) -> bytes:
    return header_block([(name, [value])])


def _from(value: bytes | None) -> Mailbox:
    if value is None:
        raise ComposeError("raw", "has no From header")
    found = _mailboxes("From", value)
    if len(found) != 1:
        raise ComposeError("raw", f"From has {len(found)} addresses: exactly one is needed")
    return found[0]


def _mailboxes(name: str, value: bytes) -> list[Mailbox]:
    try:
        return [Mailbox(shown, parse(address)) for shown, address in address_list(value)]
    except AddressError as error:
        raise ComposeError("raw", f"{name}: {error}") from error
    except ValueError as error:
        raise ComposeError("raw", f"{name} is no list of addresses in UTF-8") from error

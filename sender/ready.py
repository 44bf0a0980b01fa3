"""Ready messages (RFC 5322): taken as they are, completed, and read for what must be known.

Promises of `accept`: line ends become CRLF, Bcc and Return-Path are taken out, Date, Message-ID,
MIME-Version, Auto-Submitted and Feedback-ID are added where they are missing; nothing else is
touched, an 8-bit body neither (it then needs 8BITMIME).  Earlier DKIM signatures stay: one that
our changes break counts for no more than none (RFC 6376 section 6.1), one that still holds helps.

Fails with `ComposeError` on the field `raw`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

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


def accept(content: bytes, origin: Origin) -> Composed:
    """Take a ready message (RFC 5322), in any line ends, or raise `ComposeError` on `raw`."""
    fields, body = _read(content)
    names = [name.lower().decode() for name, _ in fields]
    for name in sorted(_ONCE):
        if names.count(name) > 1:
            raise ComposeError("raw", f"has more than one {name.title()} header")
    values = dict(zip(names, (value for _, value in fields), strict=True))
    kept = [
        name + b":" + value + b"\r\n"
        for name, value in fields
        if name.lower().decode() not in _TAKEN_OUT
    ]
    block = header_block(_missing(names, origin)) + b"".join(kept)
    return Composed(
        closed(block + b"\r\n" + body),
        _from(values.get("from")),
        decoded(values.get("subject", b"")),
        unfolded(values.get("message-id", origin.message_id.encode())).decode(),
        eight_bit=not body.isascii(),
        internationalised=not block.isascii(),
    )


def recipients(content: bytes) -> tuple[Mailbox, ...]:
    """The mailboxes of To, Cc and Bcc of a ready message, for callers that name no other."""
    fields, _ = _read(content)
    wanted = [(name, value) for name, value in fields if name.lower() in (b"to", b"cc", b"bcc")]
    return tuple(one for name, value in wanted for one in _mailboxes(name.decode(), value))


def _read(content: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Header fields and body with CRLF line ends, after every check that needs no meaning."""
    lines = crlf(content)
    if lines.startswith(b"From "):  # the envelope line of an mbox file
        lines = lines.partition(b"\r\n")[2]
    end = lines.find(b"\r\n\r\n") + 2
    block = lines[:end] if end >= 2 else closed(lines)
    if b"\0" in lines:
        raise ComposeError("raw", "contains a NUL octet")
    if len(block) > MAX_BLOCK:
        raise ComposeError("raw", f"has more than {MAX_BLOCK} octets of headers")
    if max(map(len, lines.split(b"\r\n"))) > MAX_LINE:
        raise ComposeError("raw", f"has a line of more than {MAX_LINE} octets")
    fields, read = read_block(block)
    if not _is_utf8(block):
        raise ComposeError("raw", "has headers that are neither ASCII nor UTF-8")
    if read < len(block) or _BAD_IN_HEADER.search(block):
        line = block.count(b"\r\n", 0, read) + 1
        raise ComposeError("raw", f"line {line} is no header field, or holds a control character")
    return fields, lines[end + 2 :] if end >= 2 else b""


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _missing(names: Sequence[str], origin: Origin) -> list[tuple[str, list[str]]]:
    ours = {
        "Date": origin.date,
        "Message-ID": origin.message_id,
        "Auto-Submitted": "auto-generated",
        "Feedback-ID": origin.feedback_id,
        "MIME-Version": "1.0",
    }
    return [(name, [value]) for name, value in ours.items() if name.lower() not in names]


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

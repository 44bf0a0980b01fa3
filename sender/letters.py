"""Letters: what the lint looks at, read from a draft or from a ready message.

The body of a ready message is the dear part: it is read only as far as text and HTML go, by the
standard library's parser, and not at all where the header says that it is plain text.  Nothing
raises but `ComposeError`, for what intake would refuse too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser

from analysis.address import Mailbox
from sender.compose import Draft
from sender.headers import ComposeError, address_list, decoded, unfolded
from sender.ready import Ready

MOST_READ = 1_000_000
"""Octets of a ready message's body that are looked at."""
MOST_PARTS = 50


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as the lint sees it; `headers` by lower-case name, of a ready message all."""

    from_: Mailbox | None
    subject: str
    text: str | None
    html: str | None
    headers: Mapping[str, str]
    size: int
    ready: bool = False
    attachments: int = 0
    malformed: str = ""  # why a ready message cannot be read
    longest: int = 0  # octets of the longest line of a ready message that is malformed
    named: Sequence[str] = field(default_factory=tuple)


def of_draft(draft: Draft, size: int = 0) -> Letter:
    """`size`: octets once composed, 0 if that is not known."""
    return Letter(
        draft.from_,
        draft.subject,
        draft.text,
        draft.html,
        {name.lower(): value for name, value in draft.headers} if draft.headers else {},
        size,
        attachments=len(draft.attachments),
    )


def of_ready(message: Ready, from_: Mailbox | None = None, malformed: str = "") -> Letter:
    """`from_` and `malformed` as intake found them."""
    headers = {name.decode("latin-1").lower(): unfolded(value) for name, value in message.fields}
    text, html, attachments = _parts(message, headers)
    return Letter(
        from_,
        decoded(headers.get("subject", b"")),
        text,
        html,
        {name: value.decode("utf-8", "replace") for name, value in headers.items()},
        message.octets,
        ready=True,
        attachments=attachments,
        malformed=malformed,
        longest=message.longest if malformed else 0,
    )


def _parts(message: Ready, headers: Mapping[str, bytes]) -> tuple[str | None, str | None, int]:
    """Text, HTML and how many other parts there are."""
    body = message.body[:MOST_READ]
    kind = headers.get("content-type", b"text/plain").partition(b";")[0].strip().lower()
    plain = headers.get("content-transfer-encoding", b"7bit").lower() in (b"7bit", b"8bit")
    if kind == b"text/plain" and plain:
        return body.decode("utf-8", "replace"), None, 0
    whole: Message = BytesParser().parsebytes(message.head[: message.end] + b"\r\n" + body)
    text: str | None = None
    html: str | None = None
    others = 0
    for n, part in enumerate(whole.walk()):
        if n == MOST_PARTS:
            break
        match part.get_content_type():
            case "text/plain" if text is None:
                text = _said(part)
            case "text/html" if html is None:
                html = _said(part)
            case _:
                others += not part.is_multipart()
    return text, html, others


def _said(part: Message) -> str:
    payload = part.get_payload(decode=True)
    octets = payload if isinstance(payload, bytes) else b""
    charset = str(part.get_param("charset", "utf-8")).lower()
    known = charset if charset in _CHARSETS else "utf-8"
    return octets.decode(known, "replace")


_CHARSETS = frozenset(
    {"us-ascii", "iso-8859-1", "windows-1252", "gbk", "gb18030", "gb2312", "big5"}
)


def senders(value: str) -> int:
    """How many addresses a From value names; 0 where it is no list of addresses."""
    try:
        return len(address_list(value.encode("utf-8", "replace")))
    except (ValueError, ComposeError):
        return 0

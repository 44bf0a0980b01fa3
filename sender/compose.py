"""Messages: from plain values to the bytes that are stored.

Promises: correct MIME, 7-bit clean below the headers, CRLF line ends, no line over
998 octets, and the same bytes for the same arguments.  Text and HTML become
multipart/alternative, images that the HTML shows by `cid:` multipart/related with it, files
multipart/mixed around both.  Carom's own headers are never overridden by the caller's.

Fails with `ComposeError`, which names the field of the API.  What differs between deliveries
(List-Unsubscribe, DKIM-Signature) is put in front at send time, by `headers.prepend`.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Literal
from urllib.parse import quote

from analysis.address import Mailbox
from sender.headers import (
    MAX_BLOCK,
    ComposeError,
    checked_name,
    checked_text,
    closed,
    crlf,
    header_block,
    mailbox_tokens,
    text_tokens,
)

MAX_HEADERS = 50
MAX_ATTACHMENTS = 100
MAX_FILENAME = 255  # octets: longer names cannot be saved anywhere

MANAGED = frozenset({
    "from", "sender", "reply-to", "to", "cc", "bcc", "subject", "date", "message-id",
    "mime-version", "return-path", "received", "dkim-signature", "domainkey-signature",
    "authentication-results", "auto-submitted", "feedback-id", "list-unsubscribe",
    "list-unsubscribe-post",
})  # fmt: skip
"""Headers that are Carom's own, or a field of the API.  So are Content-*, Resent-* and ARC-*."""
_MANAGED_PREFIXES = ("content-", "resent-", "arc-")
_STRUCTURED = ("in-reply-to", "references", "list-")  # where RFC 2047 forbids encoded-words

# A body that nobody on the way has a reason to touch: RFC 5322 section 2.1.1 asks for 78, and a
# line that begins with `From ` gets a `>` in front from programs that keep mail in mbox files.
_EASY = re.compile(rb"(?:(?!From )[\t -~]{0,78}\r\n)*(?!From )[\t -~]{0,78}")
_PARAMETER = r'; ?[a-z0-9-]{1,40}=(?:[a-z0-9!#$&^_.+-]{1,70}|"[ !#-\[\]-~]{0,70}")'
_CONTENT_TYPE = re.compile(
    rf"([a-z0-9!#$&^_.+-]{{1,60}})/[a-z0-9!#$&^_.+-]{{1,90}}(?:{_PARAMETER}){{0,5}}", re.IGNORECASE
)
_CONTENT_ID = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]{1,200}")
_STREAM = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file.  With `content_id` and `inline` it is shown where the HTML says `cid:...`."""

    filename: str
    content_type: str
    content: bytes
    content_id: str | None = None  # without angle brackets
    disposition: Literal["attachment", "inline"] = "attachment"


@dataclass(frozen=True, slots=True)
class Draft:
    """What the caller wants to say, in plain values."""

    from_: Mailbox
    to: tuple[Mailbox, ...]
    subject: str
    text: str | None = None
    html: str | None = None
    reply_to: tuple[Mailbox, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """What Carom knows of a message before it exists.  Boundaries are made of `id` too."""

    id: str  # ULID
    domain: str  # right side of the Message-ID, A-labels
    stream: str
    class_: str
    created_at: float

    def __post_init__(self) -> None:
        if not (_STREAM.fullmatch(self.stream) and _STREAM.fullmatch(self.class_)):
            raise ValueError("a stream's name has 1 to 64 letters, digits, `_`, `.` and `-`")

    @property
    def message_id(self) -> str:
        return f"<{self.id}@{self.domain}>"

    @property
    def feedback_id(self) -> str:
        """Four fields for Gmail's feedback loop, the sender last.

        Gmail reports on values that recur, so nothing here is unique to a message.
        """
        return f"{self.stream}:{self.class_}:{self.domain}:carom"

    @property
    def date(self) -> str:
        return _date(int(self.created_at))


@lru_cache(8)  # many messages are of one second
def _date(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(second, UTC))


@dataclass(frozen=True, slots=True)
class Composed:
    """A message ready to be stored, and what the record says of it."""

    content: bytes
    from_: Mailbox
    subject: str  # decoded, for people
    message_id: str  # with its angle brackets


@dataclass(frozen=True, slots=True)
class _Part:
    fields: list[tuple[str, list[str]]]
    body: bytes


# From values


def compose(draft: Draft, origin: Origin) -> Composed:
    """Write a message, or raise `ComposeError`."""
    part = _structure(draft, f"=_{origin.id}")
    fields = [*_own_fields(draft, origin), *_given_fields(draft.headers), *part.fields]
    block = header_block(fields)
    if len(block) > MAX_BLOCK:
        raise ComposeError("headers", f"all headers together are longer than {MAX_BLOCK} octets")
    return Composed(
        closed(block + b"\r\n" + part.body),
        draft.from_,
        draft.subject.strip(" "),
        origin.message_id,
    )


def _own_fields(draft: Draft, origin: Origin) -> list[tuple[str, list[str]]]:
    if not draft.to:
        raise ComposeError("to", "needs at least one recipient")
    subject = checked_text(draft.subject, "subject")
    fields = [
        ("Date", [origin.date]),
        _address_field("From", [draft.from_], "from"),
        _address_field("To", draft.to, "to"),
        ("Subject", text_tokens("Subject", subject)),
        ("Message-ID", [origin.message_id]),
        ("Auto-Submitted", ["auto-generated"]),
        ("Feedback-ID", [origin.feedback_id]),
        ("MIME-Version", ["1.0"]),
    ]
    if draft.reply_to:
        fields.insert(3, _address_field("Reply-To", draft.reply_to, "reply_to"))
    return fields


def _address_field(name: str, given: Sequence[Mailbox], field: str) -> tuple[str, list[str]]:
    for mailbox in given:
        checked_text(mailbox.name, field)
    return name, mailbox_tokens(name, given)


def _given_fields(given: Sequence[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    if len(given) > MAX_HEADERS:
        raise ComposeError("headers", f"has more than {MAX_HEADERS} entries")
    fields = [_given_field(name, value) for name, value in given]
    if len({name.lower() for name, _ in fields}) < len(fields):
        raise ComposeError("headers", "names a header twice")
    return fields


def _given_field(name: str, value: str) -> tuple[str, list[str]]:
    field = f"headers.{name[:70]}"
    folded = checked_name(name, field).lower()
    if folded in MANAGED or folded.startswith(_MANAGED_PREFIXES):
        raise ComposeError(field, "is written by Carom, or has a field of its own in the request")
    tokens = text_tokens(name, checked_text(value, field))
    if not tokens:
        raise ComposeError(field, "is empty")
    if folded.startswith(_STRUCTURED) and tokens[0].startswith("=?"):
        raise ComposeError(field, "must be ASCII, in words of at most 900 characters")
    return name, tokens


def _structure(draft: Draft, mark: str) -> _Part:
    """Nest the parts, RFC 2046 section 5.1.4 and RFC 2387; boundaries begin with `mark`."""
    if draft.text is None and draft.html is None:
        raise ComposeError("text", "give `text`, `html` or both")
    if len(draft.attachments) > MAX_ATTACHMENTS:
        raise ComposeError("attachments", f"has more than {MAX_ATTACHMENTS} entries")
    shown, files = _attached(draft)
    readings: list[_Part] = []
    if draft.text is not None:
        readings.append(_text_part("plain", draft.text, "text", mark))
    if draft.html is not None:
        html = _text_part("html", draft.html, "html", mark)
        readings.append(_multipart("related", [html, *shown], f"{mark}_rel") if shown else html)
    whole = (
        readings[0] if len(readings) == 1 else _multipart("alternative", readings, f"{mark}_alt")
    )
    return _multipart("mixed", [whole, *files], f"{mark}_mix") if files else whole


def _attached(draft: Draft) -> tuple[list[_Part], list[_Part]]:
    """The parts the HTML shows, and the others."""
    shown: list[_Part] = []
    files: list[_Part] = []
    for number, one in enumerate(draft.attachments):
        inside = one.disposition == "inline" and one.content_id and draft.html is not None
        (shown if inside else files).append(_file_part(one, f"attachments.{number}"))
    return shown, files


def _multipart(kind: str, parts: Sequence[_Part], boundary: str) -> _Part:
    words = [f"multipart/{kind};", f'boundary="{boundary}"']
    if kind == "related":
        words.insert(1, 'type="text/html";')  # RFC 2387 section 3.1
    line = b"--" + boundary.encode()
    inner = b"".join(
        line + b"\r\n" + header_block(part.fields) + b"\r\n" + part.body + b"\r\n" for part in parts
    )
    return _Part([("Content-Type", words)], inner + line + b"--\r\n")


def _text_part(subtype: str, text: str, field: str, mark: str) -> _Part:
    if "\0" in text:
        raise ComposeError(field, "contains a NUL character")
    try:
        body, encoding = _encoded(text.encode(), mark.encode())
    except UnicodeEncodeError as error:
        raise ComposeError(field, "contains half of a surrogate pair") from error
    return _Part(
        [
            ("Content-Type", [f"text/{subtype};", "charset=utf-8"]),
            ("Content-Transfer-Encoding", [encoding]),
        ],
        body,
    )


def _encoded(text: bytes, mark: bytes) -> tuple[bytes, str]:
    """As it is where that is safe, otherwise in the shorter encoding.  RFC 2045 section 6.

    Neither encoding can hold `=_`, so that only 7bit could hold a boundary by chance.
    """
    plain = crlf(text)
    if _EASY.fullmatch(plain) and mark not in plain:
        return plain, "7bit"
    quoted = _quoted_printable(plain)
    if len(quoted) <= len(plain) * 4 * 78 // (3 * 76):
        return quoted, "quoted-printable"
    return _base64(plain), "base64"


def _quoted_printable(text: bytes) -> bytes:
    lines = binascii.b2a_qp(text.replace(b"\r\n", b"\n"), quotetabs=False, istext=True)
    return re.sub(rb"(?m)^From ", b"=46=\nrom ", lines).replace(b"\n", b"\r\n")


def _base64(content: bytes) -> bytes:
    return base64.encodebytes(content).rstrip(b"\n").replace(b"\n", b"\r\n")


def _file_part(one: Attachment, field: str) -> _Part:
    kind = _CONTENT_TYPE.fullmatch(one.content_type)
    if not kind:
        raise ComposeError(f"{field}.content_type", "must be like `application/pdf`")
    if kind[1].lower() in ("multipart", "message"):
        raise ComposeError(f"{field}.content_type", "attach it as `application/octet-stream`")
    fields = [
        ("Content-Type", [one.content_type]),
        ("Content-Transfer-Encoding", ["base64"]),
        ("Content-Disposition", [f"{one.disposition};", *_filename(one.filename, field)]),
    ]
    if one.content_id is not None:
        if not _CONTENT_ID.fullmatch(one.content_id):
            raise ComposeError(f"{field}.content_id", "must be like `logo` or `logo@example.com`")
        fields.append(("Content-ID", [f"<{one.content_id}>"]))
    return _Part(fields, _base64(one.content))


def _filename(name: str, field: str) -> list[str]:
    """A plain ASCII `filename` for old readers and, where it lost something, RFC 2231's."""
    field += ".filename"
    checked_text(name, field)
    if not name or len(name.encode()) > MAX_FILENAME or "/" in name or "\\" in name:
        raise ComposeError(field, f"must be a file's name of 1 to {MAX_FILENAME} octets, no path")
    letters = [c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c)]
    plain = "".join(c if " " <= c <= "~" and c not in '"/\\' else "_" for c in letters)
    if plain == name:
        return [f'filename="{name}"']
    return [f'filename="{plain}";', f"filename*=utf-8''{quote(name, safe='')}"]

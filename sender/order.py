"""The request bodies of `/v1/messages`, and the `Order` that each becomes.

A body is a closed object; every refusal names the field as the request spelt it.  Times are ISO
8601 with a zone or Unix seconds, attachments base64, metadata any JSON object of bounded size.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import orjson
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    WithJsonSchema,
    field_validator,
)

from analysis.address import Address, AddressError, Mailbox, parse_mailbox
from analysis.body import Body, shown
from analysis.exchange import read_time
from analysis.problem import Problem, invalid
from sender.compose import Attachment, Draft
from sender.headers import ComposeError
from sender.idempotency import Idempotency
from sender.intake import Order, Refused
from sender.ready import Ready
from sender.ready import recipients as named_recipients

MOST_METADATA = 16_000
"""Octets of `metadata` as JSON: it is a label for the client's own records, not storage."""
MOST_DATA = 256_000
"""Octets of `data` as JSON: what a template is filled with."""
MOST_MESSAGES = 500
"""In one batch."""

_LIST_INDEX = re.compile(r"\.([0-9]+)(?=\.|$)")


class MailboxBody(Body):
    email: Annotated[str, AfterValidator(lambda text: _parsed({"email": text}) and text)]
    name: str | None = None


def _parsed(value: str | Mapping[str, object]) -> Mailbox:
    try:
        return parse_mailbox(value)
    except AddressError as error:
        raise ValueError(str(error)) from error


def _mailbox(value: object) -> Mailbox:
    if isinstance(value, Mapping):
        body = MailboxBody.model_validate(value)
        return _parsed({"email": body.email, "name": body.name})
    if isinstance(value, str):
        return _parsed(value)
    raise ValueError("expected an address, or an object with `email` and `name`")


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _octets(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("expected base64 text")  # noqa: TRY004  pydantic reads ValueError
    try:
        return b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("is not base64") from error


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    try:
        content = orjson.dumps([[[[value]]]])  # it is shown inside of other objects
    except orjson.JSONEncodeError as error:
        raise ValueError("is nested too deeply") from error
    if len(content) > MOST_METADATA:
        raise ValueError(f"is longer than {MOST_METADATA} octets")
    if b"\\u0000" in content:
        raise ValueError("contains a NUL character")
    return value


def _data(value: dict[str, Any]) -> dict[str, Any]:
    try:
        content = orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise ValueError("is nested too deeply") from error
    if len(content) > MOST_DATA:
        raise ValueError(f"is longer than {MOST_DATA} octets")
    return value


def _choice(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


MailboxField = Annotated[
    Mailbox,
    PlainValidator(_mailbox),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "examples": ["Ada <ada@example.com>"]},
                {
                    "type": "object",
                    "properties": {"email": {"type": "string"}, "name": {"type": "string"}},
                    "required": ["email"],
                },
            ]
        }
    ),
]
Mailboxes = Annotated[list[MailboxField], BeforeValidator(_listed)]
Time = Annotated[
    float | None,
    BeforeValidator(read_time),
    WithJsonSchema({"type": ["string", "number", "null"], "format": "date-time"}),
]
Octets = Annotated[
    bytes,
    PlainValidator(_octets),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]
Metadata = Annotated[dict[str, Any], AfterValidator(_metadata)]
Data = Annotated[dict[str, Any], AfterValidator(_data)]


class AttachmentBody(Body):
    filename: str
    content: Octets
    content_type: str = "application/octet-stream"
    content_id: str | None = None
    disposition: Literal["attachment", "inline"] = "attachment"


class TemplateChoice(Body):
    """A stored template: the newest version in the nearest language, or the version named."""

    name: str = Field(max_length=64)
    lang: str = Field("", max_length=35)
    version: int | None = Field(None, ge=1, le=1_000_000_000)

    @field_validator("lang")
    @classmethod
    def _folded(cls, text: str) -> str:
        return text.lower().replace("_", "-")

    def __str__(self) -> str:
        name = "".join(c if c.isprintable() else "?" for c in self.name)
        return name if self.version is None else f"{name}@{self.version}"


class Terms(Body):
    """What every kind of message says of its sending."""

    stream: str = Field("default", description="The kind of mail it is counted and kept with")
    class_: str | None = Field(
        None,
        alias="class",
        description="otp, transactional or bulk: what goes first, and how it is tried again; "
        "else that of its stream",
    )
    send_at: Time = Field(None, description="Not before; ISO 8601 or Unix seconds")
    deadline: Time = Field(None, description="Not tried again after; ISO 8601 or Unix seconds")
    metadata: Metadata = Field(
        default_factory=dict, description="Yours, given back with the message; not sent"
    )
    require_tls: bool = Field(
        False, description="Only where the receiver's certificate holds; else deferred"
    )


class NewMessage(Terms):
    """One message; each recipient gets a delivery of its own."""

    from_: MailboxField | None = Field(
        None, alias="from", description="`Shop <shop@example.com>`; else that of its stream"
    )
    to: Mailboxes = Field(description="Each gets a delivery of its own; all stand in To")
    subject: str = ""
    text: str | None = Field(
        None, description="The plain text; a message without it is often taken for spam"
    )
    html: str | None = None
    reply_to: Mailboxes = Field(default_factory=list)
    headers: dict[str, str] = Field(default_factory=dict, description="More header fields, by name")
    attachments: list[AttachmentBody] = Field(default_factory=list)
    template: Annotated[TemplateChoice | None, BeforeValidator(_choice)] = Field(
        None, description="A stored template in place of subject, text and html; or just its name"
    )
    data: Data | None = Field(None, description="What the template is filled with")


class RawMessage(Terms):
    """A ready RFC 5322 message, as text or in base64, and whom it goes to."""

    raw: str
    to: Mailboxes = Field(default_factory=list, description="Else who is in To, Cc and Bcc")


class Batch(Body):
    """Each message is answered at its own place; one that is refused stops no other."""

    messages: list[Any] = Field(min_length=1, max_length=MOST_MESSAGES)


class Again(Body):
    """To whom a message is sent again; by default to everybody it went to."""

    to: Mailboxes = Field(default_factory=list)


def order_of(
    message: NewMessage, senders: Mapping[str, Mailbox], idempotency: Idempotency | None = None
) -> Order:
    """`senders`: the From of streams whose messages may leave it out."""
    from_ = message.from_ or _usual(message.stream, senders)
    draft = Draft(
        from_=from_,
        to=tuple(message.to),
        subject=message.subject,
        text=message.text,
        html=message.html,
        reply_to=tuple(message.reply_to),
        headers=tuple(message.headers.items()),
        attachments=tuple(
            Attachment(one.filename, one.content_type, one.content, one.content_id, one.disposition)
            for one in message.attachments
        ),
    )
    return _order(draft, [one.address for one in message.to], message, idempotency)


def _usual(stream: str, senders: Mapping[str, Mailbox]) -> Mailbox:
    if usual := senders.get(stream):
        return usual
    raise invalid("from", "is missing")


def raw_order_of(
    message: Ready, to: Sequence[Mailbox], terms: Terms, idempotency: Idempotency | None = None
) -> Order:
    """A ready message's order; without `to` its own To, Cc and Bcc say whom it goes to."""
    try:
        named = to or named_recipients(message)
    except ComposeError as error:
        raise refused(error) from error
    return _order(message, [one.address for one in named], terms, idempotency)


def _order(
    message: Draft | Ready,
    recipients: Sequence[Address],
    terms: Terms,
    idempotency: Idempotency | None,
) -> Order:
    return Order(
        message=message,
        recipients=tuple(recipients),
        stream=terms.stream,
        class_=terms.class_,
        send_at=terms.send_at,
        deadline=terms.deadline,
        metadata=terms.metadata,
        idempotency=idempotency,
        require_tls=terms.require_tls,
    )


def raw_octets(text: str) -> bytes:
    """`raw` as it was meant: base64 if it is nothing but that, else the message itself."""
    if "\n" in text.strip() and ":" in text:
        return text.encode()
    try:
        return b64decode("".join(text.split()), validate=True)
    except ValueError:
        return text.encode()


def refused(error: Refused | ComposeError) -> Problem:
    """What intake or composing refuses, with the field as the API spells it: `to[0]`."""
    return invalid(shown(_LIST_INDEX.sub(r"[\1]", error.field)), error.text)

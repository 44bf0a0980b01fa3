"""Answers about messages: handed in, looked at, cancelled, sent again; events; the lint."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from carom.answers.problems import Problem
from carom.answers.shapes import (
    Cursor,
    Finding,
    Id,
    Json,
    ReasonName,
    Reply,
    Shape,
    StateName,
    Time,
)


class Withheld(Shape):
    """Why a recipient gets nothing: an entry of the list, or the stream's own cap."""

    reason: ReasonName | Literal["cap"]
    stream: str
    since: Time
    until: Time | None
    evidence: str


class PutOff(Shape):
    """Why a recipient gets it later."""

    reason: str
    until: Time
    evidence: str


class Accepted(Shape):
    id: Id
    recipient: str
    state: StateName
    suppression: Withheld = Field(None)  # type: ignore[assignment]  # only where it is withheld
    put_off: PutOff = Field(None)  # type: ignore[assignment]  # only where it has to wait
    feedback_url: str = ""


class Submitted(Shape):
    """A message that is durable."""

    id: Id
    deliveries: list[Accepted]
    findings: list[Finding] = Field(default_factory=list)


class InBatch(Submitted):
    status: Literal[202]


class RefusedInBatch(Shape):
    status: int
    problem: Problem


class Batched(Shape):
    """One result for each message, in the order of the request."""

    results: list[InBatch | RefusedInBatch]


class Delivery(Shape):
    id: Id
    recipient: str
    state: StateName
    attempts: int
    provider: str
    next_at: Time | None
    deadline: Time | None
    accepted_at: Time | None
    settled_at: Time | None
    last_reply: Reply | None


class Message(Shape):
    id: Id
    created_at: Time
    stream: str
    class_: str = Field(alias="class")
    from_: str = Field(alias="from")
    subject: str
    message_id: str
    send_at: Time | None
    deadline: Time | None
    size: int
    metadata: Json
    require_tls: bool
    template: str | None
    deliveries: list[Delivery]


class FoundDelivery(Delivery):
    """A delivery with what names its message."""

    message_id: Id
    subject: str
    from_: str = Field(alias="from")
    stream: str
    created_at: Time


class Search(Shape):
    deliveries: list[FoundDelivery]
    cursor: Cursor


class Begun(Shape):
    at: Time
    kind: Literal["accepted"]
    stream: str


class Attempt(Reply):
    at: Time
    kind: Literal["attempt"]
    delivery_id: Id
    recipient: str
    attempt: int
    started_at: Time
    result: str
    stage: str | None
    host: str | None
    address: str | None
    tls: str | None
    severity: str | None
    next_at: Time | None


class CameBack(Reply):
    """A bounce, a complaint, an auto-reply ... that came back."""

    at: Time
    kind: str
    delivery_id: Id
    recipient: str
    named: str | None
    action: str | None
    severity: str | None
    feedback_type: str | None
    raw_id: str | None


class Noted(Shape):
    """Anything else that happened."""

    at: Time
    kind: str
    delivery_id: Id | None
    recipient: str | None
    reason: str | None


class Timeline(Shape):
    id: Id
    timeline: list[Begun | Attempt | CameBack | Noted]


class Cancelled(Shape):
    id: Id
    cancelled: int
    deliveries: list[Delivery]


class Heard(Shape):
    """What to tell who waits for the mail."""

    delivery_id: Id
    recorded: bool
    verdict: str
    cause: str
    advice: str
    next_attempt: Time | None
    probe: SentAgain | None


class SentAgain(Shape):
    message_id: Id


class Event(Shape):
    id: str
    at: Time
    type: str
    timestamp: Time
    sequence: int | None
    message_id: Id | None
    delivery_id: Id | None
    data: Json


class Events(Shape):
    events: list[Event]
    cursor: str = Field(description="Where the next answer goes on, also when there is nothing yet")


class Linted(Shape):
    policy: str
    refused: bool
    findings: list[Finding]

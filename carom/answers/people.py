"""Answers about addresses: the suppression list, explanations, erasure, the audit."""

from __future__ import annotations

from pydantic import Field

from carom.answers.mail import Delivery
from carom.answers.shapes import Advice, Cursor, Id, Json, ReasonName, Shape, Time


class Standing(Shape):
    """Whether an address may be written to, and why not."""

    suppressed: bool
    reason: ReasonName | None
    stream: str = ""
    since: Time | None
    until: Time | None
    evidence: str | None
    category: str | None = None
    rule: str | None = None


class Checked(Standing):
    advice: Advice | None


class PutOnList(Standing):
    address: str


class LookedUp(Standing):
    """By address or by hash, as it was asked."""

    address: str = ""
    hash: str = ""


class Unreadable(Shape):
    """What was no address, or no hash, at its place."""

    address: str | None = None
    hash: str | None = None
    error: str


class LookedUpAll(Shape):
    results: list[LookedUp | Unreadable]


class Entry(Shape):
    address: str | None
    hash: str
    stream: str
    reason: ReasonName
    since: Time
    until: Time | None
    evidence: str
    actor: str


class Entries(Shape):
    suppressions: list[Entry]
    cursor: Cursor


class Lifted(Shape):
    address: str
    lifted: list[Entry]


class LineRefused(Shape):
    line: int
    error: str


class Imported(Shape):
    imported: int
    refused: int
    errors: list[LineRefused]


class NewestDelivery(Delivery):
    message_id: Id
    subject: str
    stream: str


class IncidentTold(Shape):
    """An incident in one sentence."""

    id: str
    kind: str
    since: Time
    text: str


class Explained(Shape):
    recipient: str
    sentence: str
    verdict: str
    reason: ReasonName | None
    cause: str
    category: str | None
    fault: str | None
    rule: str | None
    evidence: str | None
    since: Time | None
    until: Time | None
    advice: Advice
    next_attempt: Time | None
    suppressions: list[Standing]
    delivery: NewestDelivery | None
    incident: IncidentTold | None


class Erased(Shape):
    deliveries: int
    cancelled: int
    suppressions: int
    in_flight: int


class KeptOfPerson(Shape):
    """Everything that is kept of a person, row by row as it is stored."""

    address: str
    made_at: Time
    suppressions: list[Json]
    soft_bounces: list[Json]
    audit: list[Json]
    messages: list[Json]
    inbound: list[Json]


class AuditRow(Shape):
    id: str
    at: Time
    actor: str
    action: str
    subject: str | None
    reason: str | None
    data: Json
    hash: str | None = Field(description="Links it to the one before: `carom audit verify`")


class Audit(Shape):
    audit: list[AuditRow]
    cursor: Cursor

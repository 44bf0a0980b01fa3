"""Answers to who builds on it: webhooks and templates."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from carom.answers.shapes import Cursor, Finding, Id, Json, Shape, Time


class Webhook(Shape):
    id: Id
    url: str
    description: str
    events: list[str]
    state: Literal["active", "paused", "disabled"]
    why: str | None
    created_at: Time
    changed_at: Time
    succeeded_at: Time | None
    failed_at: Time | None
    old_secret_until: Time | None
    waiting: int


class WebhookSecret(Webhook):
    secret: str = Field(description="Shown in this answer only")


class WebhookList(Shape):
    webhooks: list[Webhook]
    cursor: Cursor


class WebhookTested(Shape):
    """What the endpoint said, good or bad."""

    delivered: bool
    status: int | None
    answer: str
    seconds: float
    sent: Json


class Replayed(Shape):
    since: Time
    events_at_most: int
    active: bool


class WebhookTry(Shape):
    event_id: str
    type: str | None
    state: str
    tries: int
    result: str | None
    status: int | None
    answer: str | None
    tried_at: Time | None
    seconds: float | None
    next_at: Time | None


class WebhookTries(Shape):
    deliveries: list[WebhookTry]
    cursor: Cursor


class TemplateVersion(Shape):
    name: str
    version: int
    lang: str
    note: str
    created_at: Time
    created_by: str
    archived_at: Time | None
    subject: str


class Template(TemplateVersion):
    html: str | None
    text: str | None


class TemplateShown(Template):
    versions: list[TemplateVersion]


class TemplateInUse(Shape):
    name: str
    version: int
    languages: list[str]


class TemplateList(Shape):
    templates: list[TemplateInUse]
    cursor: Cursor


class Archived(Shape):
    name: str
    archived: int


class Preview(Shape):
    name: str
    version: int | None
    lang: str
    subject: str
    html: str | None
    text: str | None
    text_made: bool
    findings: list[Finding]


class Health(Shape):
    status: Literal["ok", "ready"]

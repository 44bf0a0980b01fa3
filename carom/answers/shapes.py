"""What several answers share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""ISO 8601 in UTC with milliseconds."""
Id = Annotated[str, Field(pattern=r"^[0-7][0-9a-hjkmnp-tv-z]{25}$")]
"""A lower-case ULID."""
Cursor = Annotated[
    str | None, Field(description="Where the next page begins; null on the last one")
]
Json = dict[str, Any]
Ratio = Annotated[float | None, Field(ge=0, description="null of nothing")]
StateName = Literal[
    "queued",
    "sending",
    "delivered",
    "bounced",
    "expired",
    "suppressed",
    "complained",
    "cancelled",
]
ReasonName = Literal["hard_bounce", "soft_bounce", "complaint", "unsubscribe", "manual"]


class Shape(BaseModel):
    """An object of an answer.  Keys may be added later: a client passes over what it knows not."""

    model_config = ConfigDict(populate_by_name=True)


class Texts(Shape):
    """The same in both languages."""

    en: str
    zh: str


class Advice(Shape):
    """What to do, for each of three readers."""

    user: str
    support: str
    developer: str


class Reply(Shape):
    """What a mail server said, and how it was judged."""

    code: str | int | None
    enhanced: str | None
    text: str | None
    category: str | None
    fault: str | None
    rule: str | None


class Share(Shape):
    """A ratio with what it is of."""

    numerator: int
    denominator: int
    ratio: Ratio


class Finding(Shape):
    """What the lint has to say, with its mend."""

    code: str
    severity: str
    where: str
    text: Texts
    mend: Texts
    example: str
    count: int

"""Which problems may come instead of the answer that was asked for.

Some can come from any call, before anything has looked at it (`carom.gate`, `carom.http_server`);
the others follow from what a call takes: a body can be no JSON, an id can name nothing.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from carom.answers.shapes import Shape

MEDIA_TYPE = "application/problem+json"

ANY = {
    400: "What came is no HTTP, or no JSON",
    408: "The request did not come in time",
    413: "The body is too large",
    431: "The headers are too large",
    500: "Our own fault; it was logged",
    503: "Cannot be answered right now; Retry-After says when",
}
"""From every call."""
KEYED = {401: "No key, or one that does not stand", 403: "The key has not the scope"}
NAMED = {
    404: "There is no such thing",
    405: "The name given leads to another path, which takes other methods",
}
"""From every call with a name in its path."""
_INVALID = "The field at fault is named"
_REUSED = "The Idempotency-Key was used with another body"
_QUEUE_FULL = "As much of this class waits as may; Retry-After says when to ask again"

OTHERS: dict[tuple[str, str], dict[int, str]] = {
    ("/v1/messages", "post"): {409: _REUSED, 429: _QUEUE_FULL},
    ("/v1/messages/batch", "post"): {429: _QUEUE_FULL},
    ("/v1/messages/raw", "post"): {
        409: _REUSED,
        415: "Neither message/rfc822 nor JSON",
        429: _QUEUE_FULL,
    },
    ("/v1/messages/{message_id}/resend", "post"): {
        409: _REUSED,
        410: "The content is no longer kept",
        429: _QUEUE_FULL,
    },
    ("/v1/templates/{name}/test", "post"): {429: _QUEUE_FULL},
    ("/v1/suppressions/import", "post"): {415: "Neither CSV nor NDJSON nor JSON"},
    ("/v1/incidents/{incident_id}/release", "post"): {409: "It holds nothing"},
    ("/v1/incidents/{incident_id}/drop", "post"): {409: "It holds nothing"},
    ("/v1/incidents/{incident_id}/close", "post"): {
        409: "It is closed already, or holds suppressions"
    },
    ("/v1/webhooks", "post"): {409: "There are as many as there may be"},
}
"""By path and method, what only these calls say."""


class Fault(Shape):
    field: str
    detail: str


class Problem(Shape):
    """A problem document (RFC 9457)."""

    type: str = Field(pattern=r"^urn:carom:problem:[a-z-]+$", description="By it programs decide")
    title: str
    status: int
    detail: str
    field: str = Field("", description="What is at fault, as the request spelt it")
    errors: list[Fault] = Field(
        default_factory=list, description="All that is at fault, where it is more than one"
    )


def problems_of(path: str, method: str, operation: dict[str, Any]) -> dict[int, str]:
    """The statuses that may come instead, each with when."""
    found = dict(ANY)
    if path.startswith("/v1/"):
        found |= KEYED
    if "{" in path:
        found |= NAMED
    if operation.get("parameters") or "requestBody" in operation:
        found[422] = _INVALID
    return dict(sorted((found | OTHERS.get((path, method), {})).items()))

"""Problem documents (RFC 9457): every error of the HTTP API, in one shape.

A `Problem` is raised where something is found wrong and rendered once, at the edge.  `type` is a
stable URN by which programs tell errors apart, `field` names what is at fault as the request
spelt it (`to[0].email`), `detail` is for people.  Nothing of our inside is ever in it: the words of
an exception are shown only where they were written for the client.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
URN = "urn:carom:problem:"
RETRY_AFTER = 2
"""Seconds a client is asked to wait when the store is away or the line is full."""
RETRY_WHEN_FULL = 30
"""Seconds when the queue is: it wears down by sending, not by our recovery."""


class Problem(Exception):
    """An answer that is not the one asked for.

    `slug` is the end of `type`; `errors` lists every field at fault where there are several.
    """

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        *,
        field: str | None = None,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {slug}: {detail}")
        self.status = status
        self.slug = slug
        self.detail = detail
        self.field = field
        self.errors = errors
        self.headers = dict(headers or {})

    def document(self) -> dict[str, Any]:
        """RFC 9457 section 3.1, with `field` and `errors` as extensions."""
        document: dict[str, Any] = {
            "type": f"{URN}{self.slug}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.field is not None:
            document["field"] = self.field
        if len(self.errors) > 1:
            document["errors"] = list(self.errors)
        return document

    def response(self) -> Response:
        return Response(
            orjson.dumps(self.document()), self.status, self.headers, media_type=MEDIA_TYPE
        )


def invalid(field: str | None, detail: str) -> Problem:
    """The request is well-formed and says something that cannot be done."""
    return Problem(422, "invalid", detail, field=field)


def not_found(what: str) -> Problem:
    return Problem(404, "not-found", f"there is no such {what}")


def unavailable() -> Problem:
    """Our own trouble that passes; the request changed nothing that was not answered."""
    return Problem(
        503,
        "unavailable",
        "the service cannot store anything right now; try again",
        headers={"Retry-After": str(RETRY_AFTER)},
    )


def congested() -> Problem:
    """Too much of the kind waits already; nothing was taken."""
    return Problem(
        429,
        "queue-full",
        "as much of this class waits to be sent as may; try again later",
        headers={"Retry-After": str(RETRY_WHEN_FULL)},
    )

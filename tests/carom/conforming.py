"""Holds answers of the HTTP API against its own OpenAPI document: status, media type, every field.

Objects are closed here: a field that the document does not name is a failure, though clients are
told to pass over it.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from typing import Any

import httpx2
import jsonschema_rs
from fastapi import FastAPI

Json = dict[str, Any]


class Promises:
    """What the document of an application says that calls answer."""

    def __init__(self, schema: Json) -> None:
        self.schema = _closed(schema)
        paths = sorted(self.schema["paths"].items(), key=lambda one: _exactness(one[0]))
        self._routes = [(_pattern(path), operations) for path, operations in paths]
        self._validators: dict[tuple[str, str], Any] = {}

    def operation(self, path: str, method: str) -> Json | None:
        """What is said of a call; None where nothing is."""
        for pattern, operations in self._routes:
            if pattern.fullmatch(path):
                found: Json | None = operations.get(method.lower())
                return found
        return None

    def check(
        self, operation: Json, status: int, headers: Mapping[str, str], content: bytes
    ) -> None:
        """Raises `AssertionError` for an answer that is not promised."""
        named = operation["operationId"]
        told = operation["responses"].get(str(status))
        assert told is not None, f"{named}: {status} is not documented: {content[:300]!r}"
        media = headers.get("content-type", "").partition(";")[0]
        offered = told.get("content", {})
        if not offered:
            assert content == b"", f"{named}: {status} has a body that is not documented"
            return
        assert media in offered, f"{named}: {status} comes as {media!r}"
        if media.endswith(("/json", "+json")):
            validator = self._validator(named, str(status), offered[media]["schema"])
            wrong = next(validator.iter_errors(json.loads(content)), None)
            assert wrong is None, f"{named}: {status}: {list(wrong.instance_path)}: {wrong.message}"

    def _validator(self, named: str, status: str, schema: Json) -> Any:
        if (named, status) not in self._validators:
            whole = {**schema, "components": self.schema["components"]}
            made = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
            self._validators[named, status] = made
        return self._validators[named, status]


class Conforming(httpx2.AsyncBaseTransport):
    """Passes requests on to the application and holds what it answers against the document."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._inner = httpx2.ASGITransport(app, raise_app_exceptions=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        promises = _of(self._app)
        if operation := promises.operation(request.url.path, request.method):
            await response.aread()
            promises.check(operation, response.status_code, response.headers, response.content)
        return response


_MADE: list[Promises] = []


def _of(app: FastAPI) -> Promises:
    """Made once in a test run: the document is the same whatever the settings are."""
    if not _MADE:
        _MADE.append(Promises(app.openapi()))
    return _MADE[0]


def _closed(schema: Json) -> Json:
    """A copy whose objects have no fields but those that they name."""
    schema = copy.deepcopy(schema)
    for one in schema["components"]["schemas"].values():
        if one.get("type") == "object" and "properties" in one:
            one["additionalProperties"] = False
    return schema


def _exactness(path: str) -> tuple[int, int]:
    """Fixed names stand before parameters, longer paths before those that would swallow them."""
    return path.count("{"), -path.count("/")


def _pattern(path: str) -> re.Pattern[str]:
    parts = (
        ".+" if part == "{address}" else "[^/]+" if part.startswith("{") else re.escape(part)
        for part in path.split("/")
    )
    return re.compile("/".join(parts))

"""Bodies and answers of the HTTP API: strict JSON in, quick JSON out, opaque cursors.

Promises: what cannot be read is a 4xx `Problem` that names the field as the request spelt it, with
the nearest right name for a wrong one; JSON that is no JSON (NaN, half surrogate pairs, endless
nesting) is refused at the door, so that no text gets in that a database cannot hold.
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request
from starlette.responses import Response

from analysis.address import Address, AddressError, parse
from analysis.exchange.cells import read_time
from analysis.problem import Problem, invalid

MOST_ERRORS = 10
LARGEST = 2**63 - 1
"""Of a whole number that either database can hold; JSON knows no end."""

M = TypeVar("M", bound=BaseModel)


class Body(BaseModel):
    """A closed object: an unknown key is a mistake that the client wants to hear of."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), status, headers, media_type="application/json")


async def read_body(request: Request, model: type[M]) -> M:
    """The JSON body as `model`; no body at all counts as `{}`."""
    return checked(model, read_json(await request.body() or b"{}"))


def read_json(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "not-json", f"the body is not JSON: {error}") from None


def checked(model: type[M], value: Any) -> M:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise refusal(error.errors(include_url=False, include_input=False), model) from None


def refusal(found: Sequence[ErrorDetails], model: type[BaseModel] | None = None) -> Problem:
    """What a validation found, the first fault in front."""
    errors = [
        {"field": place(one["loc"]), "detail": _words(one, model)} for one in found[:MOST_ERRORS]
    ]
    first = errors[0]
    problem = invalid(first["field"] or None, first["detail"])
    problem.errors = errors
    return problem


def place(loc: Sequence[str | int]) -> str:
    """`("to", 0, "email")` as `to[0].email`."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{shown(part)}" if text else shown(part)
    return text


def shown(name: str) -> str:
    """A key of the client's own: cut, and without anything that does not print."""
    return "".join(c if c.isprintable() else "?" for c in name[:80])


def _words(error: ErrorDetails, model: type[BaseModel] | None) -> str:
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return f"there is no such field{_meant(error['loc'], model)}"
        case "model_type":
            return "expected an object"
        case "value_error":
            return str(error["ctx"]["error"]) if "ctx" in error else error["msg"]
        case _:
            return error["msg"][:1].lower() + error["msg"][1:]


def _meant(loc: Sequence[str | int], model: type[BaseModel] | None) -> str:
    if model is None or len(loc) != 1:
        return ""
    names = [field.alias or name for name, field in model.model_fields.items()]
    close = get_close_matches(str(loc[0]).lower()[:80], names, n=1, cutoff=0.5)
    return f"; did you mean `{close[0]}`?" if close else f"; there are {', '.join(names)}"


def read_address(text: str, field: str) -> Address:
    """An address out of a path or a query, or a 422 `Problem`.

    Form decoding turns a `+` into a blank; no address holds a blank, so it is turned back.
    """
    try:
        return parse(text.strip().replace(" ", "+"))
    except AddressError as error:
        raise invalid(field, str(error)) from error


def write_cursor(*parts: str | int) -> str:
    """Where a page ended, as text that clients hand back and do not read."""
    return urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


def read_moment(text: str | None, field: str) -> float | None:
    """The time that a query asks for, in Unix seconds; a problem that names the field.

    `since=...+08:00` in a query arrives with a blank for the plus.
    """
    try:
        return read_time(text and text.replace(" ", "+"))
    except ValueError as error:
        raise invalid(field, str(error)) from error


def read_cursor(cursor: str | None, *kinds: type) -> tuple[Any, ...] | None:
    """The parts that `write_cursor` was given, or None at the beginning."""
    if not cursor:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        raw = b64decode(padded, altchars=b"-_", validate=True)
        parts = orjson.loads(raw)
    except ValueError:  # UnicodeError, binascii.Error and JSONDecodeError are
        raise _no_cursor() from None
    if not isinstance(parts, list) or [type(part) for part in parts] != list(kinds):
        raise _no_cursor()
    if any(isinstance(part, int) and not -LARGEST <= part <= LARGEST for part in parts):
        raise _no_cursor()
    if any(isinstance(part, str) and not part.isprintable() for part in parts):
        raise _no_cursor()
    return tuple(parts)


def _no_cursor() -> Problem:
    return invalid("cursor", "expected a cursor as an earlier answer gave it")

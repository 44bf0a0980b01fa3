"""Walks the declared settings: which keys there are, by place, and what is known of each.

A place is the tuple of names from the section down: `("sender", "schedule", "otp")`.  Below a table
with free names and in a list the declared part goes on under a stand-in: `("streams", "NAME",
"class")`, `("tokens", "keys", "N", "id")`.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from carom.settings.model import Settings

Place = tuple[str, ...]

PREFIX = "CAROM_"
NAME = "NAME"
ITEM = "N"
MASK = "***"

_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^/\s]*@|([?&]password=)[^&\s\"]*", re.IGNORECASE)


def variable(place: Sequence[str]) -> str:
    """The environment variable that sets the key at this place."""
    return PREFIX + "__".join(place).upper()


def written(place: Sequence[str | int]) -> str:
    """A place as one speaks of it: `[sender] schedule.otp`, `[tokens] keys[0].id`."""
    head, *rest = place
    below = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in rest)
    return f"[{head}] {below.removeprefix('.')}".rstrip()


def fields_in(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a section by the names used in the file (`class`, not `class_`)."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def fields_of(place: Sequence[str | int]) -> dict[str, FieldInfo]:
    """The keys that the section at this place can have; none if there is no such section."""
    model: type[BaseModel] | None = Settings
    steps = iter(place)
    for step in steps:
        field = fields_in(model).get(str(step)) if model else None
        if field is None:
            return {}
        model, stand_in = section_in(field.annotation)
        if stand_in and next(steps, None) is None:
            return {}
    return fields_in(model) if model else {}


def section_in(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The section a field's type leads to, and the stand-in on the way: none, NAME or ITEM."""
    arguments = typing.get_args(annotation)
    match typing.get_origin(annotation):
        case None if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return annotation, ""
        case typing.Annotated:
            return section_in(arguments[0])
        case origin if origin is dict:
            return section_in(arguments[1])[0], NAME
        case origin if origin is list:
            return section_in(arguments[0])[0], ITEM
        case types.UnionType | typing.Union:
            return next((found for a in arguments if (found := section_in(a))[0]), (None, ""))
    return None, ""


def keys_below(model: type[BaseModel], place: Place = ()) -> dict[Place, FieldInfo]:
    """Every key that can be set, in the order of its declaration."""
    found: dict[Place, FieldInfo] = {}
    for name, field in fields_in(model).items():
        here = (*place, name)
        section, stand_in = section_in(field.annotation)
        optional = field.default is None or stand_in == ITEM
        if section is None or optional:
            found[here] = field
        if section is not None:
            found |= keys_below(section, (*here, stand_in) if stand_in else here)
    return found


def hidden(place: Sequence[str | int]) -> bool:
    """Whether the value at this place is a secret, or a table or list that may hold one."""
    field = fields_of(place[:-1]).get(str(place[-1]))
    if field is None:
        return False
    return "SecretStr" in str(field.annotation) or section_in(field.annotation)[0] is not None


def mask_url(text: str) -> str:
    """Cover the password of a URL, wherever libpq takes one."""
    return _PASSWORD.sub(
        lambda found: f"{found[1]}{MASK}@" if found[1] else f"{found[2]}{MASK}", text
    )


def values(model: BaseModel, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every key of these settings with its value as TOML or JSON would hold it, secrets masked."""
    for name, field in type(model).model_fields.items():
        here = (*place, field.alias or name)
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from values(value, here)
        elif isinstance(value, dict) and section_in(field.annotation)[0]:
            for chosen, inner in value.items():
                yield from values(inner, (*here, chosen))
        elif isinstance(value, list) and section_in(field.annotation)[0]:
            yield here, [_table(item) for item in value]
        elif isinstance(value, SecretStr):
            yield here, MASK if value.get_secret_value() else ""
        else:
            yield here, _plain(model, name)


def _table(model: BaseModel) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for (*around, name), value in values(model):
        if value not in (None, ""):
            inner = table
            for part in around:
                inner = inner.setdefault(part, {})
            inner[name] = value
    return table


def _plain(model: BaseModel, name: str) -> Any:
    (shown,) = model.model_dump(mode="json", include={name}).values()
    if isinstance(shown, list):
        return [mask_url(one) if isinstance(one, str) else one for one in shown]
    return mask_url(shown) if isinstance(shown, str) else shown

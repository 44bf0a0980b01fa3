"""Puts what pydantic found wrong into one line: place, key, value, and what was expected."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from carom.settings.keys import (
    PREFIX,
    Place,
    fields_of,
    hidden,
    keys_below,
    mask_url,
    variable,
    written,
)
from carom.settings.model import Settings

_EXPECTED = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text",
    "path_type": "the path of a file",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "{le} or less",
    "enum": "{expected}",
    "ip_any_network": "a network, such as 10.0.0.0/8",
}


def refusal(errors: Sequence[Any], origins: Mapping[Place, str]) -> str:
    """One line about the most telling of these pydantic errors, and how many more there are."""
    first = min(errors, key=lambda error: error["type"] != "extra_forbidden")
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return _line(first, origins) + more


def _line(error: Mapping[str, Any], origins: Mapping[Place, str]) -> str:
    key_itself = error["loc"][-1] == "[key]"
    place = tuple(part for part in error["loc"] if part != "[key]")
    origin = _blamed(tuple(map(str, place)), origins)
    where = _where(place, origin)
    if error["type"] == "extra_forbidden":
        kind = "section" if len(place) == 1 else "key"
        return f"{where}: no such {kind}{_suggestion(place, origin)}"
    if error["type"] == "missing":
        return f"{where}: must be set"
    silent = key_itself or hidden(place) or isinstance(error["input"], dict | list)
    shown = "" if silent else f" = {_short(error['input'])}"
    return f"{where}{shown}: {_expected(error, origin)}"


def _blamed(names: Place, origins: Mapping[Place, str]) -> str:
    """The file or variable that set this key, or else something in it or around it."""
    for end in range(len(names), 0, -1):
        for place, origin in origins.items():
            if place[:end] == names[:end]:
                return origin
    return "settings"


def _where(place: Sequence[str | int], origin: str) -> str:
    if not origin.startswith(PREFIX):
        return f"{origin}: {written(place)}"
    told = len(origin.removeprefix(PREFIX).split("__"))
    below = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place[told:])
    return f"environment: {origin}{below}"


def _suggestion(place: Sequence[str | int], origin: str) -> str:
    """The nearest right name beside it, else the same name in another section."""
    wrong, beside = str(place[-1]), list(fields_of(place[:-1]))
    elsewhere = [key for key in keys_below(Settings) if key[-1] == wrong]
    if near := difflib.get_close_matches(wrong, beside, n=1, cutoff=0.6):
        meant: Sequence[str | int] = (*place[:-1], near[0])
    elif elsewhere:
        meant = elsewhere[0]
    else:
        return f"; there are {', '.join(beside)}" if beside else ""
    if origin.startswith(PREFIX) and all(isinstance(part, str) for part in meant):
        return f"; did you mean {variable([str(part) for part in meant])}?"
    return f"; did you mean {near[0] if near and len(place) > 1 else written(meant)}?"


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    text = mask_url(text)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _expected(error: Mapping[str, Any], origin: str) -> str:
    kind = error["type"]
    if kind not in _EXPECTED:
        text: str = error["msg"]
        return text.removeprefix("Value error, ").replace("String should", "should")
    expected = _EXPECTED[kind].format(**error.get("ctx", {}))
    in_json = ", as JSON" if expected in ("a list", "a table") and origin.startswith(PREFIX) else ""
    return f"expected {expected}{in_json}"

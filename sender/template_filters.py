"""The filters of templates: few, plain, and none that makes much out of little.

Each is written here and not taken from Jinja2, whose own `center`, `indent`, `format`, `round` or
`replace` would build a gigabyte from ten characters.  A result has at most `MOST_TEXT` characters;
`Refusal` says what is wrong in words for the template's author.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import islice
from typing import Any
from urllib.parse import quote

from jinja2.runtime import Undefined
from markupsafe import Markup, escape

MOST_TEXT = 1_000_000
MOST_ITEMS = 20_000
MOST_DIGITS = 40


class Refusal(ValueError):
    """A template asked for what it does not get; the text is for its author."""


def text(value: Any, *, html: bool = False) -> str:
    """A word or a number as it is written; nothing at all for null."""
    match value:
        case str():
            if len(value) > MOST_TEXT:
                raise Refusal(f"a text of more than {MOST_TEXT} characters")
            return escape(value) if html else value
        case None:
            return ""
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case Undefined():
            return str(value)  # raises what is missing
    raise Refusal("a list or an object cannot be written; name what is in it, or `join` it")


def _plain(value: Any) -> str:
    return value if isinstance(value, Markup) else text(value)


def _items(value: Any) -> list[Any]:
    if isinstance(value, Undefined):
        str(value)
    if not isinstance(value, Iterable):
        raise Refusal("expected a list")
    found = list(islice(value, MOST_ITEMS + 1))
    if len(found) > MOST_ITEMS:
        raise Refusal(f"a list of more than {MOST_ITEMS} items")
    return found


def _of(value: Any, attribute: str | None) -> Any:
    """`attribute` of an item of the data; `a.b` reaches deeper."""
    for part in attribute.split(".") if attribute else ():
        if not isinstance(value, Mapping) or part not in value:
            raise Refusal(f"an item has no `{attribute}`")
        value = value[part]
    return value


def _default(value: Any, other: Any = "", empty: bool = False) -> Any:
    return other if isinstance(value, Undefined) or (empty and not value) else value


def _join(html: bool, value: Any, between: str = "", attribute: str | None = None) -> str:
    pieces = [text(_of(one, attribute), html=html) for one in _items(value)]
    separator = text(between, html=html)
    if sum(map(len, pieces)) + len(separator) * len(pieces) > MOST_TEXT:
        raise Refusal(f"a text of more than {MOST_TEXT} characters")
    joined = str(separator).join(map(str, pieces))
    return Markup(joined) if html else joined  # noqa: S704  each piece was escaped


def _replace(value: Any, old: str, new: str) -> str:
    given, old, new = _plain(value), text(old), text(new)
    if len(given) + given.count(old) * len(new) > MOST_TEXT:
        raise Refusal(f"a text of more than {MOST_TEXT} characters")
    return given.replace(old, new)


def _nl2br(html: bool, value: Any) -> str:
    """Line ends that show in HTML too."""
    if not html:
        return _plain(value)
    lines = str(text(value, html=True)).splitlines()
    return Markup("<br>\n".join(lines))  # noqa: S704  the value was escaped


def _truncate(value: Any, length: int = 255, end: str = "…") -> str:
    given = _plain(value)
    return given if len(given) <= length else given[: max(0, length - len(end))].rstrip() + end


def _sort(value: Any, reverse: bool = False, attribute: str | None = None) -> list[Any]:
    return sorted(_items(value), key=lambda one: _order(_of(one, attribute)), reverse=reverse)


def _order(value: Any) -> Any:
    if not isinstance(value, str | int | float):
        raise Refusal("only words or numbers can be sorted; name an `attribute`")
    return value.lower() if isinstance(value, str) else value


def _number(value: Any, places: int = 0, thousands: str = ",", point: str = ".") -> str:
    """`1234.5 | number(2)` is `1,234.50`."""
    if not 0 <= places <= 10:
        raise Refusal("expected 0 to 10 places")
    shown = f"{_amount(value):,.{places}f}"
    return shown.replace(",", "\0").replace(".", point).replace("\0", thousands)


def _amount(value: Any) -> float:
    """A number, for what counts with it; an integer stays exact."""
    if isinstance(value, Undefined):
        str(value)
    if not isinstance(value, int | float):
        raise Refusal("expected a number")
    return value


def _round(value: Any, places: int = 0) -> float:
    if not 0 <= places <= 10:
        raise Refusal("expected 0 to 10 places")
    return round(_amount(value), places)


def _parsed(kind: Callable[[str], Any], value: Any, other: Any = 0) -> Any:
    shown = text(value)
    try:
        return kind(shown) if len(shown) <= MOST_DIGITS else other
    except ValueError:
        return other


def _whole(shown: str) -> int:
    return int(shown) if shown.lstrip("+-").isdigit() else int(float(shown))


def _sum(value: Any, attribute: str | None = None, start: float = 0) -> float:
    return sum((_amount(_of(one, attribute)) for one in _items(value)), start)


def _length(value: Any) -> int:
    return len(value)


_FOR_BOTH: dict[str, Callable[..., Any]] = {
    "abs": lambda value: abs(_amount(value)),
    "capitalize": lambda value: _plain(value).capitalize(),
    "default": _default,
    "d": _default,
    "first": lambda value: next(iter(_items(value)), ""),
    "float": partial(_parsed, float),
    "int": partial(_parsed, _whole),
    "last": lambda value: next(reversed(_items(value)), ""),
    "length": _length,
    "count": _length,
    "list": _items,
    "lower": lambda value: _plain(value).lower(),
    "map": lambda value, attribute: [_of(one, attribute) for one in _items(value)],
    "number": _number,
    "replace": _replace,
    "reverse": lambda value: _items(value)[::-1],
    "round": _round,
    "sort": _sort,
    "string": _plain,
    "sum": _sum,
    "title": lambda value: _plain(value).title(),
    "trim": lambda value: _plain(value).strip(),
    "truncate": _truncate,
    "upper": lambda value: _plain(value).upper(),
    "urlencode": lambda value: quote(_plain(value), safe=""),
}
FILTERS: dict[bool, dict[str, Callable[..., Any]]] = {
    html: {
        **_FOR_BOTH,
        "join": partial(_join, html),
        "nl2br": partial(_nl2br, html),
        "escape": lambda value: escape(_plain(value)),
        "e": lambda value: escape(_plain(value)),
    }
    for html in (False, True)
}
"""By whether it is HTML that is written."""

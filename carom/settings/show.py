"""Shows settings: those in force, with where each comes from, and all that could be set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, SecretStr, TypeAdapter
from pydantic.fields import FieldInfo

from carom.settings.keys import NAME, Place, keys_below, values
from carom.settings.load import Loaded
from carom.settings.model import Settings


def as_toml(loaded: Loaded) -> str:
    """The settings in force as TOML, each with its origin; secrets are masked."""
    lines: list[str] = []
    table: Place = ()
    for place, value in _ordered(loaded.settings):
        if place[:-1] != table:
            table = place[:-1]
            lines += ["", f"[{'.'.join(map(_name, table))}]"]
        shown = "" if value is None else f" {_toml(value)}"
        lines.append(
            f"{'# ' * (value is None)}{_name(place[-1])} ={shown}  # {loaded.origin(place)}"
        )
    return "\n".join(lines[1:])


def as_objects(loaded: Loaded) -> Iterator[dict[str, Any]]:
    """The same as one JSON object a key."""
    for place, value in values(loaded.settings):
        yield {"key": ".".join(place), "value": value, "origin": loaded.origin(place)}


def as_markdown() -> str:
    """Every key with its unit, default and reason, as one table a section."""
    lines: list[str] = []
    section = ""
    for place, field in keys_below(Settings).items():
        if place[0] != section:
            section = place[0]
            about = Settings.model_fields[section].description
            heading = f"[{section}.{NAME}]" if place[1] == NAME else f"[{section}]"
            lines += ["", f"## `{heading}`", "", about or "", ""]
            lines += ["| key | default | unit | why |", "|---|---|---|---|"]
        key = ".".join(place[2:] if place[1] == NAME else place[1:]).replace(".N.", "[].")
        extra = field.json_schema_extra
        unit = extra.get("unit", "") if isinstance(extra, dict) else ""
        lines.append(f"| `{key}` | {_default(field)} | {unit} | {field.description} |")
    return "\n".join(lines[1:]) + "\n"


def _ordered(model: BaseModel) -> list[tuple[Place, Any]]:
    """Values with those of a table together: TOML knows no way back out of a table below."""
    tables: dict[Place, list[tuple[Place, Any]]] = {}
    for place, value in values(model):
        tables.setdefault(place[:-1], []).append((place, value))
    return [entry for entries in tables.values() for entry in entries]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be set"
    if isinstance(field.default, SecretStr):
        return ""
    shown = TypeAdapter(field.rebuild_annotation()).dump_python(field.default, mode="json")
    return "" if shown in (None, "") else f"`{_toml(shown)}`"


def _name(name: str) -> str:
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else json.dumps(name)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{_name(name)} = {_toml(v)}" for name, v in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)

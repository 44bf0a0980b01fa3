"""`keys.toml`: keys that `carom keys` made, beside the settings file and merged with it.

Written by commands only, so that nobody's `carom.toml` is rewritten.  An entry goes over the one of
the settings with the same selector and domain, or the same id; token keys of the ring come first,
since the first one signs.  Fails with `SettingsError`, one line.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from carom.errors import SettingsError

FILE = "keys.toml"
_SECTIONS = ("dkim", "tokens")
Entry = dict[str, Any]
Ring = dict[str, list[Entry]]


def read(folder: Path) -> Ring:
    """The entries by section; empty lists where there is no such file."""
    file = folder / FILE
    try:
        found = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        found = {}
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"{file}: is not TOML: {error}; it is written by `carom keys`"
        ) from None
    ring = {name: found.get(name, {}).get("keys", []) for name in _SECTIONS}
    if set(found) - set(_SECTIONS):
        raise SettingsError(f"{file}: holds more than keys; it is written by `carom keys`")
    return ring


def write(folder: Path, ring: Ring) -> None:
    """Replace the file at once, readable by its owner only."""
    lines = ["# Written by `carom keys`: keys and where they stand.  carom.toml is read with it.\n"]
    for name, entries in ring.items():
        for entry in entries:
            lines.append(f"\n[[{name}.keys]]\n")
            lines += [f"{key} = {_toml(value)}\n" for key, value in entry.items()]
    fresh = folder / f".{FILE}.new"
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(folder / FILE)
    except OSError as error:
        raise SettingsError(f"{folder / FILE}: cannot be written: {error.strerror}") from None


def merged(tree: Mapping[str, Any], ring: Ring) -> dict[str, Any]:
    """The settings as they stand in the file, with the ring's keys over them."""
    whole = dict(tree)
    sender = tree.get("sender")
    default = str(sender.get("domain", "")) if isinstance(sender, dict) else ""

    def dkim(entry: Entry) -> Any:
        return entry.get("domain") or default, entry.get("selector")

    if ring["dkim"]:
        whole["dkim"] = _over(tree.get("dkim"), ring["dkim"], dkim, first=False)
    if ring["tokens"]:
        whole["tokens"] = _over(tree.get("tokens"), ring["tokens"], lambda e: e.get("id"))
    return whole


def _over(
    section: Any, entries: Sequence[Entry], of: Callable[[Entry], Any], *, first: bool = True
) -> Any:
    """A section with these keys; one that is not as it must be is left to be refused later."""
    if not isinstance(section or {}, dict):
        return section
    there = (section or {}).get("keys", [])
    if not isinstance(there, list) or not all(isinstance(entry, dict) for entry in there):
        return section
    ours = {of(entry) for entry in entries}
    kept = [entry for entry in there if of(entry) not in ours]
    return {**(section or {}), "keys": [*entries, *kept] if first else [*kept, *entries]}


def _toml(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    # what TOML calls a basic string is one of JSON's
    return json.dumps(str(value), ensure_ascii=False)

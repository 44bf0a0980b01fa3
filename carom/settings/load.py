"""Reads settings: defaults, over them `carom.toml`, over that the environment.

`CAROM_SECTION__KEY` (and so on downwards: `CAROM_SENDER__SCHEDULE__OTP`) goes over the file; what
begins with `{` or `[` is JSON, and tables are merged.  The file is the one given, or that of
`CAROM_CONFIG`, or `./carom.toml` where it exists.  Relative paths are taken from its folder.

Promises: an unknown key never passes; of every key it is known where its value comes from.  Fails
with `SettingsError`: one line that names the place, the key and the mend, and shows no secret.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from carom.errors import SettingsError
from carom.settings import ring
from carom.settings.keys import PREFIX, Place, keys_below, variable
from carom.settings.model import Settings
from carom.settings.refusal import refusal

CONFIG_VARIABLE = "CAROM_CONFIG"
DEFAULT_FILE = "carom.toml"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, the file they were read from, and by what (file or variable) each key was set."""

    settings: Settings
    file: Path | None
    origins: Mapping[Place, str]

    def origin(self, place: Place) -> str:
        """What set this key, or the table around it, or the keys in it; else `default`."""
        for end in range(len(place), 0, -1):
            if found := self.origins.get(place[:end]):
                return found
        within = {o: None for p, o in self.origins.items() if p[: len(place)] == place}
        return ", ".join(within) or "default"


def load(config: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in force; `environ` is the process's own unless given."""
    return load_with_origins(config, environ).settings


def load_with_origins(
    config: Path | None = None, environ: Mapping[str, str] | None = None
) -> Loaded:
    """The settings in force, and where each of them comes from."""
    environ = os.environ if environ is None else environ
    file = find_file(config, environ)
    tree = _read(file) if file else {}
    origins = dict.fromkeys(_leaves(tree), str(file))
    for name, place, value in _variables(environ):
        tree = _merged(tree, place, value)
        origins |= dict.fromkeys(_leaves(value, place), name)
    return Loaded(_validated(tree, origins, file), file, origins)


def find_file(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The settings file to read, or None where there is none and none was asked for."""
    if config is None and environ.get(CONFIG_VARIABLE):
        config = Path(environ[CONFIG_VARIABLE])
    if config is None:
        return Path(DEFAULT_FILE) if Path(DEFAULT_FILE).is_file() else None
    return config / DEFAULT_FILE if config.is_dir() else config


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{file}: no such file; `carom init` writes one") from None
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{file}: is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: is not TOML: {error}") from None


def _variables(environ: Mapping[str, str]) -> Iterator[tuple[str, Place, Any]]:
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name == CONFIG_VARIABLE:
            continue
        place = tuple(name.removeprefix(PREFIX).lower().split("__"))
        if len(place) > 1 or place[0] in Settings.model_fields:
            yield name, place, _value(name, environ[name])
        elif meant := _with_one_underscore(name):
            raise SettingsError(f"environment: {name}: no such setting; write {meant}")
        # Any other CAROM_ name is let pass: Kubernetes sets CAROM_SERVICE_HOST and the like.


def _with_one_underscore(name: str) -> str | None:
    every = (variable(place) for place in keys_below(Settings))
    return next((meant for meant in every if meant.replace("__", "_") == name), None)


def _value(name: str, text: str) -> Any:
    if not text.startswith(("{", "[")):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        if text.startswith("["):  # [::1]:25 is an endpoint; a broken list is refused by its key
            return text
        raise SettingsError(f"environment: {name}: is not JSON: {error}") from None


def _merged(tree: Mapping[str, Any], place: Place, value: Any) -> dict[str, Any]:
    """`tree` with `value` at `place`; a table there is merged, anything else replaced."""
    head, rest = place[0], place[1:]
    old = tree.get(head)
    table = old if isinstance(old, dict) else {}
    if rest:
        return {**tree, head: _merged(table, rest, value)}
    if isinstance(value, dict):
        for name, inner in value.items():
            table = _merged(table, (name,), inner)
        value = table
    return {**tree, head: value}


def _leaves(value: Any, place: Place = ()) -> Iterator[Place]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, (*place, name))
    elif place:
        yield place


def _validated(tree: dict[str, Any], origins: Mapping[Place, str], file: Path | None) -> Settings:
    base = (file.parent if file else Path()).absolute()
    # Sections that nobody wrote are read too, so that their relative paths find their folder.
    whole = {name: {} for name in Settings.model_fields} | tree
    if file is not None:
        whole = ring.merged(whole, ring.read(base))
    try:
        return Settings.model_validate(whole, context={"base": base})
    except ValidationError as error:
        raise SettingsError(refusal(error.errors(include_url=False), origins)) from None

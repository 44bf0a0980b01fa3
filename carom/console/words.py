"""Words of the console in every language, and which language a visitor reads.

The texts are data, `texts/LANGUAGE.toml`; both files have the same keys (a test holds it).  A text
may hold `{names}`; what they stand for is escaped by the template that shows the result.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from analysis.telling import known_provider

LANGUAGES = ("en", "zh")
DEFAULT = "en"

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
_UNITS = ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"))


def _flat(table: Mapping[str, Any], before: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{name}.")
        else:
            found[f"{before}{name}"] = value
    return found


def _read(lang: str) -> Mapping[str, str]:
    file = Path(__file__).parent / "texts" / f"{lang}.toml"
    return MappingProxyType(_flat(tomllib.loads(file.read_text(encoding="utf-8"))))


TEXTS: Mapping[str, Mapping[str, str]] = {lang: _read(lang) for lang in LANGUAGES}


@dataclass(frozen=True, slots=True)
class Words:
    lang: str

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key; `KeyError` for one that does not exist."""
        return TEXTS[self.lang][key].format(**values)

    def of(self, group: str, name: str | None) -> str:
        """The text for a name of some closed set; a name nobody foresaw stands for itself."""
        if not name:
            return ""
        return TEXTS[self.lang].get(f"{group}.{name}", name.replace("_", " "))

    def provider(self, name: str) -> str:
        """A mailbox provider as people call it."""
        return known_provider(name, self.lang) or self("overview.other")

    def ago(self, at: float, now: float) -> str:
        """`3 minutes ago`, `in 2 hours`, `just now`."""
        span = abs(now - at)
        for size, unit in _UNITS:
            if span >= size:
                count = int(span // size)
                key = f"time.{unit}" if count == 1 else f"time.{unit}s"
                length = self(key, count=count)
                return self("time.ago" if at <= now else "time.ahead", length=length)
        return self("time.now" if at <= now else "time.soon")


def preferred(*wanted: str | None, accept: str = "") -> str:
    """The first language that we have: of those asked for, then of an Accept-Language header.

    RFC 9110 section 12.5.4; its weights are read, its wildcards are not.
    """
    for one in wanted:
        if one in LANGUAGES:
            return one
    return next((lang for lang in _accepted(accept) if lang in LANGUAGES), DEFAULT)


def _accepted(header: str) -> list[str]:
    """Primary tags, the most wanted first."""
    found: list[tuple[float, str]] = []
    for part in header[:500].split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            continue
        if quality > 0:
            found.append((-quality, tag.partition("-")[0].strip().lower()))
    return [tag for _, tag in sorted(found, key=lambda one: one[0])]

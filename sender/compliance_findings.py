"""Findings of the lint: their codes with severity, words and mend, and how they are gathered.

The words are `compliance.toml`'s, in English and Chinese.  A finding is said once a message with
the number of places; at most `MOST_FINDINGS` are.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

MOST_FINDINGS = 20
MOST_EXAMPLE = 120

ERROR, WARNING, ADVICE = "error", "warning", "advice"
_ORDER = {ERROR: 0, WARNING: 1, ADVICE: 2}


@dataclass(frozen=True, slots=True)
class Text:
    severity: str
    en: str
    zh: str
    mend_en: str
    mend_zh: str


TEXTS: dict[str, Text] = {
    code: Text(**told)
    for code, told in tomllib.loads(
        files("sender").joinpath("compliance.toml").read_text(encoding="utf-8")
    ).items()
}


@dataclass(frozen=True, slots=True)
class Finding:
    """`where` is the API's field; `example` is the first place, `count` says how many there are."""

    code: str
    where: str
    example: str = ""
    count: int = 1

    @property
    def severity(self) -> str:
        return TEXTS[self.code].severity

    def view(self) -> dict[str, Any]:
        told = TEXTS[self.code]
        return {
            "code": self.code,
            "severity": told.severity,
            "where": self.where,
            "text": {"en": told.en, "zh": told.zh},
            "mend": {"en": told.mend_en, "zh": told.mend_zh},
            "example": self.example,
            "count": self.count,
        }


@dataclass(slots=True)
class Found:
    """One finding a code, with its first example."""

    codes: dict[str, Finding] = field(default_factory=dict)

    def add(self, code: str, where: str, example: str = "") -> None:
        there = self.codes.get(code)
        if there is not None:
            self.codes[code] = Finding(code, there.where, there.example, there.count + 1)
        elif len(self.codes) < MOST_FINDINGS:
            shown = "".join(c if c.isprintable() else "?" for c in example[:MOST_EXAMPLE])
            self.codes[code] = Finding(code, where, shown)

    def worst_first(self) -> tuple[Finding, ...]:
        return tuple(sorted(self.codes.values(), key=lambda one: _ORDER[one.severity]))

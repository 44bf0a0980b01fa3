"""Findings: what was seen of one thing, how bad it is, why it matters and how to mend it.

The words and the state of every finding stand in doctor.toml, in English and Chinese; the code here
names them (`dkim.mismatch`) and gives the values that they tell.  Values come from strangers' DNS
and are cleaned and cut here, once.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Literal

from analysis.reply import clean

Language = Literal["en", "zh"]
LONGEST_VALUE = 300
LONGEST_RECORD = 2_000
"""A record of ours to publish: an RSA key is longer than anything a stranger may tell us."""


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    UNKNOWN = "unknown"
    FAILURE = "failure"


_WORSE = (State.OK, State.WARNING, State.UNKNOWN, State.FAILURE)


@dataclass(frozen=True, slots=True)
class Finding:
    """`subject`: which of ours, a domain or an address; empty where there is only one."""

    code: str
    subject: str = ""
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def check(self) -> str:
        return self.code.partition(".")[0]

    @property
    def state(self) -> State:
        return State(_entry(self.code)["state"])

    def seen(self, language: Language = "en") -> str:
        return self._filled(_entry(self.code)["seen"][language])

    def why(self, language: Language = "en") -> str:
        return str(_texts()["checks"][self.check]["why"][language])

    def mend(self, language: Language = "en") -> str:
        """What to do; empty where nothing is amiss."""
        return self._filled(_entry(self.code).get("mend", {}).get(language, ""))

    def _filled(self, text: str) -> str:
        return text.format_map({"subject": self.subject, **self.values})


def found(code: str, subject: str = "", **values: object) -> Finding:
    """A finding of doctor.toml; KeyError for a code that does not stand there."""
    _entry(code)
    told = {
        name: clean(str(value), LONGEST_RECORD if name == "record" else LONGEST_VALUE)
        for name, value in values.items()
    }
    return Finding(code, clean(subject, LONGEST_VALUE), told)


def checks() -> tuple[str, ...]:
    """The closed set of checks, in the order they are told."""
    return tuple(_texts()["checks"])


def title(check: str, language: Language = "en") -> str:
    return str(_texts()["checks"][check]["title"][language])


def codes() -> tuple[str, ...]:
    """Every finding there can be."""
    return tuple(f"{check}.{name}" for check in checks() for name in _texts()[check])


def worst(findings: Iterable[Finding]) -> State:
    """The state of a check as a whole."""
    return max((one.state for one in findings), key=_WORSE.index, default=State.OK)


def as_json(finding: Finding) -> dict[str, Any]:
    """The shape of `carom doctor --json` and of `GET /v1/doctor`."""
    return {
        "check": finding.check,
        "code": finding.code,
        "state": finding.state.value,
        "subject": finding.subject,
        "seen": _both(finding.seen),
        "why": _both(finding.why),
        "mend": _both(finding.mend) if finding.mend() else None,
    }


def _both(text: Any) -> dict[str, str]:
    return {"en": text("en"), "zh": text("zh")}


def _entry(code: str) -> dict[str, Any]:
    check, _, name = code.partition(".")
    entry: dict[str, Any] = _texts()[check][name]
    return entry


@cache
def _texts() -> dict[str, Any]:
    file = Path(__file__).parent.with_name("doctor.toml")
    return tomllib.loads(file.read_text(encoding="utf-8"))

"""A reader of our own rule files, so that the tests need no YAML library.

It knows the part of YAML that they are written in: a list of rules, `key: value`, folded blocks
(`>-`) and one line of `{key: value}`; whatever else it meets is an error.  A test compares what it
reads with what a real Prometheus has read from the same file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_LINE = re.compile(r"(?P<indent> *)(?P<dash>- )?(?P<key>[a-z_]+):(?: (?P<value>.+))?")
_STRUCTURE = frozenset({"groups", "name", "rules", "interval"})


@dataclass(slots=True)
class Rule:
    """A recording rule (`record`) or an alert; `for_` and `labels` as written."""

    record: str = ""
    alert: str = ""
    expr: str = ""
    for_: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)


def read_rules(path: Path) -> list[Rule]:
    """The rules of a file in order; ValueError names a line that is not understood."""
    rules: list[Rule] = []
    for key, value in _entries(path):
        if key in _STRUCTURE:
            continue
        if key in ("record", "alert"):
            rules.append(Rule())
        _set(rules[-1], key, value)
    return rules


def _set(rule: Rule, key: str, value: str) -> None:
    match key:
        case "record" | "alert" | "expr":
            setattr(rule, key, value)
        case "for":
            rule.for_ = value
        case "labels":
            rule.labels = dict(pair.split(": ") for pair in value.strip("{}").split(", "))
        case "annotations":
            pass
        case "summary" | "runbook_url":
            rule.annotations[key] = value
        case _:
            raise ValueError(f"rules have no {key}")


def _entries(path: Path) -> Iterator[tuple[str, str]]:
    lines = [
        line
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    at = 0
    while at < len(lines):
        found = _LINE.fullmatch(lines[at])
        if found is None:
            raise ValueError(f"{path.name}: not understood: {lines[at]!r}")
        at += 1
        value = found["value"] or ""
        if value == ">-":
            inside = len(found["indent"]) + 2 * bool(found["dash"])
            block = []
            while at < len(lines) and len(lines[at]) - len(lines[at].lstrip()) > inside:
                block.append(lines[at].strip())
                at += 1
            value = " ".join(block)
        yield found["key"], _plain(value)


def _plain(value: str) -> str:
    return value[1:-1] if value.startswith('"') else value

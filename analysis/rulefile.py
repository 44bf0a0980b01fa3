"""A rule file: what one TOML file of judgement says, read strictly.

A file holds ordered `[[rule]]` tables, each a `name`, what it asks for and what follows:

    [[rule]]
    name = "over-quota"
    pattern = ['over ?quota', 'quota exceeded']   # RE2; any of them, ignoring case
    code = [5]                                    # 5: every 5xx, 55: 55x, 552: just that
    enhanced = ["*.2.2", "5.7"]                   # a prefix at a dot; `*` is any class
    stage = ["rcpt"]
    provider = ["gmail"]
    category = "mailbox_full"                     # fault, severity, suppress, confidence: optional
    examples = ["552 5.2.2 Mailbox over quota"]

A long pattern may be wrapped: a line break and the indentation after it are dropped.

All conditions given must hold.  A hard verdict on a temporary reply turns soft, unless the rule
says `whatever_code = true`: its words are sure even where the code is not.  A rule's id is
`file/name`, the file's name without its leading number and its ending.  `last_resort = true` at
the top of a file: its rules are asked only where neither another rule nor the enhanced status code
decided.

An example is a reply as written, or a table `{reply, stage, provider, severity, suppress}`.
Anything unknown, missing or contradictory raises `RuleError`, whose text is one line for people.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from analysis.providers import PROVIDERS
from analysis.reply import Reply, Stage
from analysis.rule import USUAL, Example, Rule
from analysis.verdict import Category, Fault, Severity

MAX_FILE = 1_000_000
"""Bytes of a rule file that are read."""

_FILE_KEYS = {"rule", "last_resort"}
_RULE_KEYS = {
    "name", "pattern", "code", "enhanced", "stage", "provider",
    "category", "fault", "severity", "suppress", "confidence", "whatever_code", "examples",
}  # fmt: skip
_EXAMPLE_KEYS = {"reply", "stage", "provider", "severity", "suppress"}
_WRAP = re.compile(r"(?:\A|\n)[ \t]*")
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)
_ENHANCED = re.compile(r"[245*](?:\.[0-9]{1,3}){0,2}", re.ASCII)
_TEXT_CONFIDENCE = 0.9
_CODE_CONFIDENCE = 0.3
_MAY_SUPPRESS = {Category.BAD_MAILBOX, Category.MAILBOX_DISABLED, Category.BAD_DOMAIN}


class RuleError(ValueError):
    """A rule file cannot be used; the message names the file, the rule and the mend."""


def read_rules(path: Path) -> list[Rule]:
    """The rules of a file, in order; `RuleError` where it cannot be used."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RuleError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_FILE:
        raise RuleError(f"{path}: larger than {MAX_FILE} bytes")
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RuleError(f"{path}: not TOML in UTF-8: {error}") from error
    return parse_rules(document, topic(path), str(path))


def topic(path: Path) -> str:
    """The file's part of its rules' ids: `30-mailbox-full.toml` -> `mailbox-full`."""
    return re.sub(r"^[0-9]+-", "", path.stem)


def parse_rules(document: Mapping[str, Any], name: str, where: str) -> list[Rule]:
    """The rules of a parsed file called `name`; `where` stands in error messages."""
    if not _NAME.fullmatch(name):
        raise RuleError(f"{where}: name the file in lower-case letters, digits and hyphens")
    _no_others(document, _FILE_KEYS, where)
    tables = document.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise RuleError(f"{where}: rules are written as [[rule]] tables")
    last_resort = document.get("last_resort", False) is True
    rules = [_rule(table, name, where, last_resort) for table in tables]
    _no_doubles(rules, where)
    return rules


def _no_doubles(rules: Iterable[Rule], where: str) -> None:
    seen: set[str] = set()
    for rule in rules:
        if rule.id in seen:
            raise RuleError(f"{where}: two rules are called {rule.id}; rename one")
        seen.add(rule.id)


def _rule(table: Mapping[str, Any], name: str, where: str, last_resort: bool) -> Rule:
    if not isinstance(own := table.get("name"), str) or not _NAME.fullmatch(own):
        raise RuleError(f"{where}: a rule needs a name in lower-case letters, digits and hyphens")
    where = f"{where}: rule {own}"
    _no_others(table, _RULE_KEYS, where)
    category = _member(Category, table.get("category"), "category", where)
    usual = USUAL[category]
    fault = _member(Fault, table.get("fault", usual.fault), "fault", where)
    severity = _member(Severity, table.get("severity", usual.severity), "severity", where)
    patterns = tuple(_WRAP.sub("", text) for text in _strings(table, "pattern", where))
    return Rule(
        id=f"{name}/{own}",
        patterns=patterns,
        codes=_codes(table, where),
        enhanced=_statuses(table, where),
        stages=frozenset(
            _member(Stage, s, "stage", where) for s in _strings(table, "stage", where)
        ),
        providers=frozenset(_provider(p, where) for p in _strings(table, "provider", where)),
        category=category,
        fault=fault,
        severity=severity,
        suppress=_suppress(table, category, fault, severity, where),
        confidence=_confidence(table, bool(patterns), where),
        whatever_code=table.get("whatever_code", False) is True,
        examples=tuple(_example(e, where) for e in table.get("examples", ())),
        last_resort=last_resort,
    )


def _no_others(table: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise RuleError(f"{where}: unknown key {key!r}; known are {', '.join(sorted(known))}")


_Word = TypeVar("_Word", bound=StrEnum)


def _member(words: type[_Word], value: object, key: str, where: str) -> _Word:
    try:
        return words(str(value))
    except ValueError:
        raise RuleError(f"{where}: {key} {value!r} is not one of {', '.join(words)}") from None


def _list(table: Mapping[str, Any], key: str) -> list[Any]:
    value = table.get(key, [])
    return value if isinstance(value, list) else [value]


def _strings(table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    values = _list(table, key)
    if not all(isinstance(value, str) and value for value in values):
        raise RuleError(f"{where}: {key} must be a string or a list of strings")
    return tuple(values)


def _codes(table: Mapping[str, Any], where: str) -> tuple[str, ...]:
    codes = _list(table, "code")
    if not all(type(code) is int and 2 <= int(str(code)[0]) <= 5 and code < 600 for code in codes):
        raise RuleError(f"{where}: code must be an SMTP code or its leading digits, 5, 55 or 550")
    return tuple(str(code) for code in codes)


def _statuses(table: Mapping[str, Any], where: str) -> tuple[str, ...]:
    found: list[str] = []
    for status in _strings(table, "enhanced", where):
        if not _ENHANCED.fullmatch(status):
            raise RuleError(f"{where}: enhanced {status!r} is not like 5.1.1, 5.7 or *.2.2")
        classes = "245" if status[0] == "*" else status[0]
        found += [f"{digit}{status[1:]}." for digit in classes]
    return tuple(found)


def _provider(name: str, where: str) -> str:
    if name not in PROVIDERS:
        raise RuleError(f"{where}: provider {name!r} is not one of {', '.join(PROVIDERS)}")
    return name


def _suppress(
    table: Mapping[str, Any], category: Category, fault: Fault, severity: Severity, where: str
) -> bool:
    allowed = (
        category in _MAY_SUPPRESS
        and fault in (Fault.RECIPIENT, Fault.DOMAIN)
        and severity is Severity.HARD
    )
    asked = table.get("suppress", USUAL[category].suppress and allowed)
    if not isinstance(asked, bool):
        raise RuleError(f"{where}: suppress must be true or false")
    if asked and not allowed:
        raise RuleError(f"{where}: only a hard fault of the mailbox or its domain may suppress")
    return asked


def _confidence(table: Mapping[str, Any], by_text: bool, where: str) -> float:
    value = table.get("confidence", _TEXT_CONFIDENCE if by_text else _CODE_CONFIDENCE)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise RuleError(f"{where}: confidence must be a number from 0 to 1")
    return float(value)


def _example(value: object, where: str) -> Example:
    if isinstance(value, str):
        return Example(Reply.read(value))
    if not isinstance(value, dict) or not isinstance(value.get("reply"), str):
        raise RuleError(f"{where}: an example is a reply, or a table with a reply")
    _no_others(value, _EXAMPLE_KEYS, f"{where}: example")
    stage = _member(Stage, value.get("stage", Stage.UNKNOWN), "stage", where)
    provider = _provider(value.get("provider", "other"), where)
    severity = value.get("severity")
    return Example(
        Reply.read(value["reply"], stage=stage, provider=provider),
        None if severity is None else _member(Severity, severity, "severity", where),
        value.get("suppress"),
    )

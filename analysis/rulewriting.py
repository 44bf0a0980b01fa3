"""A rule ready to fill in, made from a reply that nobody understood.

Its pattern is the reply's own longest stretch of words that other replies share, its example the
reply; its category is `?`, which the reader of rule files refuses, so that a person must choose.
"""

from __future__ import annotations

import hashlib
import json
import re
from textwrap import wrap

from analysis.radar import Unknown, constant_parts
from analysis.reply import Reply
from analysis.rulebook import searchable
from analysis.verdict import Category

UNCHOSEN = "?"
MOST_PATTERN = 120
"""Characters of a pattern; more words make a rule miss, not surer."""
ENOUGH = 12
"""Characters of words that stand for themselves; fewer need the others too."""

_CHOICES = wrap(
    ", ".join(category for category in Category if category is not Category.UNKNOWN),
    width=78,
    initial_indent="#   ",
    subsequent_indent="#   ",
)
_SPECIAL = re.compile(r"[\\.^$|?*+()\[\]{}]")
_EDGES = " \t.,:;!-/<>()[]{}'\"=#"
_SLUG = re.compile(r"[a-z0-9]+", re.ASCII)


def draft(unknown: Unknown) -> str:
    """The rule in TOML, some ten short lines."""
    said = unknown.example
    read = Reply.read(str(said), stage=said.stage, provider=said.provider)
    conditions = _conditions(read, unknown.providers)
    text = searchable(read.text)
    pattern = pattern_for(text)
    lines = ["[[rule]]", f"name = {_toml(_name(pattern, unknown.fingerprint))}"]
    if pattern or not conditions:
        lines.append(f"pattern = [{_toml(pattern or escaped(text))}]")
    lines += conditions
    lines += [f"category = {_toml(UNCHOSEN)}  # one of these:", *_CHOICES]
    example = _toml(str(said))
    if any(line.startswith("provider") for line in conditions):
        example = f"{{ reply = {example}, provider = {_toml(said.provider)} }}"
    lines.append(f"examples = [{example}]")
    return "\n".join(lines) + "\n"


def pattern_for(text: str) -> str:
    """An RE2 pattern of what does not change in this text; empty where it has no words."""
    parts = [part for raw in constant_parts(text) if len(part := raw.strip(_EDGES)) > 2]
    if not parts:
        return ""
    longest = max(parts, key=len)
    if len(longest) >= ENOUGH:
        return escaped(_cut(longest))
    return ".*".join(escaped(part) for part in parts)


def escaped(text: str) -> str:
    """The text as a pattern that takes just it."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def _cut(words: str) -> str:
    if len(words) <= MOST_PATTERN:
        return words
    short, blank, _ = words[:MOST_PATTERN].rpartition(" ")
    return (short if blank else words[:MOST_PATTERN]).rstrip(_EDGES)


def _conditions(read: Reply, providers: tuple[str, ...]) -> list[str]:
    found = []
    if read.code is not None and read.code >= 400:
        found.append(f"code = [{read.code // 100}]")
    if len(providers) == 1 and providers[0] != "other":
        found.append(f"provider = [{_toml(providers[0])}]")
    return found


def _name(pattern: str, fingerprint: str) -> str:
    words = _SLUG.findall(pattern.casefold())[:4] or ["reply"]
    return "-".join([*words, hashlib.sha256(fingerprint.encode()).hexdigest()[:4]])


def _toml(text: str) -> str:
    """A TOML string: literal where it can be, since patterns are read more than written."""
    if text.isprintable() and "'" not in text:
        return f"'{text}'" if "\\" in text or '"' in text else f'"{text}"'
    return json.dumps(text, ensure_ascii=False)

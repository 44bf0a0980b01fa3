"""HTML as a row of tokens with their places: what text-making, tracking and the lint all read.

A small scanner for mail, not a parser: it keeps the offsets that rewriting needs, which the
standard library's does not tell, and its time grows with the length alone, which the standard
library's does not promise for markup that never closes (CPython issue 135462).  Tags, attributes,
comments and raw text end where a browser ends them (HTML Living Standard section 13.2.5).  Any
text is taken; nothing raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from html import unescape
from typing import NamedTuple

MOST_ATTRIBUTES = 60
"""Of one tag; those after it are passed over."""


class Kind(StrEnum):
    TEXT = "text"
    OPEN = "open"
    CLOSE = "close"
    OTHER = "other"  # comments, doctypes, the inside of scripts and style sheets


class Attribute(NamedTuple):
    """`value` is decoded; `start` and `end` enclose it as written, with its quotes."""

    name: str
    value: str
    start: int
    end: int


class Token(NamedTuple):
    kind: Kind
    start: int
    end: int
    tag: str = ""  # lower case
    attributes: tuple[Attribute, ...] = ()

    def get(self, name: str) -> str | None:
        """The value of an attribute, the first one of that name, or None."""
        for one in self.attributes:
            if one.name == name:
                return one.value
        return None


_TAG = re.compile(r"</?([A-Za-z][^\s/>]{0,40})")
_ATTRIBUTE = re.compile(
    r"""[\s/]*+(?:(=?[^\s/>=]++)(?:\s*+=\s*+("[^"]*+"?|'[^']*+'?|[^\s>]*+))?|(=))?"""
)
"""The gap before an attribute, its name and its value as written; or a lone `=`."""
_RAW = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE)
    for name in ("script", "style", "title", "textarea", "noscript")
}


def tokens(html: str) -> Iterator[Token]:
    """Every piece of `html`, in order and without a gap."""
    at = text = 0
    while (at := html.find("<", at)) >= 0:
        token = _token(html, at)
        if token is None:  # a lone `<` is text
            at += 1
            continue
        if text < at:
            yield Token(Kind.TEXT, text, at)
        yield token
        at = text = token.end
        if token.kind is Kind.OPEN and token.tag in _RAW:
            closing = _RAW[token.tag].search(html, at)
            end = closing.start() if closing else len(html)
            if at < end:
                yield Token(Kind.OTHER, at, end, token.tag)
            at = text = end
    if text < len(html):
        yield Token(Kind.TEXT, text, len(html))


def _token(html: str, at: int) -> Token | None:
    if html.startswith("<!--", at):
        return Token(Kind.OTHER, at, _behind(html, "-->", at + 4))
    if html.startswith(("<!", "<?"), at):
        return Token(Kind.OTHER, at, _behind(html, ">", at + 2))
    found = _TAG.match(html, at)
    if found is None:
        return None
    if html[at + 1] == "/":
        return Token(Kind.CLOSE, at, _behind(html, ">", found.end()), found[1].lower())
    attributes, end = _attributes(html, found.end())
    return Token(Kind.OPEN, at, end, found[1].lower(), attributes)


def _behind(html: str, mark: str, at: int) -> int:
    found = html.find(mark, at)
    return len(html) if found < 0 else found + len(mark)


def _attributes(html: str, at: int) -> tuple[tuple[Attribute, ...], int]:
    """The attributes of a tag and the place behind it."""
    found: list[Attribute] = []
    while one := _ATTRIBUTE.match(html, at):  # it always matches, be it nothing
        name, written, lone = one.groups()
        at = one.end()
        if name is None and lone is None:
            break
        if name is not None and len(found) < MOST_ATTRIBUTES:
            start, end = (at, at) if written is None else one.span(2)
            found.append(Attribute(name.lower(), _value(written or ""), start, end))
    return tuple(found), min(at + 1, len(html))


def _value(written: str) -> str:
    if written[:1] in ('"', "'"):
        written = written[1:-1] if written[-1:] == written[:1] and len(written) > 1 else written[1:]
    return unescape(written)

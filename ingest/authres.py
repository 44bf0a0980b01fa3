"""Authentication-Results: SPF, DKIM and DMARC as the receiver saw them.  RFC 8601.

Anybody on the way can write such a header, so only the topmost one of the receiver's own name (its
authserv-id) is read; where no name is given, the topmost one, since a receiver puts its own above
what came with the mail (section 5).  Some receivers leave the authserv-id out; their header then
begins with a result.

Pure; never raises, whatever the text; what it returns comes from a closed set.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

RESULTS = frozenset(
    {"pass", "fail", "softfail", "neutral", "policy", "none", "temperror", "permerror"}
)
"""RFC 8601 section 2.7; whatever else a receiver says is `other`."""
OTHER = "other"
METHODS = ("spf", "dkim", "dmarc")

_SPELT = {"hardfail": "fail", "error": "temperror", "bestguesspass": "none"}
_MOST_OCTETS = 8_000
_MOST_PARTS = 60
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_RESULT = re.compile(r"\s*([a-z0-9-]{1,20})(?:/[0-9]{1,3})?\s*=\s*([a-z0-9-]{1,20})")


@dataclass(frozen=True, slots=True)
class Authentication:
    """A result each, or None where the receiver said nothing of it."""

    spf: str | None = None
    dkim: str | None = None
    dmarc: str | None = None


NOTHING_SAID = Authentication()


def read(headers: Sequence[str], receiver: Collection[str] = ()) -> Authentication:
    """What the receiver found.  `headers`: the values of every such header, topmost first.

    `receiver`: authserv-ids that are the receiver's, compared without case.
    """
    names = {name.casefold() for name in receiver}
    for header in headers:
        name, parts = _read(header)
        if not names or name in names:
            return _best(parts)
    return NOTHING_SAID


def _read(header: str) -> tuple[str, list[str]]:
    """The authserv-id in lower case, `` where there is none, and the parts after it."""
    text = _without_comments(_QUOTED.sub(" ", header[:_MOST_OCTETS])).lower()
    first, *rest = text.split(";", _MOST_PARTS)
    if "=" in first:
        return "", [first, *rest]
    return first.split()[0] if first.split() else "", rest


def _without_comments(text: str) -> str:
    """RFC 5322 section 3.2.2: comments nest; one that does not end takes the rest with it."""
    kept: list[str] = []
    depth = 0
    for char in text:
        depth += char == "("
        if not depth:
            kept.append(char)
        depth -= char == ")" and depth > 0
    return "".join(kept)


def _results(parts: Sequence[str]) -> Iterator[tuple[str, str]]:
    for part in parts:
        if (found := _RESULT.match(part)) and found[1] in METHODS:
            result = _SPELT.get(found[2], found[2])
            yield found[1], result if result in RESULTS else OTHER


def _best(parts: Sequence[str]) -> Authentication:
    """Of several signatures one that passes is enough (RFC 6376 section 4.2); else the first."""
    best: dict[str, str] = {}
    for method, result in _results(parts):
        if method not in best or result == "pass":
            best[method] = result
    return Authentication(best.get("spf"), best.get("dkim"), best.get("dmarc"))

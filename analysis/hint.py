"""How long a receiver asks us to wait, read from its own words.

Greylisting and rate limits often name a time: `try again in 300 seconds`, `come back in 00:04:59`,
`retrytime=60`, `请在5分钟后重试`.  A length of time counts only where the words around it ask for
another try, so that `no more than 10 messages in 60 seconds` is not taken for a request.

Pure and linear: each length found is judged by a short piece of text before and after it.  What
is not understood is None, never a guess; how far to follow a hint is `analysis.retry`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MOST_TEXT = 2_000
"""Characters looked at: a hint stands near the front, and replies are strangers' text."""
LONGEST = 7 * 86_400.0
"""Seconds; more than that is no wait but a misreading or a joke."""

_BEFORE, _AFTER = 60, 40

_UNITS = {
    1.0: "seconds? secs? s sekunden? sek secondes? 秒钟? 秒鐘?",
    60.0: "minutes? mins? mn m minuten? 分钟 分鐘 分",
    3_600.0: "hours? hrs? h stunden? std heures? 个?小时 個?小時",
    86_400.0: "days? d tage?n? jours? 天",
}
_NAMED = {"a": 1, "an": 1, "one": 1, "two": 2, "five": 5, "ten": 10, "fifteen": 15, "thirty": 30}

_UNIT = "|".join(f"({'|'.join(words.split())})" for words in _UNITS.values())
_NUMBER = rf"(?:([0-9]{{1,7}})|(?<!\w)({'|'.join(_NAMED)})(?=\s))"
_PART = rf"{_NUMBER}[\s-]{{0,2}}(?:{_UNIT})(?![a-zà-ÿ])"
_ONE = re.compile(_PART, re.IGNORECASE)
_AND = r"[\s,]{0,2}(?:and\s|und\s|et\s)?"
_LENGTH = re.compile(
    rf"(?<![\w.:])([0-9]{{1,2}}(?::[0-5][0-9]){{1,2}})(?![\w:])"
    rf"|(?<![0-9.:]){_PART}(?:{_AND}{_PART})?(?:{_AND}{_PART})?",
    re.IGNORECASE,
)

_CUE = (
    r"again|re-?try(?:ing)?|retried|come back|resend|re-?submit|gr[ea]y-?\s?list(?:ed|ing)?"
    r"|erneut|noch\s?mals?|wieder|wiederholen|versuchen(?: sie)?(?: es)?"
    r"|r[ée]essay\w*|nouveau|renvoy\w*|re-?tent\w*"
    r"|wait(?:ing)?|warten(?: sie)?|patient\w*|attend\w*|remaining|time left|block expires"
)
_WORDS = r"(?:\s(?!(?:at|until|since|um|seit|[àa]|depuis)\s)[^\W\d]{1,20}){0,5}"
_PREPOSITION = (
    r"(?:in|after|for|within|dans|nach|f[üu]r|apr[èe]s|pendant|au bout de)"
    r"(?:\s(?:at least|about|another|approximately|mindestens|etwa|weiteren?|environ))?"
)
_ASKED = re.compile(
    rf"\b(?:{_CUE}){_WORDS}[\s:=(]{{0,3}}(?:{_PREPOSITION}\s?|at least\s?)?$", re.IGNORECASE
)
_LEADS = re.compile(rf"(?:\b{_PREPOSITION})\s{{0,2}}$", re.IGNORECASE)
_FOLLOWS = re.compile(rf"^[^,;.:0-9]{{0,25}}?\b(?:{_CUE})", re.IGNORECASE)
_THEN = re.compile(r"^\s?(?:之|以)?[后後]")  # Chinese puts `after` behind the length
_RATE = re.compile(
    r"too many|too much|more than|exceed|limit|maxim|\bmax\b|\bper\b|\bover\b|quota|only|"
    r"messages\b|mails\b|connections\b|trop|mehr als|zu viele|plus de|超过|超過",
    re.IGNORECASE,
)
_KEY = re.compile(
    r"\bretry[-_ ]?(?:time|after|in)\s?[=:]?\s?([0-9]{1,7})(?![\w:.])(?!\s?[a-zà-ÿ])", re.IGNORECASE
)


def wait_hint(text: str) -> float | None:
    """Seconds that the words of a reply ask us to wait before the next try, or None."""
    text = text[:MOST_TEXT]
    asked = (_seconds(found) for found in _LENGTH.finditer(text) if _asks(text, found))
    keyed = (float(found[1]) for found in _KEY.finditer(text))
    return next((wait for wait in _either(asked, keyed) if 0.0 < wait <= LONGEST), None)


def _either(first: Iterator[float], second: Iterator[float]) -> Iterator[float]:
    yield from first
    yield from second


def _asks(text: str, found: re.Match[str]) -> bool:
    """Whether the words around a length of time ask for another try after it."""
    before = text[max(0, found.start() - _BEFORE) : found.start()]
    after = text[found.end() : found.end() + _AFTER]
    if _THEN.match(after):
        return True
    if (asked := _last(before)) is not None:
        return _RATE.search(asked) is None
    clause = re.split(r"[,;.:]", before)[-1]
    return (
        _LEADS.search(clause) is not None
        and _FOLLOWS.search(after) is not None
        and _RATE.search(clause) is None
    )


def _last(before: str) -> str | None:
    """From the request nearest in front of the length up to it."""
    found = _ASKED.search(before)
    return None if found is None else found[0]


def _seconds(found: re.Match[str]) -> float:
    if clock := found[1]:
        *hours, minutes, seconds = (int(part) for part in clock.split(":"))
        return sum(hours) * 3_600.0 + minutes * 60.0 + seconds
    total = 0.0
    for part in _ONE.finditer(found[0]):
        digits, named, *units = part.groups()
        unit = next(s for s, given in zip(_UNITS, units, strict=True) if given)
        total += (int(digits) if digits else _NAMED[named.lower()]) * unit
    return total

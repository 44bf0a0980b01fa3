"""Compliance before send: what a receiver, or the law, would hold against a message.

Pure: a `Letter` and what is known of our own domains in, findings out, each with its mend in
English and Chinese (`compliance.toml`).  A finding is said once a message with the number of
places; at most `MOST_FINDINGS` are.  Nothing is sent, asked or changed, and a plain text costs
microseconds.  What a finding does is the stream's choice: nothing, a warning, or a refusal for an
error.  Spam triggers are advice only: nobody knows a filter from outside.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import lru_cache
from importlib.resources import files
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from sender.html_tokens import Kind, Token, tokens
from sender.letters import Letter, senders

MOST_FINDINGS = 20
MOST_EXAMPLE = 120
LARGE = 10_000_000
CLIPPED = 102_000
LONG_SUBJECT = 150
DAY = 86_400.0

ERROR, WARNING, ADVICE = "error", "warning", "advice"


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


@dataclass(frozen=True, slots=True)
class Facts:
    """What is ours.  `organisation` gives the registrable domain of a name."""

    signing: frozenset[str]  # d= domains that we have keys for
    default: str  # signs for domains that have none of their own, if it has keys itself
    return_path: str
    unsubscribe: frozenset[str]  # streams whose mail gets List-Unsubscribe
    organisation: Callable[[str], str]

    def signs_as(self, domain: str) -> str | None:
        """The d= that mail from this domain is signed with."""
        while "." in domain:
            if domain in self.signing:
                return domain
            domain = domain.partition(".")[2]
        return self.default if self.default in self.signing else None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a letter goes, and when."""

    stream: str
    class_: str
    now: float


@dataclass(slots=True)
class _Found:
    """One finding a code, with its first example."""

    codes: dict[str, Finding] = field(default_factory=dict)

    def add(self, code: str, where: str, example: str = "") -> None:
        there = self.codes.get(code)
        if there is not None:
            self.codes[code] = Finding(code, there.where, there.example, there.count + 1)
        elif len(self.codes) < MOST_FINDINGS:
            shown = "".join(c if c.isprintable() else "?" for c in example[:MOST_EXAMPLE])
            self.codes[code] = Finding(code, where, shown)


def check(letter: Letter, facts: Facts, standing: Standing) -> tuple[Finding, ...]:
    """Findings, the worst first."""
    found = _Found()
    _subject(letter, found)
    _identity(letter, facts, found)
    _parts(letter, found)
    _unsubscribe(letter, facts, standing, found)
    if letter.ready:
        _headers(letter, standing.now, found)
    if letter.html is not None:
        _html(letter.html, facts, found)
    if not found.codes:
        return ()
    return tuple(sorted(found.codes.values(), key=lambda one: _ORDER[one.severity]))


_ORDER = {ERROR: 0, WARNING: 1, ADVICE: 2}
_REPLY = re.compile(r"(?:re|aw|sv|fwd?|回复|答复|转发)\s?[:\uff1a]", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\{\{[^{}\n]{1,60}\}\}|\{%[^{}\n]{1,60}%\}|%%[A-Za-z_]{2,40}%%")
_ADDRESS = re.compile(r"[^\s@<>\"']{1,64}@([A-Za-z0-9.-]{1,253})")


def _subject(letter: Letter, found: _Found) -> None:
    subject = letter.subject
    if not subject.strip():
        found.add("subject_empty", "subject")
        return
    if len(subject) > LONG_SUBJECT:
        found.add("subject_long", "subject", subject)
    loud = subject.isupper() and sum(c.isalpha() for c in subject) >= 8
    if loud or subject.count("!") > 2 or "$$" in subject:
        found.add("subject_shouts", "subject", subject)
    if _REPLY.match(subject) and "in-reply-to" not in letter.headers:
        found.add("subject_pretends", "subject", subject)


def _identity(letter: Letter, facts: Facts, found: _Found) -> None:
    where = "raw" if letter.ready else "from"
    if letter.from_ is None:
        if letter.ready:
            found.add("from_malformed", where, letter.malformed)
        return
    if fault := alignment(letter.from_.address.domain, facts):
        found.add(fault, where, letter.from_.address.domain)
    name = letter.from_.name
    if not name.strip():
        found.add("name_missing", where)
    elif shown := _ADDRESS.search(name):
        ours = facts.organisation(letter.from_.address.domain)
        if facts.organisation(shown[1].lower()) != ours:
            found.add("name_of_another", where, name)


@lru_cache(maxsize=1_000)
def alignment(domain: str, facts: Facts) -> str | None:
    """RFC 7489 section 3.1, relaxed: `unsigned`, `from_unaligned` or nothing to find."""
    ours = facts.organisation(domain)
    signer = facts.signs_as(domain)
    if signer is not None and facts.organisation(signer) == ours:
        return None
    if facts.organisation(facts.return_path) == ours:
        return "unsigned"
    return "from_unaligned"


def _parts(letter: Letter, found: _Found) -> None:
    if letter.size > LARGE:
        found.add("too_large", "attachments" if letter.attachments else "text", str(letter.size))
    if letter.html is not None:
        if letter.text is None:
            found.add("text_missing", "text")
        if len(letter.html) > CLIPPED:
            found.add("clipped", "html", str(len(letter.html)))
    elif (not letter.text or letter.text.isspace()) and not letter.attachments:
        found.add("empty", "text")
    for where, said in (("subject", letter.subject), ("text", letter.text), ("html", letter.html)):
        if said and ("{" in said or "%" in said) and (left := _PLACEHOLDER.search(said)):
            found.add("placeholder", where, left[0])


def _unsubscribe(letter: Letter, facts: Facts, standing: Standing, found: _Found) -> None:
    if standing.stream in facts.unsubscribe:
        return
    offered = letter.headers.get("list-unsubscribe", "")
    if not offered and standing.class_ == "bulk":
        found.add("unsubscribe_missing", "stream", standing.stream)
    elif offered and "list-unsubscribe-post" not in letter.headers:
        found.add("one_click_missing", "raw", offered)


def _headers(letter: Letter, now: float, found: _Found) -> None:
    if letter.from_ is None and "from" in letter.headers and senders(letter.headers["from"]) != 1:
        found.add("from_malformed", "raw", letter.headers["from"])
    date = letter.headers.get("date")
    if date is not None and not _near(date, now):
        found.add("date_invalid", "raw", date)
    message_id = letter.headers.get("message-id")
    if message_id is not None and not _MESSAGE_ID.fullmatch(message_id):
        found.add("message_id_invalid", "raw", message_id)
    if letter.longest > 998:
        found.add("line_too_long", "raw", str(letter.longest))


_MESSAGE_ID = re.compile(r"<[^\s<>@]{1,250}@[^\s<>@]{1,250}>")


def _near(date: str, now: float) -> bool:
    """Within a week before and a day after: mail waits, clocks err."""
    try:
        at = parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return False
    return now - 7 * DAY <= at <= now + DAY


_ACTIVE = frozenset({"script", "form", "iframe", "object", "embed", "applet"})
_LOCAL = (".local", ".internal", ".lan", ".localhost", ".test", ".invalid")
_SHOWN = re.compile(
    r"(?:(https?)://)?((?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24})(?:[:/?#]\S*)?", re.IGNORECASE
)
FEW_WORDS = 20
MOST_HTML = 200_000
"""Characters of HTML that are looked at, so that a lint has a bounded price; twice what Gmail shows
before it clips."""


def _html(html: str, facts: Facts, found: _Found) -> None:
    link: Token | None = None
    words: list[str] = []
    images = written = 0
    for token in tokens(html[:MOST_HTML]):
        match token.kind, token.tag:
            case Kind.TEXT, _:
                said = html[token.start : token.end].strip()
                written += len(said)
                if link is not None:
                    words.append(said)
            case Kind.OPEN, "a":
                link, words = token, []
            case Kind.CLOSE, "a" if link is not None:
                _link(link, "".join(words), facts, found)
                link = None
            case Kind.OPEN, "img":
                images += 1
                if token.get("alt") is None:
                    found.add("image_without_alt", "html", token.get("src") or "")
            case Kind.OPEN, tag if tag in _ACTIVE:
                found.add("active", "html", tag)
    if images and written < FEW_WORDS:
        found.add("image_alone", "html")


def _link(link: Token, words: str, facts: Facts, found: _Found) -> None:
    target = link.get("href")
    if target is None:  # an anchor to jump to
        return
    target = target.strip()
    for code in _target_faults(target):
        found.add(code, "html", target)
    shown = _SHOWN.fullmatch(words)
    if shown and target.lower().startswith("http") and _differ(shown, target, facts):
        found.add("link_mismatch", "html", f"{words} -> {target}")


def _target_faults(target: str) -> Iterator[str]:
    lower = target.lower()
    if lower in ("", "#") or lower.startswith(("javascript:", "about:", "{{")):
        yield "link_empty"
        return
    if not lower.startswith(("http:", "https:")):
        if ":" not in lower and not lower.startswith("#"):
            yield "link_empty"  # a relative address has nothing to be relative to
        return
    host = _host(target)
    if not host:
        yield "link_empty"
        return
    if (
        host == "localhost"
        or host.endswith(_LOCAL)
        or "." not in host.strip("[]").replace(":", ".")
    ):
        yield "link_local"
    elif number := _number(host):
        yield "link_local" if number.is_private else "link_numeric"
    if lower.startswith("http:"):
        yield "link_insecure"


def _host(target: str) -> str:
    try:
        return (urlsplit(target).hostname or "").lower()
    except ValueError:
        return ""


def _number(host: str) -> Any:
    if ":" not in host and not host[-1:].isdigit():  # no top-level domain ends in a digit
        return None
    try:
        return ip_address(host)
    except ValueError:
        return None


def _differ(shown: re.Match[str], target: str, facts: Facts) -> bool:
    """Another site than the one that is shown, or http where https is shown."""
    if (shown[1] or "").lower() == "https" and target.lower().startswith("http:"):
        return True
    return facts.organisation(shown[2].lower()) != facts.organisation(_host(target))

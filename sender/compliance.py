"""Compliance before send: what a receiver, or the law, would hold against a message.

Pure: a `Letter` and what is known of our own domains in, findings out (`compliance_findings`), each
with its mend.  Nothing is sent, asked or changed, and a plain text costs microseconds.  What a
finding does is the stream's choice: nothing, a warning, or a refusal for an error.  Spam triggers
are advice only: nobody knows a filter from outside.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache

from sender.compliance_findings import Finding, Found
from sender.compliance_html import check_html
from sender.letters import Letter, senders

LARGE = 10_000_000
CLIPPED = 102_000
LONG_SUBJECT = 150
DAY = 86_400.0


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


def check(letter: Letter, facts: Facts, standing: Standing) -> tuple[Finding, ...]:
    """Findings, the worst first."""
    found = Found()
    _subject(letter, found)
    _identity(letter, facts, found)
    _parts(letter, found)
    _unsubscribe(letter, facts, standing, found)
    if letter.ready:
        _headers(letter, standing.now, found)
    if letter.html is not None:
        check_html(letter.html, facts.organisation, found)
    return found.worst_first()


_REPLY = re.compile(r"(?:re|aw|sv|fwd?|回复|答复|转发)\s?[:\uff1a]", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\{\{[^{}\n]{1,60}\}\}|\{%[^{}\n]{1,60}%\}|%%[A-Za-z_]{2,40}%%")
_ADDRESS = re.compile(r"[^\s@<>\"']{1,64}@([A-Za-z0-9.-]{1,253})")


def _subject(letter: Letter, found: Found) -> None:
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


def _identity(letter: Letter, facts: Facts, found: Found) -> None:
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


def _parts(letter: Letter, found: Found) -> None:
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


def _unsubscribe(letter: Letter, facts: Facts, standing: Standing, found: Found) -> None:
    if standing.stream in facts.unsubscribe:
        return
    offered = letter.headers.get("list-unsubscribe", "")
    if not offered and standing.class_ == "bulk":
        found.add("unsubscribe_missing", "stream", standing.stream)
    elif offered and "list-unsubscribe-post" not in letter.headers:
        found.add("one_click_missing", "raw", offered)


def _headers(letter: Letter, now: float, found: Found) -> None:
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

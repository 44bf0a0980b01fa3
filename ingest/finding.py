"""A `Finding`: what a report says about one recipient, and which words of it decide.

A report holds several accounts of one failure: the remote system's answer, the status the
reporting system chose, a sentence for people, the whole transcript.  The remote answer is asked
first, the others only where it says nothing; a rule that knows the words beats one that only knows
the code, wherever it finds them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from analysis.facts import ReportedRecipient
from analysis.providers import OTHER, provider_of
from analysis.reply import Reply, Stage, clean
from analysis.rulebook import Rulebook
from analysis.verdict import UNKNOWN, Category, Severity, Verdict
from ingest.wording import SPENT

_CODE = re.compile(
    r"(?<![\w.:/-])([45][0-5]\d)"
    r"(?:[ \-]{1,3}[#(\[']{0,2}([245]\.\d{1,3}\.\d{1,3})\b)?(?=[\s:;,#'\"-]|$)",
    re.ASCII,
)
_ENHANCED = re.compile(r"(?<![\d.])([245]\.\d{1,2}\.\d{1,3})(?![.\d])", re.ASCII)
_REPEATED = re.compile(r"(?<=\s)([45]\d\d)[ -](?:#?([245]\.\d{1,3}\.\d{1,3})\s)?", re.ASCII)
_STATUS = re.compile(r"\s{0,10}([245]\.\d{1,3}\.\d{1,3})(?![.\d])", re.ASCII)
_HOST = re.compile(r"host ([\w.-]{1,255})[\[ ]", re.ASCII)
_SAID = re.compile(
    r"(?:was|said|responded|replied|follows|returned|response|answered)\s?:\s{0,3}[\[\"'(]?(?=[45]\d\d\b)"
)
_COMMENT = re.compile(r"\(([^()]{4,200})\)")
_RESIGNED = re.compile(r"\s{1,8}Giving up on [\w.:\[\]-]{3,255}", re.IGNORECASE | re.ASCII)
"""What qmail puts below every refusal: its own last word, not the remote system's."""
_EARLIER = re.compile(
    r"[(\[]\s?(?:(?:previous|earlier|former|prior)(?:ly)?|(?:the )?(?:last time|time before)|before"
    r"|zuvor|vorher|fr\u00fcher|auparavant|antes|prima)\b[^()\[\]]{0,300}[)\]]",
    re.IGNORECASE,
)
"""An answer told as an older one, beside the one that counts."""
_WRAPPED = re.compile(r"[245]\.\d\.\d - .{1,80}? (\d{3})[- ]'(.+)'", re.ASCII | re.DOTALL)
_SPENT = frozenset({Category.NETWORK, Category.SYSTEM, Category.UNKNOWN})
_GONE = frozenset({Category.BAD_MAILBOX, Category.MAILBOX_DISABLED})
_PLAIN = 0.9
_WEAK = ("enhanced/", "codes/", "undelivered/")
GENERIC = frozenset({"5.0.0", "4.0.0", "2.0.0", "5.5.0", "4.5.0", "5.7.0", "4.7.0"})
"""Statuses that say no more than their first digit."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One recipient of a report as read.  `words` is the best account, `spare` further ones."""

    address: str
    words: str = ""
    action: str = "failed"
    status: str = ""  # as written, comment and all
    original: str = ""
    remote_mta: str = ""
    spare: tuple[str, ...] = ()


class Witness(Protocol):
    """Who else may be asked about a recipient: the notice for people, read only when needed."""

    def near(self, address: str) -> tuple[str, ...]:
        """Accounts that stand beside the address, best first."""
        ...

    def whole(self) -> str:
        """Everything it says; boilerplate too, so it is asked last."""
        ...


def status_of(text: str) -> str | None:
    """The enhanced code a Status field begins with.  RFC 3464 section 2.3.4."""
    match = _STATUS.match(text)
    return match[1] if match else None


def reply_in(words: str, status: str | None = None, host: str = "", domain: str = "") -> Reply:
    """The reply that the words report: its codes wherever they stand, the text without them."""
    words = _EARLIER.sub(" ", _unwrapped(clean(words)))
    named = _HOST.match(words)
    host = host or (named[1] if named else "")
    words = words[_quoted_from(words) :]
    code: int | None = None
    match = _CODE.search(words)
    enhanced = match[2] if match else None
    if enhanced is None and (inside := _ENHANCED.search(words)):
        enhanced = inside[1]
    if match is not None:
        code = int(match[1])
        words = _unrepeated(words, match[1])
    if code is not None and code >= 500:
        words = _RESIGNED.sub("", words)
    if status is not None and _fits(status, code) and (enhanced is None or enhanced in GENERIC):
        enhanced = status
    provider = provider_of([host] if host else [], domain)
    if provider == OTHER and domain:
        provider = provider_of([], domain)
    return Reply(code, enhanced, words, Stage.REPORT, provider, host)


def _unwrapped(words: str) -> str:
    """The remote reply that Cisco's gateways quote: `5.1.0 - Unknown address error 550-'...'`."""
    match = _WRAPPED.match(words)
    return f"{match[1]} {match[2]}" if match else words


def _quoted_from(words: str) -> int:
    """Where the remote system's own words begin, behind `said:` and the like."""
    match = _SAID.search(words[:1_000])
    return match.end() if match else 0


def _fits(status: str, code: int | None) -> bool:
    return code is None or status[0] == str(code)[0]


def _unrepeated(words: str, code: str) -> str:
    """Without the codes that a wrapped multi-line reply repeats on each of its lines."""
    return _REPEATED.sub(lambda m: "" if m[1] == code else m[0], " " + words).strip()


def judge(finding: Finding, rulebook: Rulebook, witness: Witness) -> ReportedRecipient:
    """What the finding means, as a line of the reading."""
    status = status_of(finding.status)
    if finding.action in ("delivered", "relayed", "expanded"):
        return _line(finding, status, reply_in(finding.words, status), UNKNOWN)
    waits = "4.0.0" if finding.action == "delayed" else None  # a delay is never for good
    reply, verdict = _decide(finding, status or waits, rulebook, witness)
    vague = verdict.category in _SPENT and not _knows_words(verdict)
    if finding.action == "failed" and vague and _gave_up(finding, witness):
        expired = rulebook.classify(Reply(None, "4.4.7", "", Stage.REPORT))
        verdict = replace(expired, evidence=verdict.evidence or expired.evidence)
    unsaid = not finding.words or verdict.category is Category.UNKNOWN
    if finding.action == "delayed" and vague and unsaid:
        verdict = rulebook.classify(Reply(None, "4.4.7", "", Stage.REPORT))
    if verdict.category is Category.BAD_MAILBOX and (told := _told_by(finding.status)):
        closed = rulebook.classify(Reply(None, status, told, Stage.REPORT))
        if closed.category is Category.MAILBOX_DISABLED:  # the reporter knows more than "unknown"
            verdict = replace(closed, evidence=verdict.evidence)
    if finding.action == "failed" and _is_gone(verdict):
        verdict = replace(verdict, severity=Severity.HARD)
    if finding.action == "delayed":  # whatever was answered so far: it is still being tried
        verdict = replace(verdict, severity=Severity.SOFT, suppress=False)
    return _line(finding, status, reply, verdict)


def _is_gone(verdict: Verdict) -> bool:
    """Whether plain words say that nobody is there, under a code that says to try again.

    Somebody did try again until there was nothing left to try, so it lasts; a passing code is still
    no proof, so it is a mark against the address and not the end of it.
    """
    return verdict.category in _GONE and verdict.confidence >= _PLAIN and _knows_words(verdict)


def _gave_up(finding: Finding, witness: Witness) -> bool:
    """Whether the queue's time ran out, so that the last trouble on the way was one of many."""
    if finding.status.startswith(("4.4.7", "5.4.7")):
        return True
    return SPENT.search(" ".join((finding.words, finding.status, witness.whole()))) is not None


def _decide(
    finding: Finding, status: str | None, rulebook: Rulebook, witness: Witness
) -> tuple[Reply, Verdict]:
    """The account that a rule knows best: words before codes, earlier accounts before later."""
    domain = finding.address.rpartition("@")[2]
    best: tuple[Reply, Verdict] | None = None
    for words in _accounts(finding, witness):
        reply = reply_in(words, status, finding.remote_mta, domain)
        verdict = rulebook.classify(reply)
        if _knows_words(verdict):
            return reply, verdict
        if best is None or verdict.confidence > best[1].confidence:
            best = (reply, verdict)
    if best is None or best[1].category is Category.UNKNOWN:
        reply = reply_in(witness.whole(), status, finding.remote_mta, domain)
        best = _better(best, (reply, rulebook.classify(reply)))
    return best


def _better(
    first: tuple[Reply, Verdict] | None, last: tuple[Reply, Verdict]
) -> tuple[Reply, Verdict]:
    return last if first is None or last[1].category is not Category.UNKNOWN else first


def _knows_words(verdict: Verdict) -> bool:
    return verdict.category is not Category.UNKNOWN and not verdict.rule.startswith(_WEAK)


def _accounts(finding: Finding, witness: Witness) -> Iterator[str]:
    """Every account of the failure, best first; the bare status where there is no other."""
    told = False
    for words in (finding.words, *finding.spare, _told_by(finding.status)):
        told = told or bool(words)
        if words:
            yield words
    near = [words for words in witness.near(finding.address) if words.strip()]
    yield from near if near or told else [""]


def _told_by(status: str) -> str:
    """Words in a Status field: a comment, or a reply that somebody wrote there instead."""
    if status_of(status) is None:
        return status.strip() if any(c.isalpha() for c in status) else ""
    comment = _COMMENT.search(status)
    return comment[1] if comment is not None else ""


def _line(
    finding: Finding, status: str | None, reply: Reply, verdict: Verdict
) -> ReportedRecipient:
    if status is None or status in GENERIC:
        status = reply.enhanced or status
    return ReportedRecipient(
        address=finding.address,
        action=finding.action,
        status=status,
        reply_code=None if reply.code is None else str(reply.code),
        diagnostic=clean(finding.words or reply.text),
        remote_mta=clean(finding.remote_mta, 255),
        original=finding.original or None,
        verdict=verdict,
    )

"""What one inbound message is: the dispatch over its kinds, most authoritative first.

A structured report says what it is; prose has to be believed.  So machine-readable reports come
first (TLS and DMARC reports, feedback, receipts, delivery status), then notices of failure from a
mail system, then answers of software, and what is left is ordinary mail.

`read_mail` is pure and never raises: hostile bytes cost bounded time (`ingest.mime`) and give at
worst a `Reading` of kind normal with `error` set.  It says what the report says; whose report it is
the VERP token tells, and what follows is decided elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from analysis.facts import Kind, Reading, ReportedRecipient
from analysis.reply import clean
from analysis.rulebook import Rulebook
from ingest import addresses, autoreply, dialects, dsn
from ingest.arf import read_complaint
from ingest.finding import Finding, judge
from ingest.mime import Mail, read_mime
from ingest.notice import Notice
from ingest.origin import is_failure_notice, is_from_system, is_passed_on
from ingest.wording import FAILED, GIVEN_UP, WAITING
from sender.tokens import find_token

_AGGREGATE_NAME = re.compile(r"[^!\s]{3,255}![^!\s]{3,255}!\d{9,11}!\d{9,11}", re.ASCII)
_AGGREGATE_SUBJECT = re.compile(r"report[ _]domain:.{1,300}submitter:", re.IGNORECASE | re.DOTALL)
_UNSUBSCRIBE = re.compile(r"\s{0,5}(?:please )?unsubscribe(?: me)?\W{0,5}", re.IGNORECASE)


def read_mail(raw: bytes, rulebook: Rulebook) -> Reading:
    """Read one message as it came in: header, CRLF or LF line ends, any bytes."""
    mail = read_mime(raw)
    error = "; ".join(mail.defects) or None
    try:
        reading = _read(mail, rulebook)
    except (ValueError, LookupError, ArithmeticError, RecursionError, TypeError) as trouble:
        # The contract: a message that a reader of ours trips over is put aside, not fatal.
        reading = Reading(Kind.NORMAL)
        error = f"could not be read: {type(trouble).__name__}"
    return replace(reading, token=_token(mail, raw), error=error)


def _read(mail: Mail, rulebook: Rulebook) -> Reading:
    if (kind := _by_structure(mail)) is not None:
        return Reading(kind)
    complaint = read_complaint(mail)
    if complaint is not None:
        return complaint
    notice = Notice(mail)
    reading = _status_report(notice, rulebook)
    if reading is None:
        reading = _prose(notice, rulebook)
    if reading is None:
        return Reading(_quiet(mail))
    return replace(reading, message_id=notice.returned.get("message-id")[:500] or None)


def _by_structure(mail: Mail) -> Kind | None:
    """Kinds that the content type alone decides."""
    report = mail.parameters.get("report-type", "").lower()
    types = {part.type for part in mail.parts}
    if report == "tlsrpt" or any(kind.startswith("application/tlsrpt") for kind in types):
        return Kind.TLS_RPT
    if report == "disposition-notification" or "message/disposition-notification" in types:
        return Kind.MDN
    if _is_aggregate(mail):
        return Kind.DMARC_AGGREGATE
    return None


def _is_aggregate(mail: Mail) -> bool:
    """RFC 7489 section 7.2.1.1: the file name, or else the subject with an attachment."""
    packed = [
        part
        for part in mail.parts
        if part.type.endswith(("zip", "gzip", "xml", "octet-stream", "x-gzip"))
    ]
    if any(_AGGREGATE_NAME.match(part.filename[:1_000]) for part in packed):
        return True
    return (
        bool(packed) and _AGGREGATE_SUBJECT.search(mail.headers.word("subject")[:600]) is not None
    )


def _status_report(notice: Notice, rulebook: Rulebook) -> Reading | None:
    """A report with delivery-status fields, as a part or as lines of a text part."""
    mail = notice.mail
    text = dsn.status_text(mail)
    if not text and "Recipient" in notice.mail.notice and is_from_system(mail):
        text = notice.mail.notice if "Action:" in notice.mail.notice else ""
    if not text or is_passed_on(mail):
        return None
    report = dsn.read_report(text)
    findings = _completed([dsn.finding_of(group) for group in report.groups], notice)
    if not findings:
        return None
    if "boxbe" in mail.headers.get("from").lower() or _asks(mail, findings):
        return Reading(Kind.CHALLENGE)
    recipients = _judged(findings, rulebook, notice)
    return Reading(_kind_of(recipients), recipients, reporting_mta=clean(report.reporting_mta, 255))


def _asks(mail: Mail, findings: list[Finding]) -> bool:
    return all(f.status.startswith("4.7") for f in findings) and autoreply.is_challenge(mail)


def _completed(findings: list[Finding], notice: Notice) -> list[Finding]:
    """Findings with an address each: where a field held none, the notice may name it."""
    named = [finding for finding in findings if finding.address]
    if named and len(named) == len(findings):
        return named
    known = {addresses.key(finding.address) for finding in named}
    rest = [f for f in notice.findings if addresses.key(f.address) not in known]
    open_ones = [finding for finding in findings if not finding.address]
    for number, spare in enumerate(rest):
        named.append(_merged(spare, open_ones[number] if number < len(open_ones) else None))
    return named


def _merged(spare: Finding, finding: Finding | None) -> Finding:
    if finding is None:
        return spare
    return replace(
        finding,
        address=spare.address,
        words=finding.words or spare.words,
        original=spare.original,
        spare=(*finding.spare, spare.words, *spare.spare),
    )


def _prose(notice: Notice, rulebook: Rulebook) -> Reading | None:
    """A notice of failure without fields, believed only from a mail system."""
    mail = notice.mail
    if is_passed_on(mail) or not is_from_system(mail) or autoreply.is_challenge(mail):
        return None
    findings = notice.findings if _speaks_of_failure(notice) else []
    findings = findings or dialects.read(notice)
    if not findings:
        return Reading(Kind.BOUNCE) if is_failure_notice(mail) else None
    waiting = _is_waiting(notice)
    recipients = _judged(
        (replace(f, action="delayed") if waiting else f for f in findings), rulebook, notice
    )
    return Reading(_kind_of(recipients), recipients)


def _speaks_of_failure(notice: Notice) -> bool:
    headers = notice.mail.headers
    if "x-failed-recipients" in headers:
        return True
    return FAILED.search(f"{headers.word('subject')}\n{notice.text[:8_000]}") is not None


def _is_waiting(notice: Notice) -> bool:
    text = f"{notice.mail.headers.word('subject')} {notice.text[:4_000]}"
    return WAITING.search(text) is not None and GIVEN_UP.search(text) is None


def _judged(
    findings: Iterable[Finding], rulebook: Rulebook, notice: Notice
) -> tuple[ReportedRecipient, ...]:
    unique = {(addresses.key(f.address), f.action): f for f in findings}
    return tuple(judge(finding, rulebook, notice) for finding in unique.values())


def _kind_of(recipients: tuple[ReportedRecipient, ...]) -> Kind:
    actions = {recipient.action for recipient in recipients}
    if "failed" in actions:
        return Kind.BOUNCE
    if "delayed" in actions:
        return Kind.DELAYED
    return Kind.DELIVERED


def _quiet(mail: Mail) -> Kind:
    if autoreply.is_challenge(mail):
        return Kind.CHALLENGE
    if autoreply.is_away(mail):
        return Kind.AUTOREPLY
    if _UNSUBSCRIBE.fullmatch(mail.headers.word("subject")[:100]):
        return Kind.UNSUBSCRIBE
    return Kind.NORMAL


def _token(mail: Mail, raw: bytes) -> str | None:
    """Our VERP local part: in the header, the fields, the returned mail, whichever has it."""
    if b"+" not in raw:
        return None
    places = [mail.headers.text, mail.returned.text, *(p.text for p in mail.parts[:20])]
    for text in places:
        if "+" in text and (token := find_token(text)):
            return token
    return None

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
from collections.abc import Callable, Iterable
from dataclasses import replace

from analysis.facts import Kind, Reading, ReportedRecipient
from analysis.reply import clean
from analysis.rulebook import Rulebook
from ingest import addresses, autoreply, dialects, dsn
from ingest.aggregates import kind_by_outside, read_aggregate, signing_of
from ingest.arf import read_complaint
from ingest.finding import Finding, judge, reply_in
from ingest.listing import Trust
from ingest.mime import Mail, read_mime
from ingest.notice import Notice
from ingest.origin import (
    has_null_path,
    is_answer,
    is_by_hand,
    is_called_mail_system,
    is_daemon,
    is_failure_notice,
    is_from_robot,
    is_from_system,
    is_passed_on,
    is_surely_from_system,
    is_to_many,
)
from ingest.passed_on import read_passed_on
from ingest.returned_to import only_target, with_original
from ingest.sns import read_event
from ingest.wording import (
    DELAY_SUBJECT,
    FAILED,
    GIVEN_UP,
    NO_LONGER,
    OPENING,
    QUEUED,
    SUCCEEDED,
    WAITING,
)
from sender.tokens import find_token

_UNSUBSCRIBE = re.compile(r"\s{0,5}(?:please )?unsubscribe(?: me)?\W{0,5}", re.IGNORECASE)

_NUMBERED = re.compile(r"[\[#(]\s?#?\d|\*\*")
"""The subject of a ticket or an alert."""
_FIRST = b"From: MAILER-DAEMON@example.org\n\nNot delivered: <user@example.net>: 550 unknown\n"


def read_mail(raw: bytes, rulebook: Rulebook) -> Reading:
    """Read one message as it came in: header, CRLF or LF line ends, any bytes."""
    mail = read_mime(raw)
    try:
        reading = _read(mail, rulebook)
        error = "; ".join((*mail.defects, *filter(None, (reading.error,)))) or None
        if reading.aggregate is not None:
            reading = replace(reading, signing=signing_of(reading.kind, mail, raw))
        return replace(reading, token=_token(mail, raw), error=error)
    except MemoryError:
        raise  # says nothing of the message that a reader with more room would say
    except Exception as trouble:  # noqa: BLE001 - a message that trips a reader is put aside, not fatal
        return Reading(Kind.NORMAL, error=f"could not be read: {type(trouble).__name__}")


def reader(rulebook: Rulebook) -> Callable[[bytes], Reading]:
    """`read_mail` by these rules, for a `ReadingRoom`; has compiled what it needs."""
    read_mail(_FIRST, rulebook)
    return lambda raw: read_mail(raw, rulebook)


def _read(mail: Mail, rulebook: Rulebook) -> Reading:
    if (kind := kind_by_outside(mail)) is not None:
        return read_aggregate(kind, mail)
    complaint = read_complaint(mail)
    if complaint is not None:
        return complaint
    if (report := read_passed_on(mail)) is not None:
        return _passed_on(report, rulebook)
    notice = Notice(mail)
    if (event := read_event(mail)) is not None:
        return _event_reading(*event, notice, rulebook)
    return _report(notice, rulebook) or Reading(_quiet(mail))


def _report(notice: Notice, rulebook: Rulebook) -> Reading | None:
    reading = _status_report(notice, rulebook) or _prose(notice, rulebook)
    if reading is None:
        return None
    return replace(reading, message_id=clean(notice.returned.get("message-id"), 500) or None)


def _passed_on(report: Mail, rulebook: Rulebook) -> Reading:
    """What a person handed over: as the report says, but by itself enough to suppress nobody.

    Believed only with the codes of a mail system; a mere sentence is what its sender writes about.
    """
    reading = _report(Notice(report), rulebook)
    if reading is None or not any(r.status or r.reply_code for r in reading.recipients):
        return Reading(Kind.NORMAL)
    return replace(reading, recipients=tuple(map(_without_suppression, reading.recipients)))


def _without_suppression(found: ReportedRecipient) -> ReportedRecipient:
    return replace(found, verdict=replace(found.verdict, suppress=False))


def _event_reading(
    kind: str, findings: list[Finding], feedback: str, notice: Notice, rulebook: Rulebook
) -> Reading:
    if kind == "complaint":
        complainers = (ReportedRecipient(f.address, f.action) for f in findings)
        return Reading(Kind.COMPLAINT, tuple(complainers), feedback_type=clean(feedback, 40))
    recipients = _judged(findings, rulebook, notice)
    return Reading(Kind.BOUNCE if kind == "bounce" else Kind.DELIVERED, recipients)


def _status_report(notice: Notice, rulebook: Rulebook) -> Reading | None:
    """A report with delivery-status fields, as a part or as lines of another part."""
    mail = notice.mail
    text = dsn.status_text(mail) or (dsn.stray_fields(mail) if is_from_system(mail) else "")
    if not text or is_passed_on(mail):
        return None
    report = dsn.read_report(text)
    findings = _completed([dsn.finding_of(group) for group in report.groups], notice)
    if not findings:
        return None
    if all(f.status.startswith("4.7") for f in findings) and autoreply.is_challenge(mail):
        return Reading(Kind.CHALLENGE)
    recipients = _judged(findings, rulebook, notice)
    return Reading(_kind_of(recipients), recipients, reporting_mta=clean(report.reporting_mta, 255))


def _completed(findings: list[Finding], notice: Notice) -> list[Finding]:
    """Findings with an address each: where a field held none, the notice may name it."""
    named = [finding for finding in findings if finding.address]
    open_ones = [finding for finding in findings if not finding.address]
    if named and not open_ones:
        return named
    known = {addresses.key(finding.address) for finding in named}
    rest = [f for f in notice.findings if addresses.key(f.address) not in known]
    for number, spare in enumerate(rest[: len(open_ones)] if named else rest):
        named.append(_merged(spare, open_ones[number] if number < len(open_ones) else None))
    target = only_target(notice)
    if named or not target:
        return named
    return [_merged(Finding(target), open_ones[0] if open_ones else None)]


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
    findings = _told(notice)
    if findings is None:
        return None
    waiting = _is_waiting(notice)
    recipients = _judged(
        (replace(f, action="delayed") if waiting else f for f in findings), rulebook, notice
    )
    if not recipients:
        return Reading(Kind.DELIVERED) if _is_good_news(notice) else _nameless(notice, rulebook)
    return Reading(_kind_of(recipients), recipients)


def _nameless(notice: Notice, rulebook: Rulebook) -> Reading:
    """A failure of somebody whom only the token knows.  Whole pages are judged here, with what is
    boilerplate in them, so it is never enough to stop writing."""
    action = "delayed" if _is_waiting(notice) else "failed"
    found = judge(Finding("", action=action), rulebook, notice)
    return Reading(_kind_of((found,)), (_without_suppression(found),))


def _told(notice: Notice) -> list[Finding] | None:
    """Who failed by the notice; [] for a failure that names nobody, None for other mail."""
    mail = notice.mail
    if is_passed_on(mail) or (not is_daemon(mail) and autoreply.is_challenge(mail)):
        return None
    findings = notice.findings if _speaks_of_failure(notice) else []
    if not is_from_system(mail):
        return findings if findings and _is_believed(notice) else None
    sure = is_surely_from_system(mail) and not (findings and _is_in_passing(notice))
    if not sure and not _is_borne_out(notice):
        return None
    if not findings and _is_good_news(notice):
        return [Finding(a, action="delivered") for a in addresses.find_all(notice.whole())[:20]]
    findings = findings or dialects.read(notice)
    if findings or not is_failure_notice(mail):
        return findings or None
    target = only_target(notice)
    return [Finding(target)] if target else notice.only_named


def _is_good_news(notice: Notice) -> bool:
    text = f"{notice.mail.headers.word('subject')[:300]}\n{notice.whole()[:4_000]}"
    return SUCCEEDED.search(text) is not None and FAILED.search(text) is None


def _is_in_passing(notice: Notice) -> bool:
    """Whether a sentence names somebody under a subject of something else: quotas, passwords."""
    headers = notice.mail.headers
    told = is_failure_notice(notice.mail) or "x-failed-recipients" in headers
    return not told and notice.trust <= Trust.SENTENCE


def _is_borne_out(notice: Notice) -> bool:
    """Whether more than the subject says that a mail system reports: parcels fail as well."""
    if notice.returned or has_null_path(notice.mail) or _opens_as_system(notice):
        return True
    if is_to_many(notice.mail):
        return False
    if notice.trust >= Trust.LABEL and is_called_mail_system(notice.mail):
        return True
    numbered = _NUMBERED.search(notice.mail.headers.word("subject")[:300]) is not None
    return notice.trust >= Trust.REPLY or (not numbered and _tells_reply(notice))


def _opens_as_system(notice: Notice) -> bool:
    """Whether it begins as mail systems do, and lists who failed."""
    return notice.trust >= Trust.REPLY and OPENING.search(notice.whole()[:400]) is not None


def _tells_reply(notice: Notice) -> bool:
    return any(reply_in(finding.words).code is not None for finding in notice.findings)


def _is_believed(notice: Notice) -> bool:
    """Whether a notice from a stranger is a mail system's: what else it brings must say so."""
    mail = notice.mail
    if autoreply.is_about_absence(mail):
        return False
    told = _tells_reply(notice)
    returned = bool(mail.returned) or (told and bool(notice.returned))
    if returned and is_from_robot(mail) and not autoreply.is_away(mail):
        return True
    if is_by_hand(mail):
        return False
    if is_to_many(mail):
        return False
    if _opens_as_system(notice):
        return True
    failed = {addresses.key(finding.address) for finding in notice.findings}
    came_back = not failed.isdisjoint(notice.targets)
    return came_back or (told and has_null_path(mail) and not is_answer(mail))


def _speaks_of_failure(notice: Notice) -> bool:
    headers = notice.mail.headers
    if "x-failed-recipients" in headers or (
        is_daemon(notice.mail) and is_failure_notice(notice.mail)
    ):
        return True
    return FAILED.search(f"{headers.word('subject')}\n{notice.text[:8_000]}") is not None


def _is_waiting(notice: Notice) -> bool:
    text = notice.whole()[:4_000]
    if WAITING.search(NO_LONGER.sub(" ", text)):
        return True
    subject = notice.mail.headers.word("subject")[:300]
    waits = DELAY_SUBJECT.search(subject) or QUEUED.search(text)
    return waits is not None and GIVEN_UP.search(text) is None


def _judged(
    findings: Iterable[Finding], rulebook: Rulebook, notice: Notice
) -> tuple[ReportedRecipient, ...]:
    unique = {(addresses.key(f.address), f.action): f for f in findings}
    found = with_original([*unique.values()], notice)
    return tuple(judge(finding, rulebook, notice) for finding in found)


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
    if autoreply.is_away(mail) or autoreply.is_help_desk(mail):
        return Kind.AUTOREPLY
    if _UNSUBSCRIBE.fullmatch(mail.headers.word("subject")[:100]):
        return Kind.UNSUBSCRIBE
    return Kind.NORMAL


def _token(mail: Mail, raw: bytes) -> str | None:
    """Our VERP local part: in the header, the fields, the returned mail, whichever has it."""
    if b"+" not in raw:
        return None
    texts = (p.text for p in mail.parts[:20] if p.type.startswith(("text/", "message/")))
    for text in (mail.headers.text, mail.returned.text, *texts):
        if "+" in text and (token := find_token(text)):
            return token
    return None

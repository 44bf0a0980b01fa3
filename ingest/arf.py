"""Feedback reports: somebody called a message spam, or its authentication failed.  RFC 5965, 6591.

Reads the shapes that providers send: redacted or missing recipients, a base64 report inside
multipart/mixed, field names in any case, the original at top level with Microsoft's
`X-HmXmrOriginalRecipient`, failure reports in plain text.  A recipient here is evidence only, often
a pseudonym; the returned mail's token says whose complaint it is.
"""

from __future__ import annotations

import re

from analysis.facts import Kind, Reading, ReportedRecipient
from analysis.reply import clean
from ingest import addresses
from ingest.dsn import untyped
from ingest.header_block import Headers
from ingest.mime import Mail

_ORIGINAL = (
    "x-hmxmroriginalrecipient",
    "x-original-rcpt-to",
    "x-originalrecipient",
    "x-apparently-to",
    "x-rcpt-to",
)
_JMRP = re.compile(r"complaint about message from", re.IGNORECASE)
_PLAIN_SUBJECT = re.compile(
    r"(?:dmarc|authentication|spf|dkim)[ -](?:failure|forensic|fail)\w*[ -](?:report|notification)"
    r"|(?:abuse|spam|feedback[ -]loop|fbl) (?:report|complaint)\b",
    re.IGNORECASE,
)
_PLAIN_DMARC = re.compile(
    r"failed the published DMARC policy|DMARC (?:Mechanism )?(?:Check )?Results?:"
)
_FIELD = re.compile(r"(?mi)^feedback-type\s{0,5}:")
_BARE = re.compile(
    r"(?:(?:user-agent|version)\s{0,5}:.{0,200}\n){0,2}feedback-type\s{0,5}:.{1,60}\n"
    r"(?:user-agent|version|original-|source-ip)",
    re.IGNORECASE,
)
_ADDRESS_LIST_CAP = 50


def feedback_headers(mail: Mail) -> Headers | None:
    """The report's fields, wherever they are; None where the mail is no feedback report."""
    part = mail.first("message/feedback-report")
    if part is not None:
        return Headers(part.text.strip("\n"))
    named = mail.parameters.get("report-type", "").lower() == "feedback-report"
    for part in mail.parts[:5]:
        if not part.is_message and b"eedback-" in part.body[:8_000]:
            text = part.text.strip("\n")
            if _BARE.match(text) or (named and _FIELD.search(text[:8_000])):
                return Headers(text)
    return Headers("") if named else None


def read_complaint(mail: Mail) -> Reading | None:
    """The complaint in the mail, None where there is none."""
    report = feedback_headers(mail)
    if report is not None:
        return _reading(mail, report)
    if _is_jmrp(mail) or "x-hmxmroriginalrecipient" in mail.returned:
        return _reading(mail, Headers("Feedback-Type: abuse"))
    if _is_plain(mail):
        return _reading(mail, Headers("Feedback-Type: auth-failure"))
    return None


def _is_jmrp(mail: Mail) -> bool:
    """Microsoft's programme, which sends the original itself, attached or with added fields."""
    if "x-hmxmroriginalrecipient" in mail.headers:
        return True
    sender = addresses.first(mail.headers.get("from")).lower()
    return _JMRP.match(mail.headers.word("subject")) is not None and sender.endswith(
        ("@hotmail.com", "@microsoft.com", "@outlook.com", "@live.com")
    )


def _is_plain(mail: Mail) -> bool:
    """A failure report for people, without a report part, as some Exim set-ups send."""
    subject = mail.headers.word("subject")
    if not _PLAIN_SUBJECT.search(subject) or subject.lower().startswith(("re:", "fwd:", "fw:")):
        return False
    return _PLAIN_DMARC.search(mail.notice[:8_000]) is not None


def _reading(mail: Mail, report: Headers) -> Reading:
    returned = mail.returned or mail.headers
    kind = (report.get("feedback-type") or "abuse").split(";")[0].strip().lower()
    return Reading(
        kind=Kind.COMPLAINT,
        recipients=tuple(
            ReportedRecipient(address=address, action="complained")
            for address in _complainers(report, returned)
        ),
        feedback_type=clean(kind, 40),
        message_id=clean(returned.get("message-id"), 500) or None,
        reporting_mta=clean(untyped(report.get("reporting-mta")), 255),
        extra=_extra(report),
    )


def _complainers(report: Headers, returned: Headers) -> list[str]:
    """Who complained, as far as the report says; the returned `To` only as a last resort."""
    named = [*report.all("original-rcpt-to"), *report.all("removal-recipient")]
    named = named[:_ADDRESS_LIST_CAP] or [returned.get(name) for name in _ORIGINAL]
    found = [address for value in named for address in [addresses.from_field(value)] if address]
    if not found:
        found = addresses.find_all(returned.get("to")[:2_000])[:1]
    return list({addresses.key(address): address for address in found}.values())


def _extra(report: Headers) -> dict[str, str]:
    names = {
        "source-ip": "source_ip",
        "arrival-date": "arrival_date",
        "received-date": "arrival_date",
        "user-agent": "user_agent",
        "original-mail-from": "mail_from",
        "original-envelope-id": "envelope_id",
        "reported-domain": "reported_domain",
        "auth-failure": "auth_failure",
    }
    return {key: clean(report.get(name), 300) for name, key in names.items() if name in report}

"""A gateway that wraps somebody else's bounce: the report comes as the attached message.

Content gateways (Trend Micro, Mirapoint behind it) send a notice of their own, often with an empty
list, and attach the bounce they were handed.  The attachment is believed only where it came from a
mail system itself, and is opened once: a bounce inside a bounce inside a bounce is nobody's report.
"""

from __future__ import annotations

from dataclasses import replace

from ingest import dsn
from ingest.finding import Finding
from ingest.mime import read_mime
from ingest.notice import Notice


def read(notice: Notice) -> list[Finding]:
    part = notice.mail.first("message/rfc822")
    if part is None or b"elivery-status" not in part.body[:200_000]:
        return []
    inner = read_mime(part.body)
    report = dsn.read_report(dsn.status_text(inner))
    if inner.parameters.get("report-type", "").lower() != "delivery-status":
        return []
    spare = Notice(inner).whole()
    findings = (dsn.finding_of(group) for group in report.groups)
    return [replace(f, spare=(*f.spare, spare)) for f in findings if f.address]

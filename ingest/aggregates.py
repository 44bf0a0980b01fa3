"""Reports known by their outside: DMARC aggregates, TLS reports, receipts of reading.

Recognised by content type, file name, field or subject alone; nothing is unpacked here, so a
compressed bomb costs no more than its name.
"""

from __future__ import annotations

import re

from analysis.facts import Kind
from ingest.mime import Mail, Part

_PACKED = ("zip", "xml", "octet-stream", "compress")
# RFC 7489 section 7.2.1.1, which RFC 8460 section 5.1 follows
_NAME = re.compile(r"[^!\s]{3,255}![^!\s]{3,255}!\d{9,11}!\d{9,11}", re.ASCII)
_SUBJECT = re.compile(r"report[ _]domain:.{1,300}submitter:", re.IGNORECASE | re.DOTALL)


def kind_by_outside(mail: Mail) -> Kind | None:
    """TLS_RPT, DMARC_AGGREGATE or MDN where the mail is one; None for all else."""
    report = mail.parameters.get("report-type", "").lower()
    types = {part.type for part in mail.parts}
    if report == "tlsrpt" or any(kind.startswith("application/tlsrpt") for kind in types):
        return Kind.TLS_RPT
    if report == "disposition-notification" or "message/disposition-notification" in types:
        return Kind.MDN
    named = [part.filename for part in mail.parts if _NAME.match(part.filename[:1_000])]
    if named:
        tls = "tls-report-domain" in mail.headers or any(".json" in name for name in named)
        return Kind.TLS_RPT if tls else Kind.DMARC_AGGREGATE
    if any(map(_is_packed, mail.parts)) and _SUBJECT.search(mail.headers.word("subject")[:600]):
        return Kind.DMARC_AGGREGATE
    return None


def _is_packed(part: Part) -> bool:
    return part.type.startswith(("application/", "text/xml")) and any(
        word in part.type for word in _PACKED
    )

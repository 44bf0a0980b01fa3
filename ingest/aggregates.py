"""Reports that are files: DMARC aggregates, TLS reports; and receipts of reading.

What they are is known by their outside: content type, file name, field, subject, or the first
octets of a file that is not packed.  Only then is the file unpacked, by `ingest.containers`, so a
compressed bomb under any other name costs no more than its name.

A report whose file cannot be read keeps its kind and says in `error` why; its raw mail is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from analysis.facts import Kind, Reading, Signing
from ingest import dmarc, tlsrpt
from ingest.containers import Unpackable, unpack
from ingest.dkim import signatures
from ingest.mime import Mail, Part

MOST_PARTS = 20
"""Parts of a mail in which the file is looked for."""

_PACKED = ("zip", "xml", "octet-stream", "compress")
# RFC 7489 section 7.2.1.1, which RFC 8460 section 5.1 follows
_NAME = re.compile(r"[^!\s]{3,255}![^!\s]{3,255}!\d{9,11}!\d{9,11}", re.ASCII)
_SUBJECT = re.compile(r"report[ _]domain:.{1,300}submitter:", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"([a-z0-9_.-]{1,253})", re.ASCII | re.IGNORECASE)
# one address, with a name before it or a comment behind it
_AUTHOR = re.compile(
    rf"(?:[^<>]{{0,500}}<)?[^<>@\s\"]{{1,100}}@{_HOST.pattern}>?(?:\s{{1,5}}\([^()<>@]{{0,200}}\))?",
    re.ASCII | re.IGNORECASE,
)
_READERS = {Kind.DMARC_AGGREGATE: dmarc, Kind.TLS_RPT: tlsrpt}


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
    return _kind_by_plain_file(mail)


def read_aggregate(kind: Kind, mail: Mail) -> Reading:
    """The reading of a mail of this kind, with what its file says where it has one."""
    reader = _READERS.get(kind)
    if reader is None:
        return Reading(kind)
    trouble = "no part of the mail holds a report"
    for part in _candidates(mail):
        try:
            for file in unpack(part.content):
                if reader.looks_like(file):
                    read = reader.read(file)
                    return Reading(kind, aggregate=read.report, error=read.trouble)
        except Unpackable as error:
            trouble = f"the attachment {error}"
        except (dmarc.Unreadable, tlsrpt.Unreadable) as error:
            trouble = str(error)
    return Reading(kind, error=trouble)


def signing_of(kind: Kind, mail: Mail, raw: bytes) -> Signing:
    """Who reports, and the signatures that may prove it (RFC 8460 section 5.3, RFC 7489 section
    7.2.1.1)."""
    submitter = _HOST.fullmatch(mail.headers.get("tls-report-submitter"))
    author = _AUTHOR.fullmatch(mail.headers.get("from")[:1_000])
    found = (kind is Kind.TLS_RPT and submitter) or author
    return Signing(found[1].lower().rstrip("."), signatures(raw)) if found else Signing()


def _kind_by_plain_file(mail: Mail) -> Kind | None:
    """XML and JSON that say themselves what they are, under any name; prose is not looked at."""
    for part in mail.parts[:MOST_PARTS]:
        if part.type in ("text/xml", "application/xml", "application/json"):
            if dmarc.looks_like(part.decoded):
                return Kind.DMARC_AGGREGATE
            if tlsrpt.looks_like(part.decoded):
                return Kind.TLS_RPT
    return None


def _candidates(mail: Mail) -> Iterator[Part]:
    """Files in front of texts: a text beside the file is for people."""
    parts = mail.parts[:MOST_PARTS]
    yield from (part for part in parts if not part.type.startswith("text/") or part.filename)
    yield from (part for part in parts if part.type.startswith("text/") and not part.filename)


def _is_packed(part: Part) -> bool:
    return part.type.startswith(("application/", "text/xml")) and any(
        word in part.type for word in _PACKED
    )

"""Aggregate reports as receivers write them: XML, JSON, packed, in a mail.

report = dmarc_report(dmarc_row("192.0.2.1"))
mail(packed(dmarc_xml(report), "gzip"), kind="application/gzip", name="a!b.xml.gz")
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from analysis.aggregate import (
    SUCCESS,
    AuthResult,
    DmarcAggregate,
    DmarcRow,
    Origin,
    TlsAggregate,
    TlsRow,
)
from tests.storing import NOW

DAY = 86_400.0
BEGIN = NOW // DAY * DAY - DAY
OLD = "http://dmarc.org/dmarc-xml/0.1"  # RFC 7489
NEW = "urn:ietf:params:xml:ns:dmarc-2.0"  # RFC 9990


def origin(**other: Any) -> Origin:
    given: dict[str, Any] = {
        "organisation": "mail.example.net",
        "contact": "dmarc@example.net",
        "report_id": "r-1",
        "begin": BEGIN,
        "end": BEGIN + DAY - 1,
    }
    return Origin(**(given | other))


def dmarc_row(source: str = "192.0.2.1", messages: int = 1, **other: Any) -> DmarcRow:
    given: dict[str, Any] = {
        "disposition": "none",
        "dkim": True,
        "spf": True,
        "header_from": "example.com",
        "envelope_from": "bounces.example.com",
        "checks": (
            AuthResult("dkim", "example.com", "pass", "carom"),
            AuthResult("spf", "bounces.example.com", "pass"),
        ),
    }
    return DmarcRow(source, messages, **(given | other))


def stranger(source: str = "203.0.113.9", messages: int = 7, **other: Any) -> DmarcRow:
    """Somebody who writes as us and proves nothing."""
    given: dict[str, Any] = {"dkim": False, "spf": False, "disposition": "quarantine", "checks": ()}
    return dmarc_row(source, messages, **(given | other))


def dmarc_report(*rows: DmarcRow, domain: str = "example.com", **other: Any) -> DmarcAggregate:
    return DmarcAggregate(origin(**other), domain, "none", rows or (dmarc_row(),))


def tls_report(*rows: TlsRow, **other: Any) -> TlsAggregate:
    rows = rows or (TlsRow("bounces.example.com", "sts", SUCCESS, 12),)
    return TlsAggregate(origin(**other), rows)


def dmarc_xml(report: DmarcAggregate, namespace: str = "", encoding: str = "utf-8") -> bytes:
    about = report.origin
    head = _xml(
        "report_metadata",
        _leaf("org_name", about.organisation)
        + _leaf("email", about.contact)
        + _leaf("report_id", about.report_id)
        + _xml("date_range", _leaf("begin", int(about.begin)) + _leaf("end", int(about.end))),
    )
    policy = _xml("policy_published", _leaf("domain", report.domain) + _leaf("p", report.policy))
    space = f' xmlns="{namespace}"' if namespace else ""
    body = head + policy + "".join(map(_record, report.rows))
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n<feedback{space}>{body}</feedback>\n'
    return text.encode(encoding)


def _record(row: DmarcRow) -> str:
    evaluated = (
        _leaf("disposition", row.disposition)
        + _leaf("dkim", "pass" if row.dkim else "fail")
        + _leaf("spf", "pass" if row.spf else "fail")
        + "".join(_xml("reason", _leaf("type", reason)) for reason in row.reasons)
    )
    identifiers = _leaf("header_from", row.header_from)
    if row.envelope_from:
        identifiers += _leaf("envelope_from", row.envelope_from)
    return _xml(
        "record",
        _xml(
            "row",
            _leaf("source_ip", row.source)
            + _leaf("count", row.messages)
            + _xml("policy_evaluated", evaluated),
        )
        + _xml("identifiers", identifiers)
        + _xml("auth_results", "".join(map(_check, row.checks))),
    )


def _check(check: AuthResult) -> str:
    selector = _leaf("selector", check.selector) if check.selector else ""
    return _xml(
        check.method, _leaf("domain", check.domain) + selector + _leaf("result", check.result)
    )


def _xml(name: str, inner: str) -> str:
    return f"<{name}>{inner}</{name}>"


def _leaf(name: str, text: object) -> str:
    return _xml(name, escape(str(text)))


def tls_json(report: TlsAggregate) -> bytes:
    about = report.origin
    return json.dumps(
        {
            "organization-name": about.organisation,
            "date-range": {"start-datetime": _iso(about.begin), "end-datetime": _iso(about.end)},
            "contact-info": about.contact,
            "report-id": about.report_id,
            "policies": list(_policies(report.rows)),
        }
    ).encode()


def _policies(rows: Iterable[TlsRow]) -> Iterable[dict[str, Any]]:
    by: dict[tuple[str, str], list[TlsRow]] = {}
    for row in rows:
        by.setdefault((row.domain, row.policy), []).append(row)
    for (domain, policy), theirs in by.items():
        failed = [row for row in theirs if row.result != SUCCESS]
        yield {
            "policy": {"policy-type": policy, "policy-domain": domain},
            "summary": {
                "total-successful-session-count": sum(
                    row.sessions for row in theirs if row.result == SUCCESS
                ),
                "total-failure-session-count": sum(row.sessions for row in failed),
            },
            "failure-details": [
                {
                    "result-type": row.result,
                    "receiving-mx-hostname": row.mx,
                    "sending-mta-ip": row.sender,
                    "failed-session-count": row.sessions,
                    "failure-reason-code": row.reason,
                }
                for row in failed
            ],
        }


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def packed(data: bytes, how: str, name: str = "report.xml") -> bytes:
    """`data` as a gzip, a zip, or as it is."""
    if how == "gzip":
        return gzip.compress(data, mtime=0)
    if how == "zip":
        return zipped({name: data})
    return data


def zipped(files: dict[str, bytes], **options: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


DMARC_NAME = "mail.example.net!example.com!1799971200!1800057599"


def mail(
    content: bytes,
    *,
    kind: str = "application/gzip",
    name: str = f"{DMARC_NAME}.xml.gz",
    subject: str = "Report Domain: example.com Submitter: mail.example.net Report-ID: <r-1>",
    multipart: str = "multipart/mixed",
    to: str = "dmarc-reports@bounces.example.com",
) -> bytes:
    """A mail with one file beside a text, or `multipart=""`: the file alone."""
    named = f'; name="{name}"' if name else ""
    head = f"From: dmarc@example.net\r\nTo: {to}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
    part = f"Content-Type: {kind}{named}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    body = base64.encodebytes(content).replace(b"\n", b"\r\n")
    if not multipart:
        return (head + part).encode() + body
    text = "--=_e\r\nContent-Type: text/plain\r\n\r\nA report for you.\r\n--=_e\r\n"
    return (
        f'{head}Content-Type: {multipart}; boundary="=_e"\r\n\r\n{text}{part}'.encode()
        + body
        + b"--=_e--\r\n"
    )


def tls_mail(content: bytes, **other: Any) -> bytes:
    """A mail as RFC 8460 section 5.3 wants it."""
    given = {
        "kind": "application/tlsrpt+gzip",
        "name": f"{DMARC_NAME}.json.gz",
        "multipart": 'multipart/report; report-type="tlsrpt"',
        "to": "tls-reports@bounces.example.com",
    }
    return mail(content, **(given | other))


def plain_mail(content: bytes, kind: str) -> bytes:
    """A mail that is the file itself, neither packed nor encoded."""
    head = mail(b"", kind=kind, name="", multipart="").partition(b"Content-Transfer")[0]
    return head + b"\r\n" + content

"""The TLS report as a file and as a mail: JSON of RFC 8460 section 4, packed, addressed.

Pure: the same arguments give the same report id, so that a receiver that gets a report twice counts
it once.  Session counts only; which of our addresses talked is not kept, and so not told.
"""

from __future__ import annotations

import base64
import gzip
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import orjson

from analysis.address import Address
from sender.mta_sts import Policy
from sender.tls_report import DAY, Failing, Kind, Row

MOST_FAILURES = 500
"""Details of one policy; the summary counts them all."""

_BOUNDARY = "=_tls-report"


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who reports."""

    organisation: str
    submitter: str  # domain, of the DKIM signature too
    contact: str  # address, in From


def content(
    reporter: Reporter, domain: str, day: int, rows: Mapping[Row, int], policy: Policy | None
) -> bytes:
    """The JSON of a day, packed.  `policy` is the domain's MTA-STS policy, where it has one."""
    by_kind: dict[Kind, dict[Row, int]] = defaultdict(dict)
    for row, sessions in rows.items():
        by_kind[row.kind][row] = sessions
    report = {
        "organization-name": reporter.organisation,
        "date-range": {
            "start-datetime": _instant(day * DAY),
            "end-datetime": _instant((day + 1) * DAY - 1),
        },
        "contact-info": reporter.contact,
        "report-id": report_id(reporter, domain, day),
        "policies": [
            _policy(domain, kind, by_kind[kind], policy) for kind in Kind if kind in by_kind
        ],
    }
    return gzip.compress(orjson.dumps(report), mtime=0)


def report_id(reporter: Reporter, domain: str, day: int) -> str:
    digest = sha256(f"{reporter.submitter}|{domain}|{day}".encode()).hexdigest()[:16]
    return f"{_instant(day * DAY)[:10]}.{digest}@{reporter.submitter}"


def mail(reporter: Reporter, domain: str, day: int, to: Sequence[Address], packed: bytes) -> bytes:
    """The message around it: RFC 8460 section 5.3, ready but for Date and Message-ID."""
    name = f"{reporter.submitter}!{domain}!{int(day * DAY)}!{int((day + 1) * DAY) - 1}.json.gz"
    which = report_id(reporter, domain, day)
    file = base64.encodebytes(packed).decode().replace("\n", "\r\n")
    lines = (
        f"From: <{reporter.contact}>",
        "To: " + ",\r\n ".join(f"<{address.wire}>" for address in to),
        (
            f"Subject: Report Domain: {domain}\r\n Submitter: {reporter.submitter}\r\n"
            f" Report-ID: <{which}>"
        ),
        f"TLS-Report-Domain: {domain}",
        f"TLS-Report-Submitter: {reporter.submitter}",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type="tlsrpt";\r\n boundary="{_BOUNDARY}"',
        "",
        f"--{_BOUNDARY}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"What came of TLS with {domain} on {_instant(day * DAY)[:10]} (UTC), as RFC 8460 has it.",
        f"Sent by {reporter.submitter}; questions to {reporter.contact}.",
        "",
        f"--{_BOUNDARY}",
        "Content-Type: application/tlsrpt+gzip",
        "Content-Transfer-Encoding: base64",
        f'Content-Disposition: attachment;\r\n filename="{name}"',
        "",
        f"{file}--{_BOUNDARY}--",
        "",
    )
    return "\r\n".join(lines).encode()


def _policy(
    domain: str, kind: Kind, rows: Mapping[Row, int], policy: Policy | None
) -> dict[str, Any]:
    failed = sorted(
        ((row, sessions) for row, sessions in rows.items() if row.result is not Failing.OK),
        key=lambda one: (-one[1], one[0].result, one[0].mx),
    )
    good = sum(sessions for row, sessions in rows.items() if row.result is Failing.OK)
    named: dict[str, Any] = {"policy-type": kind.value, "policy-domain": domain}
    if kind is Kind.STS and policy is not None:
        named["policy-string"] = _lines(policy)
        named["mx-host"] = list(policy.mx)
    return {
        "policy": named,
        "summary": {
            "total-successful-session-count": good,
            "total-failure-session-count": sum(sessions for _, sessions in failed),
        },
        "failure-details": [_failure(*one) for one in failed[:MOST_FAILURES]],
    }


def _lines(policy: Policy) -> list[str]:
    """The policy as its file has it: RFC 8461 section 3.2."""
    hosts = [f"mx: {pattern}" for pattern in policy.mx]
    return ["version: STSv1", f"mode: {policy.mode.value}", *hosts, f"max_age: {policy.max_age}"]


def _failure(row: Row, sessions: int) -> dict[str, Any]:
    host = {"receiving-mx-hostname": row.mx} if row.mx else {}
    return {"result-type": row.result.value, **host, "failed-session-count": sessions}


def _instant(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""TLS reports: JSON in, facts out.  RFC 8460 section 4.

`read` raises `Unreadable` with the reason, for people.  Policies, failures and texts beyond the
limits are left out and said so; a count that is none is no fact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from itertools import islice
from typing import Any

import orjson

from analysis.aggregate import OTHER, SUCCESS, TLS_RESULTS, Origin, TlsAggregate, TlsRow
from analysis.reply import clean

MOST_POLICIES = 200
MOST_DETAILS = 1_000
"""Failures of one policy."""
MOST_ROWS = 5_000
MOST_COUNT = 2_000_000_000

_POLICIES = frozenset({"tlsa", "sts", "no-policy-found"})
_RESULTS = frozenset(TLS_RESULTS) - {SUCCESS, OTHER}

Json = dict[str, Any]


class Unreadable(ValueError):
    """It is no TLS report that can be counted."""


@dataclass(frozen=True, slots=True)
class Read:
    report: TlsAggregate
    trouble: str | None  # what was left out, for people


def read(data: bytes) -> Read:
    """Read one JSON file; `Unreadable` where it is none or lacks what counts."""
    try:
        found = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise Unreadable(f"the JSON is broken: {clean(str(error), 80)}") from error
    if not isinstance(found, dict) or not isinstance(found.get("policies"), list):
        raise Unreadable("the JSON is no TLS report: it has no list of policies")
    span = _object(found.get("date-range"))
    begin, end = _time(span.get("start-datetime")), _time(span.get("end-datetime"))
    organisation, report_id = _text(found, "organization-name"), _text(found, "report-id")
    contact = _text(found, "contact-info")
    if begin is None or end is None:
        raise Unreadable("the report does not say which time it covers")
    if not (organisation or contact) or not report_id:
        raise Unreadable("the report does not say whose it is, or which")
    policies = [_object(one) for one in found["policies"][:MOST_POLICIES]]
    each = (row for policy in policies for row in _rows(policy))
    rows = list(islice(each, MOST_ROWS + 1))
    cut = len(found["policies"]) > MOST_POLICIES or len(rows) > MOST_ROWS
    return Read(
        TlsAggregate(
            Origin(organisation or contact, contact, report_id, begin, end),
            tuple(rows[:MOST_ROWS]),
        ),
        f"only the first {MOST_ROWS} results were counted" if cut else None,
    )


def looks_like(data: bytes) -> bool:
    """Whether a file begins as a TLS report does."""
    head = data[:4_000].lstrip()
    keys = (b'"organization-name"', b'"date-range"', b'"report-id"', b'"policies"')
    return head.startswith(b"{") and sum(key in head for key in keys) >= 2


def _rows(entry: Json) -> Iterator[TlsRow]:
    """What went well in one row, then the failures.

    Those that the details do not account for are a failure of no known kind: the summary counts.
    """
    policy, summary = _object(entry.get("policy")), _object(entry.get("summary"))
    domain = _text(policy, "policy-domain").lower().rstrip(".")
    kind = _text(policy, "policy-type").lower()
    kind = kind if kind in _POLICIES else "no-policy-found"
    if good := _count(summary.get("total-successful-session-count")):
        yield TlsRow(domain, kind, SUCCESS, good)
    left = _count(summary.get("total-failure-session-count"))
    details = entry.get("failure-details")
    for detail in details[:MOST_DETAILS] if isinstance(details, list) else ():
        one = _object(detail)
        sessions = min(left, _count(one.get("failed-session-count")))
        left -= sessions
        if sessions:
            result = _text(one, "result-type").lower()
            yield TlsRow(
                domain,
                kind,
                result if result in _RESULTS else OTHER,
                sessions,
                _text(one, "receiving-mx-hostname").lower(),
                _address(_text(one, "sending-mta-ip")),
                _text(one, "failure-reason-code") or _text(one, "failure-error-code"),
            )
    if left:
        yield TlsRow(domain, kind, OTHER, left)


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _text(found: Json, name: str) -> str:
    value = found.get(name)
    return clean(value, 255) if isinstance(value, str) else ""


def _count(value: object) -> int:
    """RFC 8460 section 4.4 wants a number; some write it as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 10:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return min(max(value, 0), MOST_COUNT)


def _time(value: object) -> float | None:
    """RFC 3339 to Unix seconds; without an offset it is UTC."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        at = datetime.fromisoformat(value.strip())
        return (at if at.tzinfo else datetime.fromisoformat(f"{value.strip()}+00:00")).timestamp()
    except (ValueError, OverflowError):
        return None


def _address(text: str) -> str:
    try:
        return str(ip_address(text)).partition("%")[0]
    except ValueError:
        return ""

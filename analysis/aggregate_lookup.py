"""What aggregate reports say, added up: alignment by source, TLS by policy, who uses our domain.

Plain sums of the rows in a span; a row belongs to the time its report ends.  A report that is left
out (`analysis.aggregate_precedence`) has no rows.  Ratios come with what
they are of, and are None of nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, false, func, or_, select

from analysis.aggregate import SUCCESS, Outcome
from analysis.alignment import DAY, Proof
from analysis.facts import Kind
from analysis.lookup import iso
from analysis.schema import aggregate_reports, dmarc_rows, dmarc_sources, tls_rows

Json = dict[str, Any]

LATELY = 7 * DAY
MOST_UNKNOWN = 100
"""Unknown senders named in one answer, the busiest."""
MOST_FAILURES = 100
_MOST_NAMES = 5

_d, _t, _a = dmarc_rows.c, tls_rows.c, aggregate_reports.c
_UNKNOWN = _d.proof == Proof.NONE.value
_SIGNED = func.coalesce(_a.signed_by, "") != ""


@dataclass(frozen=True, slots=True)
class Span:
    """`since <= t < until` in Unix seconds, of one domain and those below it where one is named."""

    since: float
    until: float
    domain: str | None = None

    def of(self, at: ColumnElement[float], domain: ColumnElement[str]) -> ColumnElement[bool]:
        where = and_(at >= self.since, at < self.until)
        if self.domain is None:
            return where
        below = domain.endswith(f".{self.domain}", autoescape=True)
        return and_(where, or_(domain == self.domain, below))


def unknown_sources(tx: Connection, now: float) -> int:
    """Addresses that used our domains lately and are not ours."""
    lately = dmarc_sources.c.unknown_at >= now - LATELY
    counted = select(func.count()).select_from(dmarc_sources).where(lately, ~dmarc_sources.c.ours)
    return int(tx.execute(counted).scalar_one())


def dmarc_summary(tx: Connection, span: Span) -> Json:
    """Messages by what aligned, of all sources, of ours and of unknown ones."""
    where = span.of(_d.day_at, _d.header_from)
    rows = tx.execute(
        select(_UNKNOWN.label("unknown"), _d.outcome, func.sum(_d.messages).label("messages"))
        .where(where)
        .group_by("unknown", _d.outcome)
    )
    counts: dict[bool, dict[str, int]] = {False: {}, True: {}}
    for unknown, outcome, messages in rows:
        counts[bool(unknown)][outcome] = int(messages)
    both = {name.value: sum(c.get(name.value, 0) for c in counts.values()) for name in Outcome}
    reports = tx.execute(select(func.count(_d.report_id.distinct())).where(where)).scalar_one()
    return {
        "reports": int(reports),
        **_standings(tx, span),
        "all": alignment(both),
        "ours": alignment(counts[False]),
        "unknown": alignment(counts[True]),
    }


def _standings(tx: Connection, span: Span) -> Json:
    """Reports that nobody signed and count all the same, and those that are left out."""
    of_dmarc = _a.kind == Kind.DMARC_AGGREGATE.value, span.of(_a.end_at, _a.domain)
    by = select(_a.counted, func.count()).where(*of_dmarc, ~_SIGNED).group_by(_a.counted)
    counted = {bool(row[0]): int(row[1]) for row in tx.execute(by)}
    return {"unsigned_reports": counted.get(True, 0), "left_out_reports": counted.get(False, 0)}


def alignment(outcomes: dict[str, int]) -> Json:
    """Counts by outcome, and how much passes DMARC: RFC 7489 section 4.2 wants one of the two."""
    counts = {name.value: int(outcomes.get(name.value, 0) or 0) for name in Outcome}
    messages = sum(counts.values())
    passed = messages - counts[Outcome.FAILED.value]
    return {
        "messages": messages,
        **counts,
        "passed": passed,
        "passed_ratio": round(passed / messages, 6) if messages else None,
    }


def dmarc_sources_page(
    tx: Connection, span: Span, after: tuple[int, str] | None, limit: int
) -> list[Json]:
    """Sources, the busiest first; `after` is the last one's messages and address."""
    total = func.sum(_d.messages)
    query = _by_source(span).order_by(total.desc(), _d.source).limit(limit)
    if after is not None:
        messages, source = after
        later = or_(total < messages, and_(total == messages, _d.source > source))
        query = query.having(later)
    return [_source(row) for row in tx.execute(query)]


def unknown_senders(tx: Connection, span: Span) -> list[Json]:
    """Who uses our domain and is not us, the busiest first."""
    busiest = func.sum(_d.messages).desc()
    query = _by_source(span).where(_UNKNOWN).order_by(busiest, _d.source).limit(MOST_UNKNOWN)
    rows = list(tx.execute(query))
    names = _names(tx, span, [row.source for row in rows])
    return [{**_source(row), **names[row.source]} for row in rows]


def _by_source(span: Span) -> Select[Any]:
    by_outcome = [
        func.sum(case((_d.outcome == name.value, _d.messages), else_=0)).label(name.value)
        for name in Outcome
    ]
    return (
        select(
            _d.source,
            func.max(_d.day_at).label("last_at"),
            func.min(_d.day_at).label("first_at"),
            func.sum(case((_UNKNOWN, _d.messages), else_=0)).label("unknown"),
            func.max(_d.proof).label("proof"),
            *by_outcome,
        )
        .where(span.of(_d.day_at, _d.header_from))
        .group_by(_d.source)
    )


def _source(row: Any) -> Json:
    outcomes = alignment({name.value: getattr(row, name.value) for name in Outcome})
    return {
        "source": row.source,
        "ours": int(row.unknown) < outcomes["messages"],
        "proof": row.proof or None,
        **outcomes,
        "first_seen": iso(row.first_at),
        "last_seen": iso(row.last_at),
    }


def _names(tx: Connection, span: Span, sources: Sequence[str]) -> dict[str, Json]:
    """From which domains unknown sources write, who says so, and what became of the mail."""
    found: dict[str, dict[str, set[str]]] = {
        source: {
            "header_from": set(),
            "reported_by": set(),
            "signed_by": set(),
            "dispositions": set(),
        }
        for source in sources
    }
    rows = tx.execute(
        select(_d.source, _d.header_from, _d.disposition, _a.organisation, _a.signed_by)
        .join(aggregate_reports, _a.id == _d.report_id)
        .where(
            span.of(_d.day_at, _d.header_from),
            _UNKNOWN,
            _d.source.in_(sources) if sources else false(),
        )
        .distinct()
        .limit(5_000)
    )
    for source, header_from, disposition, organisation, signed_by in rows:
        found[source]["header_from"].add(header_from)
        found[source]["dispositions"].add(disposition)
        found[source]["reported_by"].add(organisation)
        found[source]["signed_by"] |= {signed_by} if signed_by else set()
    return {
        source: {name: sorted(values)[:_MOST_NAMES] for name, values in names.items()}
        for source, names in found.items()
    }


def tls_summary(tx: Connection, span: Span) -> Json:
    """Sessions to us as others saw them: by result, by policy, and what failed where."""
    where = span.of(_t.day_at, _t.domain)
    sessions, last = func.sum(_t.sessions), func.max(_t.day_at)
    grouped = (
        select(_t.domain, _t.policy, _t.result, _t.mx, sessions, last, func.max(_t.reason))
        .where(where, _t.result != SUCCESS)
        .group_by(_t.domain, _t.policy, _t.result, _t.mx)
        .order_by(sessions.desc())
        .limit(MOST_FAILURES)
    )
    totals: dict[str, dict[str, int]] = defaultdict(dict)
    by = select(_t.policy, _t.result, sessions).where(where).group_by(_t.policy, _t.result)
    for policy, result, count in tx.execute(by):
        totals[policy][result] = int(count)
    results: dict[str, int] = defaultdict(int)
    for counts in totals.values():
        for result, count in counts.items():
            results[result] += count
    return {
        **_sessions(results),
        "policies": [{"policy": name, **_sessions(totals[name])} for name in sorted(totals)],
        "failures": [
            {
                "domain": domain,
                "policy": policy,
                "result": result,
                "mx": mx or None,
                "sessions": int(count),
                "last_seen": iso(at),
                "reason": reason or None,
            }
            for domain, policy, result, mx, count, at, reason in tx.execute(grouped)
        ],
    }


def _sessions(results: dict[str, int]) -> Json:
    total, good = sum(results.values()), results.get(SUCCESS, 0)
    return {
        "sessions": total,
        "successful": good,
        "successful_ratio": round(good / total, 6) if total else None,
        "results": dict(sorted(results.items())),
    }


def reports_page(
    tx: Connection, kind: Kind, span: Span, after: str | None, limit: int
) -> list[Json]:
    """Reports of a kind, the newest first; `after` is the last one's id."""
    query = (
        select(aggregate_reports)
        .where(_a.kind == kind.value, span.of(_a.end_at, _a.domain))
        .order_by(_a.id.desc())
        .limit(limit)
    )
    if after is not None:
        query = query.where(_a.id < after)
    return [
        {
            "id": row.id,
            "organisation": row.organisation,
            "contact": row.contact,
            "report_id": row.report_id,
            "domain": row.domain,
            "begin": iso(row.begin_at),
            "end": iso(row.end_at),
            "received": iso(row.received_at),
            "total": int(row.total),
            "signed_by": row.signed_by or None,
            "counted": bool(row.counted),
        }
        for row in tx.execute(query)
    ]

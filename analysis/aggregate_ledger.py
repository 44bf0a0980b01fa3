"""Aggregate reports in the tables: each counted once, however often it comes.

Identity of a report: organisation, report id, domains; not the mail, which a receiver may send to
two of our addresses or again.  A report that `analysis.alignment` finds worth nothing changes
nothing but the note on its raw mail.  A source that is not ours is announced once a day.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from analysis.aggregate import Aggregate, DmarcAggregate, DmarcRow, TlsAggregate
from analysis.alignment import DAY, Ours, Proof, worth
from analysis.events import announce, event
from analysis.facts import Arrival
from analysis.schema import (
    aggregate_reports,
    dmarc_rows,
    dmarc_sources,
    raw_inbound,
    tls_rows,
)
from analysis.store import IN_LIMIT, chunks, insert_once, upsert

PURPOSES = frozenset({"dmarc", "tls", "postmaster"})
"""Addresses of ours at which reports count."""
MOST_REPORTS = 5_000
"""Counted in a day (UTC): the world has fewer reporters, and anybody can make up more."""
KNOWN_FOR = 90 * DAY
"""A source that sent our mail is taken for ours so long; addresses change hands."""
MOST_ANNOUNCED = 20
"""Unknown sources told of for one report, the busiest: a forged report floods nobody."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What came of one report, for metrics and logs."""

    raw_id: str
    refused: str = ""  # why it counts for nothing
    messages: Mapping[tuple[str, str], int] = field(default_factory=dict)  # outcome, ours|unknown
    sessions: Mapping[str, int] = field(default_factory=dict)  # by result
    unknown: int = 0  # sources announced


@dataclass(frozen=True, slots=True)
class AggregateLedger:
    """`heard` is told of every report that was new, after its COMMIT; `ours` is asked when one is
    there, since most nodes never see any and the public suffix list is large."""

    ours: Callable[[], Ours]
    new_id: Callable[[], str]
    heard: Callable[[Noted], None]

    def enter(self, tx: Connection, arrivals: Sequence[Arrival], now: float) -> list[Noted]:
        """Count the reports among `arrivals`; a second copy of one gives nothing."""
        found = (self._enter(tx, one, now) for one in arrivals if one.purpose in PURPOSES)
        return [noted for noted in found if noted is not None]

    def _enter(self, tx: Connection, arrival: Arrival, now: float) -> Noted | None:
        if arrival.reading.aggregate is None:
            return None
        report = worth(arrival.reading.aggregate, self.ours(), now)
        if not isinstance(report, str) and _full(tx, now):
            report = f"more than {MOST_REPORTS} reports came today"
        if isinstance(report, str):
            _note(tx, arrival, report)
            return Noted(arrival.raw_id, refused=report)
        row = _report_row(report, arrival, self.new_id())
        if not insert_once(tx, aggregate_reports, [row], returning="id"):
            return None
        if isinstance(report, TlsAggregate):
            return self._tls(tx, report, row["id"], arrival)
        return self._dmarc(tx, report, row["id"], arrival, now)

    def _tls(self, tx: Connection, report: TlsAggregate, key: str, arrival: Arrival) -> Noted:
        sessions: Counter[str] = Counter()
        rows = []
        for number, row in enumerate(report.rows):
            sessions[row.result] += row.sessions
            rows.append(
                {
                    "report_id": key,
                    "number": number,
                    "day_at": report.origin.end,
                    "domain": row.domain,
                    "policy": row.policy,
                    "result": row.result,
                    "sessions": row.sessions,
                    "mx": row.mx,
                    "sender": row.sender,
                    "reason": row.reason,
                }
            )
        _insert(tx, tls_rows, rows)
        return Noted(arrival.raw_id, sessions=sessions)

    def _dmarc(
        self, tx: Connection, report: DmarcAggregate, key: str, arrival: Arrival, now: float
    ) -> Noted:
        known = _known(tx, sorted({row.source for row in report.rows}), now)
        ours = self.ours()
        judged = [(row, ours.proof_of(row, known)) for row in report.rows]
        messages: Counter[tuple[str, str]] = Counter()
        for row, proof in judged:
            messages[row.outcome.value, "ours" if proof else "unknown"] += row.messages
        rows = [_dmarc_row(report, key, number, *each) for number, each in enumerate(judged)]
        _insert(tx, dmarc_rows, rows)
        return Noted(
            arrival.raw_id, messages=messages, unknown=_note_sources(tx, report, judged, now)
        )


def forget(tx: Connection, before: float, most: int) -> int:
    """Take out at most `most` reports that ended before a time, with their rows; how many."""
    old = select(aggregate_reports.c.id).where(aggregate_reports.c.end_at < before).limit(most)
    ids = list(tx.execute(old).scalars())
    for chunk in chunks(ids, IN_LIMIT):
        for table, column in (
            (dmarc_rows, dmarc_rows.c.report_id),
            (tls_rows, tls_rows.c.report_id),
            (aggregate_reports, aggregate_reports.c.id),
        ):
            tx.execute(table.delete().where(column.in_(chunk)))
    gone = tx.execute(dmarc_sources.delete().where(dmarc_sources.c.last_at < before))
    return len(ids) + max(0, gone.rowcount)


def _full(tx: Connection, now: float) -> bool:
    today = aggregate_reports.c.received_at >= now // DAY * DAY
    counted = select(func.count()).select_from(aggregate_reports).where(today)
    return bool(tx.execute(counted).scalar_one() >= MOST_REPORTS)


def _note(tx: Connection, arrival: Arrival, why: str) -> None:
    tx.execute(
        update(raw_inbound)
        .where(raw_inbound.c.id == arrival.raw_id)
        .values(error=f"not counted: {why}")
    )


def _report_row(report: Aggregate, arrival: Arrival, key: str) -> dict[str, Any]:
    origin = report.origin
    if isinstance(report, DmarcAggregate):
        domains, policy = [report.domain], report.policy
        total = sum(row.messages for row in report.rows)
    else:
        domains, policy = sorted({row.domain for row in report.rows}), ""
        total = sum(row.sessions for row in report.rows)
    kind = arrival.reading.kind.value
    names = [kind, origin.organisation.casefold(), origin.report_id, *domains]
    return {
        "id": key,
        "raw_id": arrival.raw_id,
        "kind": kind,
        "identity": hashlib.sha256("\0".join(names).encode()).digest(),
        "received_at": arrival.received_at,
        "organisation": origin.organisation,
        "contact": origin.contact,
        "report_id": origin.report_id,
        "domain": domains[0],
        "policy": policy,
        "begin_at": origin.begin,
        "end_at": origin.end,
        "total": total,
    }


def _dmarc_row(
    report: DmarcAggregate, key: str, number: int, row: DmarcRow, proof: Proof
) -> dict[str, Any]:
    return {
        "report_id": key,
        "number": number,
        "day_at": report.origin.end,
        "source": row.source,
        "messages": row.messages,
        "disposition": row.disposition,
        "dkim": row.dkim,
        "spf": row.spf,
        "outcome": row.outcome.value,
        "proof": proof.value,
        "header_from": row.header_from,
        "envelope_from": row.envelope_from,
        "checks": [[c.method, c.domain, c.selector, c.result] for c in row.checks],
        "reasons": list(row.reasons),
    }


def _insert(tx: Connection, table: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        tx.execute(insert(table), rows)


def _known(tx: Connection, sources: list[str], now: float) -> set[str]:
    """Those of `sources` that have sent mail under our return path lately."""
    known: set[str] = set()
    for chunk in chunks(sources, IN_LIMIT):
        known |= set(
            tx.execute(
                select(dmarc_sources.c.source).where(
                    dmarc_sources.c.source.in_(chunk),
                    dmarc_sources.c.ours,
                    dmarc_sources.c.last_at > now - KNOWN_FOR,
                )
            ).scalars()
        )
    return known


def _note_sources(
    tx: Connection, report: DmarcAggregate, judged: Sequence[tuple[DmarcRow, Proof]], now: float
) -> int:
    """Remember every source; announce those that are unknown and were not announced today."""
    end, today = report.origin.end, int(now // DAY)
    lasting = {row.source for row, proof in judged if proof in (Proof.SETTINGS, Proof.SPF)}
    counts = Counter[str]()
    for row, proof in judged:
        counts[row.source] += 0 if proof else row.messages
    before = _locked(tx, sorted(counts), end)
    fresh = [
        source
        for source, messages in counts.most_common()
        if messages and not before[source].ours and before[source].announced_day != today
    ][:MOST_ANNOUNCED]
    upsert(
        tx,
        dmarc_sources,
        [
            {
                "source": source,
                "ours": row.ours or source in lasting,
                "first_at": min(row.first_at, end),
                "last_at": max(row.last_at, end),
                "unknown_at": max(row.unknown_at or 0.0, end) if counts[source] else row.unknown_at,
                "announced_day": today if source in fresh else row.announced_day,
            }
            for source, row in before.items()
        ],
        keys=("source",),
    )
    announce(tx, [_told(report, source, counts[source], judged, now) for source in fresh])
    return len(fresh)


def _locked(tx: Connection, sources: list[str], at: float) -> dict[str, Any]:
    """The row of each source, new where there was none, held until the end of `tx`."""
    new = {
        "ours": False,
        "first_at": at,
        "last_at": at,
        "unknown_at": None,
        "announced_day": None,
    }
    insert_once(tx, dmarc_sources, [{"source": source, **new} for source in sources])
    found: dict[str, Any] = {}
    for chunk in chunks(sources, IN_LIMIT):
        rows = tx.execute(
            select(dmarc_sources)
            .where(dmarc_sources.c.source.in_(chunk))
            .order_by(dmarc_sources.c.source)
            .with_for_update()
        )
        found |= {row.source: row for row in rows}
    return found


def _told(
    report: DmarcAggregate,
    source: str,
    messages: int,
    judged: Sequence[tuple[DmarcRow, Proof]],
    now: float,
) -> dict[str, Any]:
    rows = [row for row, proof in judged if row.source == source and not proof]
    return event(
        "dmarc.unknown_source",
        at=now,
        data={
            "source": source,
            "domain": report.domain,
            "header_from": sorted({row.header_from for row in rows})[:5],
            "messages": messages,
            "outcomes": sorted({row.outcome.value for row in rows}),
            "dispositions": sorted({row.disposition for row in rows}),
            "reported_by": report.origin.organisation,
        },
    )

"""Aggregate reports in the tables: each counted once, however often it comes.

Identity of a report: organisation, report id, domains; not the mail, which a receiver may send to
two of our addresses or again.  A report that `analysis.alignment` finds worth nothing changes
nothing but the note on its raw mail; one that nobody signed gives way (`aggregate_precedence`), and
is only listed where signatures are `required`.  A source that is not ours is announced once a day.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from analysis.aggregate import Aggregate, DmarcAggregate, DmarcRow, TlsAggregate
from analysis.aggregate_precedence import Claimed, counts, hold
from analysis.alignment import DAY, Ours, Proof, worth
from analysis.dmarc_sources import MOST_ANNOUNCED, known_sources, note_sources
from analysis.facts import Arrival, Kind
from analysis.schema import (
    aggregate_reports,
    dmarc_rows,
    dmarc_sources,
    raw_inbound,
    tls_rows,
)
from analysis.store import IN_LIMIT, chunks, insert_once

PURPOSES = frozenset({"dmarc", "tls", "postmaster"})
"""Addresses of ours at which reports count."""
MOST_REPORTS = 5_000
"""Counted in a day (UTC): the world has fewer reporters, and anybody can make up more."""
MOST_WHOLE = 200
"""Of these, kept with all their rows: a made-up one of 20 kB, packed, holds 5,000."""
MOST_ROWS = 200
"""Of each later one the busiest rows are kept; they hold nearly all of what a genuine one says."""


class Standing(StrEnum):
    """What a report came to."""

    COUNTED = "counted"  # signed by who reports
    UNSIGNED = "unsigned"  # counted all the same
    LEFT_OUT = "left_out"  # listed, not counted
    REFUSED = "refused"  # it is about nothing of ours


@dataclass(frozen=True, slots=True)
class Noted:
    """What came of one report, for metrics and logs."""

    raw_id: str
    refused: str = ""  # why it counts for nothing
    standing: Standing = Standing.COUNTED
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
    required: frozenset[Kind] = frozenset()

    def hold(self, tx: Connection, arrivals: Sequence[Arrival]) -> None:
        """Before the first lock of a transaction in which these are entered."""
        if any(one.purpose in PURPOSES and one.reading.aggregate is not None for one in arrivals):
            hold(tx)

    def enter(self, tx: Connection, arrivals: Sequence[Arrival], now: float) -> list[Noted]:
        """Count the reports among `arrivals`; a second copy of one gives nothing."""
        found = (self._enter(tx, one, now) for one in arrivals if one.purpose in PURPOSES)
        return [noted for noted in found if noted is not None]

    def _enter(self, tx: Connection, arrival: Arrival, now: float) -> Noted | None:
        if arrival.reading.aggregate is None:
            return None
        reading = arrival.reading
        report = worth(arrival.reading.aggregate, self.ours(), now)
        before = _came_today(tx, now, signed=bool(reading.signed_by))
        if not isinstance(report, str) and before >= MOST_REPORTS:
            report = f"more than {MOST_REPORTS} reports came today"
        if isinstance(report, str):
            _note(tx, arrival, f"not counted: {report}")
            return Noted(arrival.raw_id, refused=report, standing=Standing.REFUSED)
        if before >= MOST_WHOLE and len(report.rows) > MOST_ROWS:
            _note(tx, arrival, f"counted in part: the busiest {MOST_ROWS} rows")
            report = _busiest(report)
        claimed = Claimed.of(report.origin, reading.signing.reporter, reading.signed_by)
        row = _report_row(report, arrival, claimed, self.new_id())
        row["counted"] = self._counts(tx, reading.kind, claimed)
        if not insert_once(tx, aggregate_reports, [row], returning="id"):
            return None
        if not row["counted"]:
            return Noted(arrival.raw_id, standing=Standing.LEFT_OUT)
        if isinstance(report, TlsAggregate):
            noted = self._tls(tx, report, row["id"], arrival)
        else:
            most_told = MOST_ANNOUNCED if before < MOST_WHOLE else 1
            noted = self._dmarc(tx, report, row["id"], arrival, now, most_told)
        return noted if claimed.signed_by else replace(noted, standing=Standing.UNSIGNED)

    def _counts(self, tx: Connection, kind: Kind, claimed: Claimed) -> bool:
        if not claimed.signed_by and kind in self.required:
            return False
        return counts(tx, kind, claimed)

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
        self,
        tx: Connection,
        report: DmarcAggregate,
        key: str,
        arrival: Arrival,
        now: float,
        most_told: int,
    ) -> Noted:
        known = known_sources(tx, sorted({row.source for row in report.rows}), now)
        ours = self.ours()
        judged = [(row, ours.proof_of(row, known)) for row in report.rows]
        messages: Counter[tuple[str, str]] = Counter()
        for row, proof in judged:
            messages[row.outcome.value, "ours" if proof else "unknown"] += row.messages
        rows = [_dmarc_row(report, key, number, *each) for number, each in enumerate(judged)]
        _insert(tx, dmarc_rows, rows)
        signed_by = arrival.reading.signed_by
        unknown = note_sources(tx, report, judged, signed_by, now, most_told)
        return Noted(arrival.raw_id, messages=messages, unknown=unknown)


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


def _came_today(tx: Connection, now: float, *, signed: bool) -> int:
    """Reports of today: unsigned ones keep no signed one out."""
    today = aggregate_reports.c.received_at >= now // DAY * DAY
    alike = (func.coalesce(aggregate_reports.c.signed_by, "") != "") == signed
    counted = select(func.count()).select_from(aggregate_reports).where(today, alike)
    return int(tx.execute(counted).scalar_one())


def _busiest(report: Aggregate) -> Aggregate:
    if isinstance(report, TlsAggregate):
        by_sessions = sorted(report.rows, key=lambda row: row.sessions, reverse=True)
        return replace(report, rows=tuple(by_sessions[:MOST_ROWS]))
    by_messages = sorted(report.rows, key=lambda row: row.messages, reverse=True)
    return replace(report, rows=tuple(by_messages[:MOST_ROWS]))


def _note(tx: Connection, arrival: Arrival, what: str) -> None:
    tx.execute(update(raw_inbound).where(raw_inbound.c.id == arrival.raw_id).values(error=what))


def _report_row(report: Aggregate, arrival: Arrival, claimed: Claimed, key: str) -> dict[str, Any]:
    origin = report.origin
    if isinstance(report, DmarcAggregate):
        domains, policy = [report.domain], report.policy
        total = sum(row.messages for row in report.rows)
    else:
        domains, policy = sorted({row.domain for row in report.rows}), ""
        total = sum(row.sessions for row in report.rows)
    kind = arrival.reading.kind.value
    names = [kind, origin.organisation.casefold(), origin.report_id, *domains]
    if claimed.signed_by:  # nobody else takes its place beforehand
        names.append(f"signed by {claimed.signed_by}")
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
        "reporter": claimed.reporter,
        "signed_by": claimed.signed_by,
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

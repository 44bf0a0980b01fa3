"""Sources of mail under our domains, by address: which are ours, and which were told of.

A source that SPF showed to send for us is remembered, so that its mail is ours also where SPF broke
on the way.  One that is not ours is announced once a day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from analysis.aggregate import DmarcAggregate, DmarcRow
from analysis.alignment import DAY, Proof
from analysis.events import announce, event
from analysis.schema import dmarc_sources
from analysis.store import IN_LIMIT, chunks, insert_once, upsert

KNOWN_FOR = 90 * DAY
"""A source that sent our mail is taken for ours so long; addresses change hands."""
MOST_ANNOUNCED = 20
"""Unknown sources told of for one report, the busiest: a forged report floods nobody."""


def known_sources(tx: Connection, sources: list[str], now: float) -> set[str]:
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


def note_sources(
    tx: Connection,
    report: DmarcAggregate,
    judged: Sequence[tuple[DmarcRow, Proof]],
    signed_by: str,
    now: float,
    most_told: int = MOST_ANNOUNCED,
) -> int:
    """Remember every source; announce `most_told` of those that are unknown and were not announced
    today.

    What SPF shows of a source lasts only where the report is signed: a forged one would make its
    forger's address ours for months.
    """
    end, today = report.origin.end, int(now // DAY)
    lasting = {
        row.source
        for row, proof in judged
        if proof is Proof.SETTINGS or (proof is Proof.SPF and signed_by)
    }
    counts = Counter[str]()
    for row, proof in judged:
        counts[row.source] += 0 if proof else row.messages
    before = _locked(tx, sorted(counts), end)
    fresh = [
        source
        for source, messages in counts.most_common()
        if messages and not before[source].ours and before[source].announced_day != today
    ][:most_told]
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
    announce(
        tx, [_told(report, source, counts[source], judged, signed_by, now) for source in fresh]
    )
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
    signed_by: str,
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
            "signed_by": signed_by or None,
        },
    )

"""Aggregate reports in the tables: counted once, added up, forgotten in time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from analysis import aggregate_ledger
from analysis.aggregate import SUCCESS, Aggregate, DmarcAggregate, TlsRow
from analysis.aggregate_ledger import AggregateLedger, Noted
from analysis.aggregate_lookup import (
    Span,
    dmarc_sources_page,
    dmarc_summary,
    reports_page,
    tls_summary,
    unknown_senders,
    unknown_sources,
)
from analysis.alignment import DAY
from analysis.dmarc_sources import MOST_ANNOUNCED
from analysis.facts import Arrival, Kind, Reading, Signing
from analysis.schema import aggregate_reports, dmarc_rows, dmarc_sources, events, tls_rows
from analysis.store import Store
from tests.analysis.test_alignment import OURS
from tests.ingest.aggregate_files import dmarc_report, dmarc_row, stranger, tls_report
from tests.storing import NOW, new_id, rows

pytestmark = pytest.mark.anyio

LEDGER = AggregateLedger(lambda: OURS, new_id, lambda noted: None)
WEEK = Span(NOW - 7 * DAY, NOW + DAY)


def arrival(
    report: Aggregate,
    purpose: str = "dmarc",
    *,
    reporter: str = "mail.example.net",
    signed_by: str = "example.net",
) -> Arrival:
    kind = Kind.DMARC_AGGREGATE if isinstance(report, DmarcAggregate) else Kind.TLS_RPT
    reading = Reading(kind, aggregate=report, signing=Signing(reporter), signed_by=signed_by)
    return Arrival(new_id(), NOW, purpose, None, reading)


async def entered(store: Store, *reports: Aggregate, now: float = NOW) -> list[Noted]:
    arrivals = [arrival(report) for report in reports]
    return await store.write(lambda tx: LEDGER.enter(tx, arrivals, now))


async def test_the_same_report_counts_once_at_once_or_later(store: Store) -> None:
    report = dmarc_report(dmarc_row(messages=5))
    found = await asyncio.gather(*(entered(store, report, report) for _ in range(4)))
    found.append(await entered(store, report, now=NOW + DAY))
    assert sum(map(len, found)) == 1
    assert len(await rows(store, dmarc_rows)) == 1
    summary = await store.read(lambda tx: dmarc_summary(tx, WEEK))
    assert summary["all"]["messages"] == 5


async def test_a_report_at_an_address_for_something_else_does_not_count(store: Store) -> None:
    arrivals = [arrival(dmarc_report(), purpose) for purpose in ("bounce", "fbl", "unsubscribe")]
    assert await store.write(lambda tx: LEDGER.enter(tx, arrivals, NOW)) == []
    assert await rows(store, aggregate_reports) == []


async def test_a_source_that_sent_our_mail_stays_ours_when_its_checks_fail(store: Store) -> None:
    await entered(store, dmarc_report(dmarc_row("192.0.2.1", 3)))
    [noted] = await entered(store, dmarc_report(stranger("192.0.2.1", 4), report_id="r-2"))
    assert noted.messages == {("failed", "ours"): 4}
    assert await store.read(lambda tx: unknown_sources(tx, NOW)) == 0
    assert await rows(store, events) == []


async def test_a_stranger_is_announced_once_a_day(store: Store) -> None:
    for number in range(3):
        await entered(store, dmarc_report(stranger(), report_id=f"r-{number}"))
    assert [row["data"]["source"] for row in await rows(store, events)] == ["203.0.113.9"]
    await entered(store, dmarc_report(stranger(), report_id="r-9"), now=NOW + DAY)
    assert len(await rows(store, events)) == 2
    assert await store.read(lambda tx: unknown_sources(tx, NOW)) == 1
    assert await store.read(lambda tx: unknown_sources(tx, NOW + 10 * DAY)) == 0


async def test_a_report_full_of_strangers_floods_nobody(store: Store) -> None:
    many = [stranger(f"203.0.{n // 250}.{n % 250}", n + 1) for n in range(1_000)]
    [noted] = await entered(store, dmarc_report(*many))
    told = await rows(store, events)
    assert noted.unknown == len(told) == MOST_ANNOUNCED
    assert told[0]["data"]["messages"] == 1_000
    assert len(await rows(store, dmarc_sources)) == 1_000


async def test_a_flood_of_made_up_reports_ends(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregate_ledger, "MOST_REPORTS", 3)
    made_up = [dmarc_report(stranger(), report_id=f"r-{n}") for n in range(6)]
    found = await entered(store, *made_up)
    assert [bool(noted.refused) for noted in found] == [False] * 3 + [True] * 3
    assert len(await rows(store, aggregate_reports)) == 3
    [tomorrow] = await entered(store, dmarc_report(report_id="r-9"), now=NOW + DAY)
    assert not tomorrow.refused


async def test_unsigned_reports_that_anybody_makes_up_keep_no_signed_one_out(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregate_ledger, "MOST_REPORTS", 2)
    made_up = [arrival(dmarc_report(report_id=f"r-{n}"), signed_by="") for n in range(4)]
    await store.write(lambda tx: LEDGER.enter(tx, made_up, NOW))
    [noted] = await entered(store, dmarc_report(report_id="r-9"))
    assert not noted.refused


async def test_a_forger_makes_no_address_of_his_ours(store: Store) -> None:
    """An unsigned report that SPF passed for our return path from there is his word alone."""
    forged = arrival(dmarc_report(dmarc_row("203.0.113.9")), signed_by="")
    await store.write(lambda tx: LEDGER.enter(tx, [forged], NOW))
    [noted] = await entered(store, dmarc_report(stranger("203.0.113.9"), report_id="r-2"))
    assert noted.messages == {("failed", "unknown"): 7}


async def test_late_in_a_day_of_very_many_reports_the_busiest_rows_are_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one stranger told of: twenty for each of thousands would be a flood again."""
    monkeypatch.setattr(aggregate_ledger, "MOST_WHOLE", 1)
    monkeypatch.setattr(aggregate_ledger, "MOST_ROWS", 3)
    many = [stranger(f"203.0.113.{n}", n) for n in range(1, 11)]
    for report_id in ("r-1", "r-2"):
        await entered(store, dmarc_report(*many, report_id=report_id))
    kept = await rows(store, dmarc_rows)
    assert len(kept) == 10 + 3
    assert sorted(row["messages"] for row in kept)[-6:] == [8, 8, 9, 9, 10, 10]
    assert len(await rows(store, events)) == 10
    more = [stranger(f"203.0.114.{n}", n) for n in range(1, 11)]
    [noted] = await entered(store, dmarc_report(*more, report_id="r-3"))
    assert noted.unknown == 1


async def test_a_forwarder_of_our_signed_mail_is_no_stranger(store: Store) -> None:
    signed = dmarc_row().checks[0]
    await entered(store, dmarc_report(stranger("203.0.113.5", dkim=True, checks=(signed,))))
    assert await rows(store, events) == []
    assert await store.read(lambda tx: unknown_sources(tx, NOW)) == 0
    # but it vouches for nobody: what it sends without our signature is not ours
    [noted] = await entered(store, dmarc_report(stranger("203.0.113.5"), report_id="r-2"))
    assert noted.messages == {("failed", "unknown"): 7}
    assert await store.read(lambda tx: unknown_sources(tx, NOW)) == 1


async def test_sums_agree_with_the_rows_and_pages_cover_each_source_once(store: Store) -> None:
    ours = [dmarc_row(f"192.0.2.{n}", n % 7 + 1, spf=bool(n % 2)) for n in range(1, 40)]
    theirs = [stranger(f"203.0.113.{n}", n % 5 + 1, dkim=n % 3 == 0) for n in range(1, 40)]
    await entered(store, dmarc_report(*ours, *theirs))
    summary = await store.read(lambda tx: dmarc_summary(tx, WEEK))
    assert summary["ours"]["messages"] == sum(row.messages for row in ours)
    assert summary["unknown"]["failed"] == sum(
        row.messages for row in theirs if row.outcome == "failed"
    )
    found: list[dict[str, Any]] = []
    while True:
        after = (found[-1]["messages"], found[-1]["source"]) if found else None
        page = await store.read(
            lambda tx, after=after: dmarc_sources_page(tx, WEEK, after, 10)  # type: ignore[misc]
        )
        if not page:
            break
        found += page
    assert {one["source"]: one["messages"] for one in found} == {
        row.source: row.messages for row in (*ours, *theirs)
    }
    assert len(found) == len(ours) + len(theirs)
    unknown = await store.read(lambda tx: unknown_senders(tx, WEEK))
    assert {one["source"] for one in unknown} == {row.source for row in theirs}
    assert unknown[0]["header_from"] == ["example.com"]


async def test_a_domain_is_asked_for_with_those_below_it(store: Store) -> None:
    below = dmarc_row(header_from="news.example.com", messages=2)
    await entered(store, dmarc_report(dmarc_row(messages=1), below))
    for domain, messages in (("example.com", 3), ("news.example.com", 2), ("ews.example.com", 0)):
        span = Span(WEEK.since, WEEK.until, domain)
        summary = await store.read(lambda tx, span=span: dmarc_summary(tx, span))  # type: ignore[misc]
        assert summary["all"]["messages"] == messages


async def test_tls_sessions_are_added_up_by_policy_and_failure(store: Store) -> None:
    name = "bounces.example.com"
    failed = TlsRow(name, "sts", "certificate-expired", 3, "mx.example.com", "", "expired")
    none = TlsRow(name, "no-policy-found", SUCCESS, 2)
    [noted] = await entered(store, tls_report(TlsRow(name, "sts", SUCCESS, 5), failed, none))
    assert noted.sessions == {SUCCESS: 7, "certificate-expired": 3}
    found = await store.read(lambda tx: tls_summary(tx, WEEK))
    assert (found["sessions"], found["successful"]) == (10, 7)
    assert [one["policy"] for one in found["policies"]] == ["no-policy-found", "sts"]
    [failure] = found["failures"]
    assert (failure["mx"], failure["sessions"], failure["reason"]) == (
        "mx.example.com",
        3,
        "expired",
    )
    [report] = await store.read(lambda tx: reports_page(tx, Kind.TLS_RPT, WEEK, None, 10))
    assert report["total"] == 10


async def test_old_reports_are_forgotten_with_their_rows(store: Store) -> None:
    await entered(store, dmarc_report(stranger()), tls_report())
    assert await store.write(lambda tx: aggregate_ledger.forget(tx, NOW - 9 * DAY, 100)) == 0
    assert await store.write(lambda tx: aggregate_ledger.forget(tx, NOW + DAY, 100)) == 3
    for table in (aggregate_reports, dmarc_rows, dmarc_sources, tls_rows):
        assert await rows(store, table) == []

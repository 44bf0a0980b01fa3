"""Policies and counts of TLS in both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from analysis.store import Store
from sender.mta_sts import MAX_AGE, Mode, Policy
from sender.sts_policies import Kept
from sender.tls_report import DAY, MOST, Failing, Kind, Row, TlsReport
from sender.tls_store import KEEP_DAYS, PolicyShelf, TlsKeeping, forget, results
from tests.storing import Unsteady

pytestmark = pytest.mark.anyio

NOW = 20_000 * DAY + 100.0
ROW = Row(20_000, "example.net", Kind.STS, "mx.example.net", Failing.OK)
KEPT = Kept(Policy(Mode.ENFORCE, ("mx.example.net", "*.example.net"), 604_800), "id1", NOW)


def keeping(store: Store, report: TlsReport) -> TlsKeeping:
    return TlsKeeping(store, report, None, lambda: NOW)


async def test_a_policy_comes_back_as_it_was_put_there(store: Store) -> None:
    shelf = PolicyShelf(store)
    assert await shelf.load("example.net") is None
    await shelf.save("example.net", KEPT)
    assert await shelf.load("example.net") == KEPT
    newer = Kept(Policy(Mode.TESTING, ("mx.example.net",), 86_400), "id2", NOW + 1)
    await shelf.save("example.net", newer)
    assert await shelf.load("example.net") == newer


async def test_only_policies_in_force_and_not_fetched_lately_are_stale(store: Store) -> None:
    shelf = PolicyShelf(store)
    for domain, kept in {
        "old.example": replace(KEPT, fetched_at=NOW - 2 * DAY),
        "older.example": replace(KEPT, fetched_at=NOW - 3 * DAY),
        "fresh.example": replace(KEPT, fetched_at=NOW - 100),
        "over.example": replace(KEPT, fetched_at=NOW - 8 * DAY),
        "gone.example": Kept(Policy(Mode.NONE, (), 604_800), "id", NOW - 2 * DAY),
    }.items():
        await shelf.save(domain, kept)
    assert await shelf.stale(NOW - DAY, NOW) == ["older.example", "old.example"]


async def test_counts_of_several_nodes_add_up(store: Store) -> None:
    reports = [TlsReport(lambda: NOW) for _ in range(4)]
    for number, report in enumerate(reports):
        for _ in range(5):
            report.note("example.net", Kind.STS, "mx.example.net", Failing.OK)
        report.note("example.net", Kind.STS, f"mx{number}.example.net", Failing.EXPIRED)
    await asyncio.gather(*(keeping(store, report).put_down() for report in reports))
    found = await store.read(lambda tx: results(tx, 20_000))
    assert found[ROW] == 20
    assert sum(found.values()) == 24
    assert await store.read(lambda tx: results(tx, 19_999)) == {}


async def test_what_cannot_be_stored_is_counted_on(store: Store) -> None:
    report = TlsReport(lambda: NOW)
    report.note("example.net", Kind.STS, "mx.example.net", Failing.OK)
    unsteady = Unsteady(store)
    unsteady.failing = 1
    await keeping(unsteady, report).put_down()
    report.note("example.net", Kind.STS, "mx.example.net", Failing.OK)
    assert await store.read(lambda tx: results(tx, 20_000)) == {}
    await keeping(unsteady, report).put_down()
    assert await store.read(lambda tx: results(tx, 20_000)) == {ROW: 2}


async def test_stopping_stores_what_was_counted(store: Store) -> None:
    report, stop = TlsReport(lambda: NOW), asyncio.Event()
    serving = asyncio.create_task(keeping(store, report).serve(stop))
    await asyncio.sleep(0)
    report.note("example.net", Kind.STS, "mx.example.net", Failing.OK)
    stop.set()
    async with asyncio.timeout(60):
        await serving
    assert await store.read(lambda tx: results(tx, 20_000)) == {ROW: 1}


async def test_what_is_over_is_forgotten(store: Store) -> None:
    shelf, report = PolicyShelf(store), TlsReport(lambda: NOW)
    await shelf.save("example.net", KEPT)
    report.note("example.net", Kind.STS, "mx.example.net", Failing.OK)
    await keeping(store, report).put_down()
    await store.write(lambda tx: forget(tx, NOW + (KEEP_DAYS - 1) * DAY))
    assert await store.read(lambda tx: results(tx, 20_000)) == {ROW: 1}
    await store.write(lambda tx: forget(tx, NOW + MAX_AGE + 1))
    assert await store.read(lambda tx: results(tx, 20_000)) == {}
    assert await shelf.load("example.net") is None


def test_a_flood_of_domains_shares_one_row() -> None:
    report = TlsReport(lambda: NOW)
    for number in range(MOST + 500):
        report.note(f"d{number}.example", Kind.NONE, "mx", Failing.OK)
    rows = report.drain()
    assert len(rows) == MOST + 1
    assert rows[Row(20_000, "*", Kind.NONE, "", Failing.OK)] == 500
    report.restore(rows)
    assert sum(report.drain().values()) == MOST + 500

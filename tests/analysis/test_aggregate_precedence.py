"""Signed reports before unsigned ones: whoever comes first, and nobody else's in their place."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from analysis.aggregate import Aggregate
from analysis.aggregate_ledger import AggregateLedger, Noted, Standing
from analysis.aggregate_lookup import dmarc_summary, reports_page, tls_summary, unknown_senders
from analysis.facts import Kind
from analysis.schema import aggregate_reports
from analysis.store import Store
from tests.analysis.test_aggregate_ledger import LEDGER, WEEK, arrival
from tests.analysis.test_alignment import OURS
from tests.ingest.aggregate_files import (
    BEGIN,
    DAY,
    dmarc_report,
    dmarc_row,
    stranger,
    tls_report,
)
from tests.storing import NOW, new_id, rows

pytestmark = pytest.mark.anyio

GENUINE = dmarc_report(dmarc_row(messages=10), organisation="example.net", report_id="genuine")
FORGED = dmarc_report(stranger(messages=99), organisation="example.net", report_id="forged")
STRICT = AggregateLedger(lambda: OURS, new_id, lambda noted: None, frozenset(Kind))


async def enter(
    store: Store,
    report: Aggregate,
    signed_by: str = "",
    reporter: str = "example.net",
    ledger: AggregateLedger = LEDGER,
) -> Noted | None:
    """As the reader does."""
    one = arrival(report, reporter=reporter, signed_by=signed_by)

    def work(tx: Any) -> list[Noted]:
        ledger.hold(tx, [one])
        return ledger.enter(tx, [one], NOW)

    return next(iter(await store.write(work)), None)


async def counted(store: Store) -> int:
    """Messages in all, as the API adds them up."""
    summary = await store.read(lambda tx: dmarc_summary(tx, WEEK))
    return int(summary["all"]["messages"])


async def standings(store: Store) -> dict[str, bool]:
    return {row["report_id"]: row["counted"] for row in await rows(store, aggregate_reports)}


async def test_an_unsigned_report_counts_while_nothing_better_is_there(store: Store) -> None:
    noted = await enter(store, FORGED)
    assert noted is not None
    assert noted.standing is Standing.UNSIGNED
    assert await counted(store) == 99
    summary = await store.read(lambda tx: dmarc_summary(tx, WEEK))
    assert (summary["reports"], summary["unsigned_reports"]) == (1, 1)
    [sender] = await store.read(lambda tx: unknown_senders(tx, WEEK))
    assert (sender["reported_by"], sender["signed_by"]) == (["example.net"], [])


@pytest.mark.parametrize("forged_first", [True, False])
async def test_the_signed_one_counts_and_the_unsigned_one_of_the_same_days_does_not(
    store: Store, forged_first: bool
) -> None:
    if forged_first:
        await enter(store, FORGED)
    await enter(store, GENUINE, signed_by="example.net")
    if not forged_first:
        noted = await enter(store, FORGED)
        assert noted is not None
        assert (noted.standing, noted.messages) == (Standing.LEFT_OUT, {})
    assert await counted(store) == 10
    assert await standings(store) == {"genuine": True, "forged": False}
    summary = await store.read(lambda tx: dmarc_summary(tx, WEEK))
    assert (summary["reports"], summary["left_out_reports"]) == (1, 1)
    assert await store.read(lambda tx: unknown_senders(tx, WEEK)) == []


async def test_the_genuine_report_comes_in_though_a_forged_one_took_its_number(
    store: Store,
) -> None:
    taken = dmarc_report(stranger(), organisation="example.net", report_id="genuine")
    await enter(store, taken)
    await enter(store, GENUINE, signed_by="example.net")
    assert await counted(store) == 10


async def test_a_replayed_report_counts_once(store: Store) -> None:
    await enter(store, GENUINE, signed_by="example.net")
    assert await enter(store, GENUINE, signed_by="example.net") is None
    await enter(store, GENUINE)  # its signature broke on the way
    assert await counted(store) == 10


async def test_who_signs_with_a_domain_of_his_own_takes_nobody_elses_out(store: Store) -> None:
    await enter(store, GENUINE)
    noted = await enter(store, FORGED, signed_by="evil.example", reporter="evil.example")
    assert noted is not None
    assert noted.standing is Standing.COUNTED
    assert await standings(store) == {"genuine": True, "forged": True}
    await enter(store, GENUINE, signed_by="example.net")
    assert await counted(store) == 10 + 99, "the forger's own, who is known by name"


@pytest.mark.parametrize(
    ("organisation", "reporter", "left_out"),
    [
        ("example.net", "evil.example", True),  # the name alone is borrowed
        ("EXAMPLE.net", "", True),
        ("Example Mail", "mail.example.net", True),  # the author alone
        ("Example Mail", "example.org", False),
        ("example.org", "example.org", False),
    ],
)
async def test_it_is_the_same_organisation_by_its_mail_or_by_its_name(
    store: Store, organisation: str, reporter: str, left_out: bool
) -> None:
    await enter(store, GENUINE, signed_by="example.net")
    other = dmarc_report(organisation=organisation, report_id="other")
    await enter(store, other, reporter=reporter)
    assert (await standings(store))["other"] is not left_out


@pytest.mark.parametrize(
    ("begin", "end", "left_out"),
    [
        (BEGIN, BEGIN + DAY - 1, True),
        (BEGIN + 0.4 * DAY, BEGIN + 1.4 * DAY, True),
        (BEGIN - 6 * DAY, BEGIN + DAY, True),  # a week that holds the day
        (BEGIN + 1_000, BEGIN + 1_000, True),
        (BEGIN + DAY - 1, BEGIN + 2 * DAY - 1, False),  # the next day
        (BEGIN - DAY, BEGIN, False),  # the day before
    ],
)
async def test_only_what_tells_of_the_same_days_gives_way(
    store: Store, begin: float, end: float, left_out: bool
) -> None:
    await enter(store, GENUINE, signed_by="example.net")
    other = dmarc_report(organisation="example.net", report_id="other", begin=begin, end=end)
    await enter(store, other)
    assert (await standings(store))["other"] is not left_out


async def test_of_many_at_once_the_signed_one_is_left(store: Store) -> None:
    forged = [
        dmarc_report(stranger(), organisation="example.net", report_id=f"f-{n}") for n in range(8)
    ]
    await asyncio.gather(
        *(enter(store, one) for one in forged[:4]),
        enter(store, GENUINE, signed_by="example.net"),
        *(enter(store, one) for one in forged[4:]),
    )
    assert await counted(store) == 10


async def test_where_signatures_are_required_others_are_listed_and_not_added_up(
    store: Store,
) -> None:
    noted = await enter(store, tls_report(report_id="forged"), ledger=STRICT)
    assert noted is not None
    assert (noted.standing, noted.sessions) == (Standing.LEFT_OUT, {})
    await enter(store, tls_report(), "example.net", ledger=STRICT)
    summary = await store.read(lambda tx: tls_summary(tx, WEEK))
    assert summary["sessions"] == 12
    page = await store.read(lambda tx: reports_page(tx, Kind.TLS_RPT, WEEK, None, 10))
    told = [(one["report_id"], one["signed_by"], one["counted"]) for one in page]
    assert told == [("r-1", "example.net", True), ("forged", None, False)]


async def test_a_row_of_a_node_that_is_one_release_behind_counts_as_unsigned(store: Store) -> None:
    await enter(store, FORGED)
    blind = aggregate_reports.update().values(signed_by=None, reporter=None)
    await store.write(lambda tx: tx.execute(blind) and None)
    assert await counted(store) == 99
    await enter(store, GENUINE, signed_by="example.net")
    assert await counted(store) == 10

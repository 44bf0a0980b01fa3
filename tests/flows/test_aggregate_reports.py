"""Reports of receivers come in by the listener, are counted once, and name who uses our domain."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest

from analysis.aggregate import SUCCESS, DmarcAggregate, TlsRow
from tests.flows.house import BOUNCES, House, carom_house
from tests.ingest.aggregate_files import (
    DAY,
    dmarc_report,
    dmarc_row,
    dmarc_xml,
    mail,
    packed,
    stranger,
    tls_json,
    tls_mail,
    tls_report,
)
from tests.ingest.signed import House as SigningHouse
from tests.peers.dns_server import DnsServer
from tests.servers import LOOPBACK, free_port

pytestmark = pytest.mark.anyio


def yesterday(report: Any, **other: Any) -> Any:
    """The report as of the day past, by the real clock."""
    begin = time.time() // DAY * DAY - DAY
    return replace(report, origin=replace(report.origin, begin=begin, end=begin + DAY - 1, **other))


async def hand_in(house: House, content: bytes, to: str = "dmarc-reports") -> None:
    """As a receiver's MTA does it."""
    await aiosmtplib.send(
        content,
        sender="reports@example.net",
        recipients=[f"{to}@{BOUNCES}"],
        hostname=LOOPBACK,
        port=house.bound.ingest,
        start_tls=False,
        use_tls=False,
    )


async def metric(house: House, name: str) -> float:
    lines = (line for line in (await house.metrics()).splitlines() if line.startswith(f"{name} "))
    return float(next(lines).rpartition(" ")[2])


async def asked(house: House, path: str) -> dict[str, Any]:
    answer = await house.client.get(path)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def dmarc_mail(report: DmarcAggregate) -> bytes:
    return mail(packed(dmarc_xml(report), "gzip"))


REPORTER = SigningHouse("example.net")


@asynccontextmanager
async def reporters_dns() -> AsyncIterator[DnsServer]:
    """A DNS in which the reporter's key stands."""
    async with DnsServer() as dns:
        dns.add(*REPORTER.zone())
        yield dns


def house(
    tmp_path: Path, database_url: str, dns: DnsServer, mx: int = 0, **more: str
) -> AbstractAsyncContextManager[House]:
    """One that asks this DNS."""
    servers = json.dumps([f"{LOOPBACK}:{dns.port}"])
    return carom_house(
        tmp_path, database_url, mx=mx or free_port(), CAROM_SENDER__DNS__NAMESERVERS=servers, **more
    )


async def test_a_dmarc_report_that_comes_twice_counts_once_and_names_the_stranger(
    tmp_path: Path, database_url: str
) -> None:
    report = yesterday(dmarc_report(dmarc_row("192.0.2.1", 90), stranger("203.0.113.9", 10)))
    async with carom_house(tmp_path, database_url, mx=free_port()) as carom:
        await hand_in(carom, dmarc_mail(report))
        await hand_in(carom, mail(packed(dmarc_xml(report), "zip"), kind="application/zip"))
        await carom.all_read()
        found = await asked(carom, "/v1/dmarc")
        assert (found["reports"], found["all"]["messages"]) == (1, 100)
        assert found["all"]["passed_ratio"] == 0.9
        assert found["ours"]["aligned"] == 90
        [unknown] = found["unknown_senders"]
        assert (unknown["source"], unknown["failed"]) == ("203.0.113.9", 10)
        assert unknown["reported_by"] == ["mail.example.net"]
        events = (await asked(carom, "/v1/events"))["events"]
        [told] = [one for one in events if one["type"] == "dmarc.unknown_source"]
        assert told["data"]["source"] == "203.0.113.9"
        ours = 'carom_dmarc_messages_total{result="aligned",source="ours"}'
        theirs = 'carom_dmarc_messages_total{result="failed",source="unknown"}'
        assert (await metric(carom, ours), await metric(carom, theirs)) == (90, 10)
        assert await metric(carom, "carom_dmarc_unknown_sources") == 1


async def test_reports_about_others_or_the_future_change_nothing(
    tmp_path: Path, database_url: str
) -> None:
    foreign = yesterday(dmarc_report(domain="example.org"), report_id="r-2")
    soon = yesterday(dmarc_report(stranger()), report_id="r-3")
    soon = replace(soon, origin=replace(soon.origin, begin=time.time(), end=time.time() + 3 * DAY))
    async with carom_house(tmp_path, database_url, mx=free_port()) as carom:
        for report in (foreign, soon):
            await hand_in(carom, dmarc_mail(report))
        await hand_in(carom, mail(b"<feedback>", kind="text/xml", name=""))
        await carom.all_read()
        assert (await asked(carom, "/v1/dmarc"))["all"]["messages"] == 0
        assert (await asked(carom, "/v1/events"))["events"] == []
        assert await metric(carom, 'carom_aggregate_reports_total{result="refused"}') == 2
        assert await metric(carom, "carom_dmarc_unknown_sources") == 0


async def test_a_tls_report_is_added_up_by_what_failed(tmp_path: Path, database_url: str) -> None:
    failed = TlsRow(BOUNCES, "sts", "certificate-expired", 3, "mx.example.com", "198.51.100.4")
    report = yesterday(tls_report(TlsRow(BOUNCES, "sts", SUCCESS, 9), failed))
    async with reporters_dns() as dns, house(tmp_path, database_url, dns) as carom:
        signed = REPORTER.signed(tls_mail(packed(tls_json(report), "gzip")))
        await hand_in(carom, signed, "tls-reports")
        await carom.all_read()
        found = await asked(carom, "/v1/tls-reports")
        assert (found["sessions"], found["successful_ratio"]) == (12, 0.75)
        assert [one["result"] for one in found["failures"]] == ["certificate-expired"]
        [told] = found["reports"]
        assert (told["organisation"], told["signed_by"]) == ("mail.example.net", "example.net")
        expired = 'carom_tls_reported_sessions_total{result="certificate-expired"}'
        assert await metric(carom, expired) == 3
        assert found["cursor"] is None


async def test_a_forged_report_gives_way_to_the_signed_one(
    tmp_path: Path, database_url: str
) -> None:
    genuine = yesterday(dmarc_report(dmarc_row("192.0.2.1", 90)))
    forged = yesterday(dmarc_report(stranger("203.0.113.9", 5_000)), report_id="r-2")
    async with reporters_dns() as dns, house(tmp_path, database_url, dns) as carom:
        await hand_in(carom, dmarc_mail(forged))
        await carom.all_read()
        found = await asked(carom, "/v1/dmarc")
        assert (found["all"]["messages"], found["unsigned_reports"]) == (5_000, 1)
        assert found["unknown_senders"][0]["signed_by"] == []

        await hand_in(carom, REPORTER.signed(dmarc_mail(genuine)))
        await hand_in(carom, REPORTER.signed(dmarc_mail(genuine)))
        await carom.all_read()
        found = await asked(carom, "/v1/dmarc")
        assert (found["reports"], found["left_out_reports"]) == (1, 1)
        assert (found["all"]["messages"], found["unknown_senders"]) == (90, [])
        counted = 'carom_aggregate_reports_total{result="%s"}'
        assert await metric(carom, counted % "unsigned") == 1
        assert await metric(carom, counted % "counted") == 1


async def test_where_signatures_are_required_an_unsigned_report_changes_no_figure(
    tmp_path: Path, database_url: str
) -> None:
    async with (
        reporters_dns() as dns,
        house(tmp_path, database_url, dns, CAROM_DMARC__SIGNED="require") as carom,
    ):
        await hand_in(carom, dmarc_mail(yesterday(dmarc_report(stranger()))))
        tls = tls_mail(packed(tls_json(yesterday(tls_report())), "gzip"))
        await hand_in(carom, tls, "tls-reports")
        await carom.all_read()
        found = await asked(carom, "/v1/dmarc")
        assert (found["all"]["messages"], found["left_out_reports"]) == (0, 1)
        assert (await asked(carom, "/v1/events"))["events"] == []
        found = await asked(carom, "/v1/tls-reports")
        assert (found["sessions"], [one["counted"] for one in found["reports"]]) == (0, [False])
        assert await metric(carom, 'carom_aggregate_reports_total{result="left_out"}') == 2

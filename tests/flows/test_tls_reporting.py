"""Our own TLS reports go out once a domain a day, signed, and can be read by our own reader."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from analysis.aggregate import TlsAggregate
from analysis.facts import Kind
from analysis.rulebook import shipped
from analysis.schema import tls_reports_sent, tls_results
from analysis.store import Store
from carom.aggregating import tls_reporting
from ingest.parse import read_mail
from sender.tls_report import DAY, Failing, Row
from sender.tls_report import Kind as Policy
from sender.tls_store import add_results
from tests.flows.house import House, carom_house, until
from tests.peers.dns_server import DnsServer
from tests.peers.scripted_mx import ScriptedMX

pytestmark = pytest.mark.anyio

RUA = '"v=TLSRPTv1; rua=mailto:tls@example.net"'


def at_noon() -> float:
    return time.time() // DAY * DAY + DAY / 2


async def counted(store: Store, *domains: str) -> None:
    """Yesterday there were nine good sessions with each, and one that was not."""
    day = int(time.time() // DAY) - 1
    rows = {
        Row(day, domain, Policy.STS, "mx.example.net", result): count
        for domain in domains
        for result, count in ((Failing.OK, 9), (Failing.EXPIRED, 1))
    }
    await store.write(lambda tx: add_results(tx, rows))


async def sent(house: House) -> dict[str, str]:
    query = select(tls_reports_sent.c.domain, tls_reports_sent.c.how)
    return dict(await house.books(lambda tx: list(tx.execute(query))))


async def test_a_report_goes_out_once_whoever_tries_and_what_it_says_is_read_back(
    tmp_path: Path, database_url: str
) -> None:
    async with DnsServer() as dns, ScriptedMX() as mx:
        dns.add("_smtp._tls.example.net", "TXT", RUA)
        settings = {
            "CAROM_SENDER__DNS__NAMESERVERS": f'["127.0.0.1:{dns.port}"]',
            "CAROM_SENDER__TLS__REPORTS": "true",
        }
        async with carom_house(tmp_path, database_url, mx=mx.port, **settings) as carom:  # type: ignore[arg-type]
            await counted(carom.engine.store, "example.net", "silent.example")
            nodes = [tls_reporting(carom.engine) for _ in range(3)]
            await asyncio.gather(*(node.do(at_noon()) for node in nodes))
            await nodes[0].do(at_noon() + 900)
            assert await sent(carom) == {"example.net": "mail", "silent.example": "none"}

            async def arrived() -> bool:
                return len(mx.received) == 1

            await until(arrived)
            content = mx.received[0].content
            assert await carom.books(_sessions) == 20
    assert b"DKIM-Signature:" in content
    assert b"TLS-Report-Domain: example.net\r\n" in content
    assert b"TLS-Report-Submitter: example.com\r\n" in content
    reading = read_mail(content, shipped())
    assert (reading.kind, reading.error) == (Kind.TLS_RPT, None)
    assert isinstance(reading.aggregate, TlsAggregate)
    found = {(row.domain, row.result): row.sessions for row in reading.aggregate.rows}
    assert found == {("example.net", "success"): 9, ("example.net", "certificate-expired"): 1}


def _sessions(tx: Connection) -> int:
    return sum(tx.execute(select(tls_results.c.sessions)).scalars())

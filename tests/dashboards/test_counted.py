"""What the scripted day does not live is counted as the tables have it.

Opens and clicks, "did not get it?", reports of receivers, webhooks: each happens over its own
protocol to one running Carom; then every counter of it equals what the tables alone tell.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection, Select, case, func, select

from analysis.aggregate import TlsRow
from analysis.schema import (
    aggregate_reports,
    deliveries,
    dmarc_rows,
    dmarc_sources,
    engagements,
    feedback,
    raw_inbound,
    tls_rows,
    webhook_calls,
)
from tests.flows.house import until
from tests.flows.test_aggregate_reports import (
    REPORTER,
    dmarc_mail,
    hand_in,
    house,
    reporters_dns,
    yesterday,
)
from tests.flows.test_engagement import BASE, PERSON, SCANNER, accepted_later, links, submit
from tests.ingest.aggregate_files import (
    dmarc_report,
    dmarc_row,
    packed,
    stranger,
    tls_json,
    tls_mail,
    tls_report,
)
from tests.ingest.test_authenticity import by
from tests.peers.scripted_mx import ScriptedMX
from tests.peers.webhook_receiver import WebhookReceiver
from tests.servers import LOOPBACK

pytestmark = pytest.mark.anyio

Counts = dict[frozenset[str], float]
"""By the values of the labels."""
SETTINGS = {
    "CAROM_API__PUBLIC_URL": BASE,
    "CAROM_STREAMS": json.dumps({"news": {"opens": True, "clicks": True, "feedback": True}}),
    "CAROM_WEBHOOKS__ALLOW_NETWORKS": '["127.0.0.0/8"]',
}


async def test_every_counter_agrees_with_the_tables(database_url: str, tmp_path: Path) -> None:
    async with (
        ScriptedMX() as mx,
        WebhookReceiver() as receiver,
        reporters_dns() as dns,
        house(tmp_path, database_url, dns, mx.port, **SETTINGS) as carom,
    ):
        receiver.say(204, then=500)  # the second event of the two is told in vain
        for kind in ("delivered", "clicked"):
            hook = {"url": receiver.url, "events": [kind]}
            assert (await carom.client.post("/v1/webhooks", json=hook)).status_code == 201
        sent = await submit(carom)
        await carom.becomes(sent, "delivered")
        await receiver.arrived(1)
        await carom.engine.store.write(lambda tx: accepted_later(tx, sent, -7_200))
        here = f"http://{LOOPBACK}:{carom.bound.api}"
        for path in links(mx.received[0].content):
            for agent in (PERSON, SCANNER, PERSON):
                await carom.client.get(here + path, headers={"User-Agent": agent})
        await receiver.arrived(2)
        for _ in range(2):  # the second within the hour counts for nothing
            said = await carom.client.post(f"/v1/messages/{sent.message_id}/feedback", json={})
            assert said.status_code == 200, said.text

        rows = (dmarc_row("192.0.2.1", 90), dmarc_row("192.0.2.2", 5, spf=False), stranger())
        await hand_in(carom, REPORTER.signed(dmarc_mail(yesterday(dmarc_report(*rows)))))
        small = dmarc_report(stranger(), organisation="small.example")
        await hand_in(carom, by("r@small.example", dmarc_mail(yesterday(small))))
        about_others = dmarc_report(dmarc_row(), domain="elsewhere.example")
        await hand_in(carom, dmarc_mail(yesterday(about_others, report_id="2")))
        sessions = (
            TlsRow("bounces.example.com", "sts", "success", 40),
            TlsRow("bounces.example.com", "sts", "certificate-expired", 3),
        )
        tls = tls_mail(packed(tls_json(yesterday(tls_report(*sessions))), "gzip"))
        await hand_in(carom, REPORTER.signed(tls), "tls-reports")
        other = tls_mail(packed(tls_json(yesterday(tls_report(), report_id="3")), "gzip"))
        await hand_in(carom, other, "tls-reports")
        await carom.all_read()

        async def both() -> tuple[dict[str, Counts], dict[str, Counts]]:
            by_tables = await carom.books(told)
            return by_tables, counted(await carom.metrics(), by_tables)

        async def agreed() -> bool:
            by_tables, by_metrics = await both()
            return by_tables == by_metrics

        with suppress(TimeoutError):  # observers are told after the COMMIT
            await until(agreed, within=10)
        by_tables, by_metrics = await both()
        assert all(by_tables.values())
        assert by_metrics == by_tables


def told(tx: Connection) -> dict[str, Counts]:
    """By metric, each series that counted something, as the tables have it."""
    a = aggregate_reports.c
    e, d, m, t, w = engagements.c, deliveries.c, dmarc_rows.c, tls_rows.c, webhook_calls.c
    said = select(d.stream, d.provider, func.sum(feedback.c.times)).join(
        feedback, feedback.c.delivery_id == d.id
    )
    opened = select(e.stream, e.kind, e["class"], func.count())
    judged = select(m.outcome, case((m.proof == "", "unknown"), else_="ours"), func.sum(m.messages))
    standing = case((~a.counted, "left_out"), (a.signed_by == "", "unsigned"), else_="counted")
    stands = select(standing, func.count())
    refused = select(func.count()).where(raw_inbound.c.error.startswith("not counted"))
    strangers = select(func.count()).select_from(dmarc_sources).where(~dmarc_sources.c.ours)
    tries = select(func.coalesce(func.sum(w.tries), 0)).where(w.state == "waiting")
    webhooks = {
        "delivered": select(func.count()).where(w.state == "done"),
        "deferred": tries,
    }
    return {
        "carom_engagement_total": grouped(tx, opened),
        "carom_feedback_total": grouped(tx, said),
        "carom_dmarc_messages_total": grouped(tx, judged),
        "carom_dmarc_unknown_sources": {frozenset(): one(tx, strangers)},
        "carom_tls_reported_sessions_total": grouped(tx, select(t.result, func.sum(t.sessions))),
        "carom_aggregate_reports_total": grouped(tx, stands)
        | {frozenset({"refused"}): one(tx, refused)},
        "carom_webhook_deliveries_total": {
            frozenset({result}): one(tx, wanted) for result, wanted in webhooks.items()
        },
    }


def one(tx: Connection, wanted: Select[Any]) -> float:
    return float(tx.execute(wanted).scalar_one())


def grouped(tx: Connection, wanted: Select[Any]) -> Counts:
    """The last column by the others."""
    by = list(wanted.selected_columns)[:-1]
    return {
        frozenset(labels): float(value) for *labels, value in tx.execute(wanted.group_by(*by)).all()
    }


def counted(scrape: str, names: Iterable[str]) -> dict[str, Counts]:
    """The same by the metrics; what is 0 left out."""
    found: dict[str, Counts] = {name: {} for name in names}
    for family in text_string_to_metric_families(scrape):
        for sample in family.samples:
            if sample.name in found and sample.value:
                found[sample.name][frozenset(sample.labels.values())] = sample.value
    return found

"""The metrics listener: the text format at once, without a key, also when the database is away."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from carom.metrics_app import metrics_app
from tests.carom.web_peer import URL, web

pytestmark = pytest.mark.anyio

LETTER = {"from": "a@example.com", "to": "bob@example.net", "subject": "Hi", "text": ""}


async def test_metrics_are_read_at_scrape(tmp_path: Path) -> None:
    async with web(tmp_path / "mail") as api:
        transport = httpx2.ASGITransport(metrics_app(api.engine))
        async with httpx2.AsyncClient(transport=transport, base_url=URL) as prometheus:
            await api.post("/v1/messages", LETTER)
            scrape = await prometheus.get("/metrics")
            assert scrape.status_code == 200
            assert scrape.headers["content-type"].startswith("text/plain; version=0.0.4")
            assert 'carom_messages_submitted_total{stream="default"} 1.0' in scrape.text
            assert 'carom_queue_depth{class="transactional"} 1.0' in scrape.text
            assert (await prometheus.get("/healthz")).text == "ok\n"
            assert (await prometheus.get("/")).status_code == 404

            drop = "DROP TABLE suppressions"
            await api.engine.store.write(lambda tx: tx.exec_driver_sql(drop) and None)
            blind = await prometheus.get("/metrics")
            assert blind.status_code == 200
            assert 'carom_messages_submitted_total{stream="default"} 1.0' in blind.text

"""A crash does not show in the counters: they go on, and Prometheus sees neither reset nor gap."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import httpx2 as httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from analysis.lookup import accounts
from analysis.schema import counters
from analysis.store import open_store
from tests.dashboards import prometheus
from tests.dashboards.conftest import _need_prometheus
from tests.flows.house import SHOP, environment, set_up, until
from tests.flows.mortal import Fate, mortal
from tests.peers.counting_sink import CountingSink
from tests.servers import LOOPBACK, free_port
from tests.storing import rows

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

EACH = 60


def delivered(text: str) -> float:
    """What a scrape says of deliveries, in all."""
    families = text_string_to_metric_families(text)
    return sum(s.value for f in families for s in f.samples if s.name == "carom_deliveries_total")


async def test_prometheus_counts_what_the_database_counts_over_kills(tmp_path: Path) -> None:
    """Two lives, the first one ended by kill -9."""
    _need_prometheus()
    url = f"sqlite:///{tmp_path / 'carom.db'}"
    config, key = set_up(tmp_path)
    api, listener, metrics = free_port(), free_port(), free_port()
    target = f"{LOOPBACK}:{metrics}"
    fate = Fate([])
    store = open_store(url)
    client = httpx.AsyncClient(
        base_url=f"http://{LOOPBACK}:{api}",
        headers={"Authorization": f"Bearer {key}"},
        trust_env=False,
        timeout=60,
    )

    async def send(to: Sequence[str]) -> None:
        async def each(one: str) -> bool:
            body = {"from": SHOP, "to": [one], "subject": "Hi", "text": "Hello.\n"}
            try:
                answer = await client.post(
                    "/v1/messages", json=body, headers={"Idempotency-Key": one}
                )
            except httpx.TransportError:
                return False
            return answer.status_code == 202

        await asyncio.gather(*(until(lambda one=one: each(one)) for one in to))  # type: ignore[misc]

    async def settled() -> int:
        states = await store.read(accounts)
        return 0 if states["queued"] or states["sending"] else states["delivered"]

    async def is_kept(count: int) -> bool:
        """What was counted is written, as it is every second."""
        of = counters.c.sample.startswith('["carom_deliveries"')
        return bool(sum(row["value"] for row in await rows(store, counters, of)) == count)

    async def told() -> float:
        try:
            async with httpx.AsyncClient(trust_env=False) as scraper:
                return delivered((await scraper.get(f"http://{target}/metrics")).text)
        except httpx.TransportError:
            return 0.0

    async with CountingSink(lambda: None) as sink, client:
        ports = environment(url, mx=sink.port, ingest=listener, api=api)
        ports["CAROM_API__METRICS_LISTEN"] = target
        async with mortal(tmp_path, config, ports, fate):
            with prometheus.Prometheus(target) as server:
                for life in (1, 2):
                    await send([f"user{life}-{n}@known.example" for n in range(EACH)])
                    assert await until(settled) == EACH * life
                    await until(lambda life=life: is_kept(EACH * life))  # type: ignore[misc]
                    assert await until(told) == EACH * life
                    if life == 1:
                        assert fate.process is not None
                        fate.process.kill()
                total = "sum(carom_deliveries_total)"

                async def seen() -> bool:
                    found = await asyncio.to_thread(server.query, total)
                    return bool(found) and float(found[0]["value"][1]) == EACH * 2

                await until(seen)
                [resets] = server.query("sum(resets(carom_deliveries_total[5m]))")
                assert float(resets["value"][1]) == 0
        await store.close()

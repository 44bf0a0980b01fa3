"""`require_tls`, asked for by a message or by its stream, through the whole of Carom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from analysis.schema import attempts
from sender.tls_store import results
from tests.flows.house import SHOP, House, Sent, carom_house
from tests.peers.certificates import certificate_for
from tests.peers.scripted_mx import ScriptedMX

pytestmark = pytest.mark.anyio


async def submit(carom: House, **fields: Any) -> Sent:
    body = {"from": SHOP, "to": ["ann@example.net"], "subject": "Code", "text": "1234\n", **fields}
    answer = await carom.client.post("/v1/messages", json=body)
    assert answer.status_code == 202, answer.text
    [delivery] = answer.json()["deliveries"]
    return Sent(answer.json()["id"], delivery["id"], delivery["recipient"], delivery)


async def tried(carom: House, sent: Sent) -> list[tuple[str | None, str | None]]:
    """What came of each finished attempt: category and TLS version."""
    of = select(attempts.c.category, attempts.c.tls).where(
        attempts.c.delivery_id == sent.delivery_id, attempts.c.ended_at.is_not(None)
    )
    return [(row.category, row.tls) for row in await carom.books(lambda tx: tx.execute(of).all())]


async def test_a_message_waits_until_the_certificate_holds(
    database_url: str, tmp_path: Path
) -> None:
    """Its neighbour, which asks for nothing, goes meanwhile, encrypted as well as may be."""
    bad, good = certificate_for("127.0.0.1"), certificate_for("127.0.0.1")  # authorities differ
    (tmp_path / "authority.pem").write_bytes(good.authority_pem)
    more = {
        "CAROM_SENDER__TLS__AUTHORITIES": str(tmp_path / "authority.pem"),
        "CAROM_STREAMS": json.dumps({"codes": {"require_tls": True}}),
    }
    async with (
        ScriptedMX(tls=bad.server) as mx,
        carom_house(tmp_path, database_url, mx=mx.port, **more) as carom,
    ):
        plain = await submit(carom)
        by_message = await submit(carom, require_tls=True)
        by_stream = await submit(carom, stream="codes")
        await carom.becomes(plain, "delivered")
        for waiting in (by_message, by_stream):
            while len(await tried(carom, waiting)) < 2:
                await mx.until(lambda seen=mx.connections: mx.connections > seen)
            found = await carom.delivery(waiting)
            assert found["state"] in ("queued", "sending")
            assert set(await tried(carom, waiting)) == {("tls_required", None)}
        assert len(mx.received) == 1
        mx.tls = good.server
        for waiting in (by_message, by_stream):
            await carom.becomes(waiting, "delivered")
        assert [taken.tls for taken in mx.received] == [True] * 3
        shown = (await carom.client.get(f"/v1/messages/{by_message.message_id}")).json()
        assert shown["require_tls"] is True
        metrics = await carom.metrics()
        assert 'carom_tls_sessions_total{policy="opportunistic",version="TLSv1.3"} 1.0' in metrics
        assert 'carom_tls_sessions_total{policy="required",version="TLSv1.3"} 2.0' in metrics
        await carom.engine.tls.put_down()
        day = int(carom.engine.clock() // 86_400)
        counted = await carom.books(lambda tx: results(tx, day))
        assert {row.result.value for row in counted} >= {"ok", "certificate-not-trusted"}
        assert {row.domain for row in counted} == {"example.net"}

"""The database crashes under a running Carom: no promise meanwhile, nothing forgotten."""

from __future__ import annotations

import asyncio
import smtplib
from collections import Counter
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.flows.house import SHOP, carom_house, events_of, until
from tests.ingest.letters import group, report
from tests.peers.counting_sink import CountingSink
from tests.servers import LOOPBACK
from tests.servers.postgres import Postgres

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("error::ResourceWarning")]

BODY = {"from": SHOP, "to": ["late@known.example"], "subject": "Your order", "text": "Hello.\n"}


@pytest.fixture
def durable_url(durable_postgres_server: Postgres) -> str:
    return durable_postgres_server.url(durable_postgres_server.create_database())


async def test_while_the_database_is_gone_nothing_is_promised_and_afterwards_nothing_is_missing(
    durable_postgres_server: Postgres, durable_url: str, tmp_path: Path
) -> None:
    async with (
        CountingSink() as sink,
        carom_house(tmp_path, durable_url, mx=sink.port, troubled=True) as carom,
    ):
        ann = await carom.submit("ann@known.example")
        await carom.becomes(ann, "delivered")
        [copy] = sink.copies

        to = [f"user{number}@known.example" for number in range(100)]
        sink.gate.clear()
        sent = await carom.submit_each(to)

        async def many_wait_for_the_last_answer() -> bool:
            return sink.held >= 5

        await until(many_wait_for_the_last_answer)
        await asyncio.to_thread(durable_postgres_server.crash)
        sink.gate.set()

        refused = await carom.client.post("/v1/messages", json=BODY)
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert "postgres" not in refused.text.lower(), "nothing internal is told"
        assert (await carom.client.get("/readyz")).status_code == 503
        assert (await carom.client.get("/healthz")).status_code == 200
        assert carom.bound.ingest is not None
        code, words = await asyncio.to_thread(hand_in, carom.bound.ingest, copy.return_path)
        assert code == 451, words
        assert "postgres" not in words.lower()

        await asyncio.to_thread(durable_postgres_server.recover)

        async def taken() -> httpx.Response | None:
            answer = await carom.client.post("/v1/messages", json=BODY)
            assert answer.status_code in (202, 503), answer.text
            return answer if answer.status_code == 202 else None

        await until(taken)
        for one in sent:
            await carom.becomes(one, "delivered")
        assert (await carom.client.get("/readyz")).status_code == 200

        # A 250 that came while nobody could write it down was remembered: nothing went out twice.
        copies = Counter(one.recipient for one in sink.copies)
        assert [copies[one] for one in to] == [1] * len(to)
        told = await carom.books(lambda tx: [events_of(tx, one.delivery_id) for one in sent])
        assert [kinds.count("delivered") for kinds in told] == [1] * len(to)

        # The remote host comes again with its report.
        code, words = await asyncio.to_thread(hand_in, carom.bound.ingest, copy.return_path)
        assert code == 250, words
        await carom.becomes(ann, "bounced")
        assert (await carom.suppression("ann@known.example"))["suppressed"] is True


def hand_in(port: int, to: str) -> tuple[int, str]:
    """What the listener answers to a bounce of ann's message."""
    about = group(
        final_recipient="rfc822; ann@known.example",
        action="failed",
        status="5.1.1",
        diagnostic_code="smtp; 550 5.1.1 No such user",
    )
    with smtplib.SMTP(LOOPBACK, port, timeout=60) as door:
        door.ehlo()
        door.mail("")
        assert door.rcpt(to)[0] == 250
        code, words = door.data(report(about))
    return code, words.decode()

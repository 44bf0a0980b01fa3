"""What recipients do with the links of a delivered mail, over real sockets: open, click, leave."""

from __future__ import annotations

import json
import re
from email import message_from_bytes
from html import unescape
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from sqlalchemy import Connection, select, update

from analysis.schema import deliveries, metadata
from tests.flows.house import SHOP, House, Sent, carom_house
from tests.peers.scripted_mx import ScriptedMX
from tests.servers import LOOPBACK

pytestmark = pytest.mark.anyio

BASE = "https://mail.example.com"
TARGET = "https://shop.example/orders?id=7&lang=zh"
HTML = f'<p>Your order: <a href="{unescape(TARGET)}">see it</a></p>'
PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PROXY = "Mozilla/5.0 (via ggpht.com GoogleImageProxy)"
SCANNER = "Barracuda-Scan/1.0 probe-4711"


async def test_a_person_a_proxy_and_a_scanner_are_told_apart(
    database_url: str, tmp_path: Path
) -> None:
    more = {
        "CAROM_API__PUBLIC_URL": BASE,
        "CAROM_STREAMS": json.dumps({"news": {"opens": True, "clicks": True}}),
    }
    async with ScriptedMX() as mx, carom_house(tmp_path, database_url, mx=mx.port, **more) as carom:
        sent = await submit(carom)
        await carom.becomes(sent, "delivered")
        click, picture = links(mx.received[0].content)
        here = f"http://{LOOPBACK}:{carom.bound.api}"

        async def fetch(path: str, agent: str) -> Any:
            return await carom.client.get(here + path, headers={"User-Agent": agent})

        await carom.engine.store.write(lambda tx: accepted_later(tx, sent, 3_600))
        at_once = await fetch(picture, PERSON)  # nobody reads mail in its first second
        assert (at_once.status_code, at_once.headers["content-type"]) == (200, "image/gif")
        await carom.engine.store.write(lambda tx: accepted_later(tx, sent, -7_200))
        led = await fetch(click, PERSON)
        assert (led.status_code, led.headers["location"]) == (302, TARGET)
        await fetch(click, SCANNER)
        await fetch(picture, PROXY)
        forged = await fetch(click.replace("shop.example", "evil.example"), PERSON)
        assert (forged.status_code, "location" in forged.headers) == (404, False)

        told = (await carom.client.get("/v1/stats", params={"stream": "news"})).json()
        people = {"numerator": 1, "denominator": 1, "ratio": 1.0}
        nobody = {"numerator": 0, "denominator": 1, "ratio": 0.0}
        assert told["engagement"] == [
            {**counts("click", human=1, machine=1), "ratio": people},
            {**counts("open", machine=1, unknown=1), "ratio": nobody},
        ]
        elsewhere = (await carom.client.get("/v1/stats", params={"provider": "gmail"})).json()
        assert elsewhere["engagement"] == []
        kept = await carom.books(everything)
        for secret in ("Firefox", "GoogleImageProxy", "probe-4711"):
            assert secret not in kept


async def test_one_click_is_answered_as_a_mail_client_sends_it(
    database_url: str, tmp_path: Path
) -> None:
    """RFC 8058 section 3.2: a POST of the header's own words, without cookie, page or script."""
    more = {
        "CAROM_API__PUBLIC_URL": BASE,
        "CAROM_STREAMS": json.dumps({"news": {"unsubscribe": True}}),
    }
    async with ScriptedMX() as mx, carom_house(tmp_path, database_url, mx=mx.port, **more) as carom:
        sent = await submit(carom)
        await carom.becomes(sent, "delivered")
        letter = message_from_bytes(mx.received[0].content)
        assert letter["List-Unsubscribe-Post"].strip() == "List-Unsubscribe=One-Click"
        link = re.search(rf"<{BASE}(/[^>]+)>", "".join(letter["List-Unsubscribe"].split()))
        assert link
        async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{carom.bound.api}") as client:
            assert (await client.get(link[1])).status_code == 200  # a scanner's look
            assert not (await carom.suppression("ann@example.net"))["suppressed"]
            clicked = await client.post(link[1], data={"List-Unsubscribe": "One-Click"})
            assert clicked.status_code == 200
        assert (await carom.suppression("ann@example.net"))["reason"] == "unsubscribe"
        assert (await submit(carom)).answer["state"] == "suppressed"
        assert (await submit(carom, stream="default")).answer["state"] == "queued"


async def submit(carom: House, stream: str = "news") -> Sent:
    letter = {
        "from": SHOP,
        "to": ["ann@example.net"],
        "subject": "Order",
        "text": "7",
        "html": HTML,
    }
    answer = await carom.client.post("/v1/messages", json={**letter, "stream": stream})
    assert answer.status_code == 202, answer.text
    [delivery] = answer.json()["deliveries"]
    return Sent(answer.json()["id"], delivery["id"], delivery["recipient"], delivery)


def links(content: bytes) -> tuple[str, str]:
    """The paths of the click and of the picture in a delivered message."""
    html = content.decode().replace("=\r\n", "").replace("=3D", "=")
    click = re.search(rf'href="{BASE}(/c/[^"]+)"', html)
    picture = re.search(rf'src="{BASE}(/o/[^"]+)"', html)
    assert click
    assert picture
    return unescape(click[1]), picture[1]


def accepted_later(tx: Connection, sent: Sent, seconds: float) -> None:
    """As if the next host had taken it so much later: the clock of the story is the real one."""
    accepted = update(deliveries).where(deliveries.c.id == sent.delivery_id)
    tx.execute(accepted.values(accepted_at=deliveries.c.accepted_at + seconds))


def counts(kind: str, **by: int) -> dict[str, Any]:
    return {"stream": "news", "kind": kind, "human": 0, "machine": 0, "unknown": 0, **by}


def everything(tx: Connection) -> str:
    """Every row of every table as text."""
    return "\n".join(
        str(row) for table in metadata.sorted_tables for row in tx.execute(select(table))
    )

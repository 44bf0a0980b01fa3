"""Routes of the settings, through the whole of Carom, with relays and addresses that are real."""

from __future__ import annotations

import asyncio
import json
import re
import smtplib
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from analysis.schema import attempts, deliveries, suppressions
from sender.shares import ranked
from tests.flows.house import SHOP, House, Sent, carom_house, until
from tests.peers.scripted_mx import Say, ScriptedMX

pytestmark = pytest.mark.anyio

AUTH = ("PIPELINING", "AUTH PLAIN LOGIN")
DOWN = {"banner": Say("421 4.3.2 closing for repairs", drop=True)}
BAD_PASSWORD = {"auth": Say("535 5.7.8 Authentication credentials invalid")}


def relay(name: str, mx: ScriptedMX, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "host": f"127.0.0.1:{mx.port}",
        "user": name,
        "password": "secret",
        "probe": "300ms",
        **more,
    }


def settings(*routes: dict[str, Any], **more: str) -> dict[str, str]:
    return {
        "CAROM_SENDER__ROUTES": json.dumps(routes),
        "CAROM_SENDER__CONNECTION_MESSAGES": "1",
        **more,
    }


async def tries(carom: House, *sent: Sent) -> list[str]:
    """How each attempt of these ended that was one."""
    of = select(attempts.c.result).where(
        attempts.c.delivery_id.in_([one.delivery_id for one in sent])
    )
    found = await carom.books(lambda tx: list(tx.execute(of).scalars()))
    return [result for result in found if result != "held"]


async def gauge(carom: House, route: str) -> float:
    found = re.search(rf'carom_routes_out{{route="{route}"}} (\S+)', await carom.metrics())
    assert found, "every route of the settings has its gauge"
    return float(found[1])


async def test_two_relays_share_and_one_that_goes_down_is_stood_in_for(
    database_url: str, tmp_path: Path
) -> None:
    async with ScriptedMX(extensions=AUTH) as one, ScriptedMX(extensions=AUTH) as two:
        relays = (relay("one", one, share=3), relay("two", two, share=1))
        routes = settings(*relays, CAROM_SENDER__STATIC_MX="{}")
        async with carom_house(tmp_path, database_url, mx=1, **routes) as carom:
            sent = await carom.submit_each([f"ann{n}@example.net" for n in range(40)])
            await asyncio.gather(*(carom.becomes(each, "delivered") for each in sent))
            lots = [ranked(each.delivery_id, {"one": 3, "two": 1})[0] for each in sent]
            assert len(one.received) == lots.count("one") > len(two.received) > 0
            assert {message.user for message in one.received} == {"one"}
            assert await gauge(carom, "one") == 0

            one.play(DOWN)
            more = await carom.submit_each([f"bob{n}@example.net" for n in range(20)])
            await asyncio.gather(*(carom.becomes(each, "delivered") for each in more))
            assert await tries(carom, *more) == ["accepted"] * 20  # no step of a schedule burnt
            assert len(one.received) == lots.count("one")
            assert await gauge(carom, "one") == 1

            refused = one.connections
            await until(lambda: _at_least(one, refused))
            one.play({})

            async def back() -> bool:
                await carom.submit("eve@example.net")
                return await gauge(carom, "one") == 0

            await until(back)


async def _at_least(mx: ScriptedMX, connections: int) -> bool:
    return mx.connections >= connections


async def test_a_relay_that_refuses_our_password_bounces_nobody(
    database_url: str, tmp_path: Path
) -> None:
    async with ScriptedMX(BAD_PASSWORD, extensions=AUTH) as mx:
        routes = settings(relay("esp", mx), CAROM_SENDER__STATIC_MX="{}")
        async with carom_house(tmp_path, database_url, mx=1, **routes) as carom:
            sent = await carom.submit_each([f"ann{n}@example.net" for n in range(5)])

            async def all_wait() -> bool:
                rule = select(deliveries.c.rule)
                return set(await carom.books(lambda tx: list(tx.execute(rule).scalars()))) == {
                    "routes/out"
                }

            await until(all_wait)
            told = (await carom.client.get("/v1/explain?recipient=ann0@example.net")).json()
            assert told["verdict"] == "queued"
            assert "way out" in told["cause"]
            assert "esp is out: 535 5.7.8" in told["evidence"]
            assert await carom.books(lambda tx: tx.execute(select(suppressions)).all()) == []
            mx.play({})
            await asyncio.gather(*(carom.becomes(each, "delivered") for each in sent))


async def test_530_at_mail_is_our_trouble_too(database_url: str, tmp_path: Path) -> None:
    """A relay that takes no mail without a sign-in says so where a bounce would be said."""
    script = {"mail": [Say("530 5.7.0 Authentication required")]}
    async with ScriptedMX(script, extensions=AUTH) as mx:
        more = {"CAROM_SENDER__STATIC_MX": "{}", "CAROM_SENDER__RELAY": f"127.0.0.1:{mx.port}"}
        async with carom_house(tmp_path, database_url, mx=1, **more) as carom:
            sent = await carom.submit("ann@example.net")
            await carom.becomes(sent, "delivered")
            assert await tries(carom, sent) == ["deferred", "accepted"]


async def test_by_stream_and_class_and_domain(database_url: str, tmp_path: Path) -> None:
    """What no route is for goes as it did: to the relay that the operator named."""
    async with ScriptedMX() as codes, ScriptedMX() as below, ScriptedMX() as rest:
        routes = (
            {"name": "codes", "host": f"127.0.0.1:{codes.port}", "class": "otp"},
            {"name": "below", "host": f"127.0.0.1:{below.port}", "domain": ".example.org"},
        )
        host = {"CAROM_SENDER__RELAY": f"127.0.0.1:{rest.port}", "CAROM_SENDER__STATIC_MX": "{}"}
        async with carom_house(tmp_path, database_url, mx=1, **settings(*routes, **host)) as carom:
            for fields in ({"class": "otp"}, {}):
                [sent] = await carom.submit_each(["ann@example.net"], **fields)
                await carom.becomes(sent, "delivered")
            for domain in ("example.org", "mail.example.org"):
                await carom.becomes(await carom.submit(f"ann@{domain}"), "delivered")
    assert [m.rcpts for m in codes.received] == [["ann@example.net"]]
    assert [m.rcpts for m in below.received] == [["ann@mail.example.org"]]
    assert [m.rcpts for m in rest.received] == [["ann@example.net"], ["ann@example.org"]]


async def test_a_delivery_goes_from_one_address_on_every_try(
    database_url: str, tmp_path: Path
) -> None:
    """An address that is not on this machine is left out, and its mail goes from the others."""
    pool = [
        {"address": "127.0.0.2", "hostname": "two.example.com"},
        {"address": "127.0.0.3", "hostname": "three.example.com"},
        "192.0.2.77",
    ]
    script = {"rcpt": [Say("451 4.7.1 Greylisted, come back later")] * 12}
    async with ScriptedMX(script) as mx:
        more = settings({"name": "direct", "source": pool})
        async with carom_house(tmp_path, database_url, mx=mx.port, troubled=True, **more) as carom:
            sent = await carom.submit_each([f"ann{n}@example.net" for n in range(12)])
            await asyncio.gather(*(carom.becomes(each, "delivered") for each in sent))
            assert await tries(carom, *sent[:1]) == ["deferred", "accepted"]
    assert set(mx.sources) == {"127.0.0.2", "127.0.0.3"}
    names = {line for line in mx.commands if line.startswith("EHLO")}
    assert names == {"EHLO two.example.com", "EHLO three.example.com"}
    log = (tmp_path / "carom.log").read_text()
    assert log.count("source.out") == 1
    assert "192.0.2.77" in log


async def test_over_the_cap_waits_or_is_withheld_by_http_and_smtp(
    database_url: str, tmp_path: Path
) -> None:
    streams = {"news": {"cap": "2 per 1h"}}
    more = {"CAROM_STREAMS": json.dumps(streams)}
    async with (
        ScriptedMX() as mx,
        carom_house(tmp_path, database_url, mx=mx.port, **more) as carom,
    ):
        body = {"from": SHOP, "to": ["ann@example.net"], "text": "Hello.\n", "stream": "news"}
        batch = {"messages": [body, body, body, body | {"class": "otp"}]}
        answer = (await carom.client.post("/v1/messages/batch", json=batch)).json()
        first, second, third, late = (one["deliveries"][0] for one in answer["results"])
        assert (first["state"], second["state"]) == ("queued", "queued")
        assert (third["state"], third["put_off"]["reason"]) == ("queued", "frequency")
        assert third["put_off"]["until"].endswith("Z")
        assert late["state"] == "suppressed"
        assert late["suppression"]["reason"] == "frequency"
        said = await asyncio.to_thread(_by_smtp, carom)
        assert said == (550, said[1])
        assert b"suppressed: frequency since " in said[1]
        told = (await carom.client.get("/v1/explain?recipient=ann@example.net")).json()
        assert told["evidence"].startswith("2 per 3600s is the most")
        reason = 'carom_suppressed_sends_total{reason="frequency",stream="news"} 2.0'
        assert reason in await carom.metrics()


def _by_smtp(carom: House) -> tuple[int, bytes]:
    letter = "From: shop@example.com\r\nX-Carom-Stream: news\r\nX-Carom-Class: otp\r\n\r\nHi.\r\n"
    key = (carom.config.parent / "api.key").read_text().strip()
    with smtplib.SMTP("127.0.0.1", carom.bound.submission) as client:
        client.login("apikey", key)
        client.mail("shop@example.com")
        client.rcpt("ann@example.net")
        return client.data(letter)

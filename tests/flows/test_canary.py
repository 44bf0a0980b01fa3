"""The canary: a bounce that must come back, by the same way as any other."""

from __future__ import annotations

import asyncio
import json
import smtplib
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from analysis import bounce_loop
from analysis.schema import canaries, deliveries, events, messages, suppressions
from carom.ids import ids
from tests.flows.house import BOUNCES, House, carom_house, until
from tests.peers.scripted_mx import ScriptedMX
from tests.servers import LOOPBACK, free_port
from tests.servers.postfix import Postfix

new_id = ids()
pytestmark = pytest.mark.anyio

HOUR = 3_600.0


def to_ourselves(listener: int, elsewhere: int) -> dict[str, str]:
    """The bounce domain's mail comes to our own listener, as its MX record would say."""
    fixed = {BOUNCES: f"{LOOPBACK}:{listener}", "*": f"{LOOPBACK}:{elsewhere}"}
    return {"CAROM_SENDER__STATIC_MX": json.dumps(fixed)}


async def comes_back(carom: House) -> float:
    """Wait until the ledger has recorded the canary's bounce."""
    return (
        await until(lambda: carom.books(lambda tx: bounce_loop.last_return(tx, time.time()))) or 0
    )


def returned(tx: Connection) -> list[str]:
    return list(tx.execute(select(deliveries.c.return_path).order_by(deliveries.c.id)).scalars())


async def test_the_bounce_of_a_canary_comes_back_by_the_real_path(
    tmp_path: Path, database_url: str
) -> None:
    listener = free_port()
    async with (
        ScriptedMX() as mx,
        carom_house(
            tmp_path,
            database_url,
            mx=mx.port,
            ingest=listener,
            **to_ourselves(listener, mx.port),
        ) as carom,
    ):
        await comes_back(carom)  # it was sent by itself at the start
        paths = await carom.books(returned)
        assert len(paths) == 2
        assert paths[1] == "", "its bounce left with the null sender"
        assert paths[0].endswith(f"@{BOUNCES}")
        states = await carom.books(
            lambda tx: list(
                tx.execute(select(deliveries.c.state).order_by(deliveries.c.id)).scalars()
            )
        )
        assert states == ["bounced", "delivered"]

        [line] = [
            x
            for x in (await carom.metrics()).splitlines()
            if x.startswith("carom_bounce_loop_last_ok")
        ]
        assert 0 <= float(line.split()[1]) < 20
        await nothing_else_of_it(carom)


async def nothing_else_of_it(carom: House) -> None:
    """No suppression, no event, no counter, no rate."""
    assert not await carom.books(lambda tx: list(tx.execute(select(suppressions))))
    assert not await carom.books(lambda tx: list(tx.execute(select(events))))
    metrics = await carom.metrics()
    for name in ("carom_messages_submitted_total", "carom_deliveries_total", "carom_bounces_total"):
        assert f"{name}{{" not in metrics
    stats = (await carom.client.get("/v1/stats")).json()
    assert stats["totals"]["deliveries"] == 0


async def test_an_address_elsewhere_can_be_the_one_that_bounces(
    start_postfix: Callable[..., Postfix], tmp_path: Path
) -> None:
    listener = free_port()
    mx = start_postfix(
        accept_then_bounce={"canary@elsewhere.example": (550, "5.1.1", "As ever")},
        routes={BOUNCES: (LOOPBACK, listener)},
    )
    url = f"sqlite:///{tmp_path / 'carom.db'}"
    given = {"CAROM_INGEST__CANARY__ADDRESS": "canary@elsewhere.example"}
    async with carom_house(tmp_path, url, mx=mx.port, ingest=listener, **given) as carom:
        await comes_back(carom)
        assert len(await carom.books(returned)) == 1, "we wrote no bounce ourselves"
        await nothing_else_of_it(carom)


async def test_strangers_make_the_reflector_send_nothing(tmp_path: Path) -> None:
    """Mail caused: 0, whatever they present."""
    listener = free_port()
    url = f"sqlite:///{tmp_path / 'carom.db'}"
    async with (
        ScriptedMX() as mx,
        carom_house(
            tmp_path, url, mx=mx.port, ingest=listener, **to_ourselves(listener, mx.port)
        ) as carom,
    ):
        await comes_back(carom)
        sent = await carom.submit("ann@known.example")
        await carom.becomes(sent, "delivered")
        before = await carom.books(_messages)
        tokens, now = carom.engine.tokens, time.time()
        genuine = tokens.canary_address(new_id(), BOUNCES, expires=now + HOUR)
        used = await carom.books(lambda tx: str(tx.execute(select(canaries.c.id)).scalar_one()))
        again = tokens.canary_address(used, BOUNCES, expires=now + HOUR)
        owner = (await carom.books(returned))[0]
        users = await carom.return_path(sent)
        local = genuine.partition("@")[0]
        forged = f"{local[:-1]}{'1' if local.endswith('0') else '0'}@{BOUNCES}"

        assert await handed_in(listener, "eve@evil.example", forged) == 550
        assert await handed_in(listener, "eve@evil.example", f"canary@{BOUNCES}") == 550
        old = "01hf000000" + new_id()[10:]
        stale = tokens.canary_address(old, BOUNCES, expires=now + HOUR)
        assert await handed_in(listener, owner, stale) == 550, "made more than an hour ago"
        for sender, to in (
            ("eve@evil.example", genuine),  # seen on the way: yet it answers no stranger
            ("", genuine),  # a bounce is never answered
            (users, genuine),  # a return path of users' mail
            (f"b+forged@{BOUNCES}", genuine),
            (owner, genuine),  # a canary that was never sent
            (owner, again),  # one that was answered already
        ):
            await handed_in(listener, sender, to)
        await asyncio.gather(*(handed_in(listener, owner, again) for _ in range(5)))
        assert await carom.books(_messages) == before
        assert len(mx.received) == 1, "the one that a user sent"


def _messages(tx: Connection) -> int:
    return int(tx.execute(select(func.count()).select_from(messages)).scalar_one())


async def handed_in(port: int, sender: str, to: str) -> int:
    """The answer to RCPT, or to the end of DATA where it was taken."""

    def talk() -> int:
        with smtplib.SMTP(LOOPBACK, port, "stranger.example", timeout=60) as client:
            client.ehlo()
            client.mail(sender)
            code, _ = client.rcpt(to)
            return client.data(b"Subject: x\r\n\r\nx\r\n")[0] if code == 250 else code

    return await asyncio.to_thread(talk)


async def test_without_a_real_path_nothing_is_tried(tmp_path: Path) -> None:
    """Where every domain's mail goes to one fixed host there is no loop, and no metric lies."""
    url = f"sqlite:///{tmp_path / 'carom.db'}"
    async with ScriptedMX() as mx, carom_house(tmp_path, url, mx=mx.port) as carom:
        await carom.becomes(await carom.submit("ann@known.example"), "delivered")
        assert "carom_bounce_loop" not in await carom.metrics()
        assert await carom.books(_messages) == 1

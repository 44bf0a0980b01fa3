"""A queue that is full says later at every door, loses nothing, and opens again by itself; the
bounce listener does where too many reports are unread."""

from __future__ import annotations

import smtplib
import time
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from analysis.schema import deliveries
from carom.demo.letters import bounce
from ingest import inbox
from tests.faults.test_receivers_in_trouble import Moody
from tests.flows.house import SHOP, House, Json, carom_house, until
from tests.flows.test_submission import session
from tests.ingest.test_inbox import raw
from tests.peers.smtp_client import dial

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("error::ResourceWarning")]

MOST = 8
NOBODY = ("5.1.1", "550 5.1.1 No such user here")
OTP = {"class": "otp"}
LETTER = "From: Shop <shop@example.com>\r\nSubject: Your order\r\nX-Carom-Class: {}\r\n\r\nx\r\n"


def letter(to: str, **more: str) -> Json:
    return {"from": SHOP, "to": [to], "subject": "Your order", "text": "Hello.\n", **more}


async def handed_in(carom: House, to: str, class_: str = "transactional") -> tuple[int, str]:
    """The answer to one message by SMTP."""

    def hand_in(client: smtplib.SMTP) -> tuple[int, str]:
        client.mail("app@example.com")
        client.rcpt(to)
        code, words = client.data(LETTER.format(class_).encode())
        return code, words.decode()

    return await session(carom, hand_in)


async def test_a_full_queue_is_later_at_every_door_and_never_a_loss(
    tmp_path: Path, database_url: str
) -> None:
    ahead = 0.0
    limits = {
        "CAROM_INTAKE__WAITING": str(MOST),
        "CAROM_SENDER__SCHEDULE__TRANSACTIONAL": "1h*5",
        "CAROM_SENDER__SCHEDULE__OTP": "1h*5",
        "CAROM_SENDER__DEADLINE__OTP": "1d",
    }
    sink = Moody()
    async with (
        sink,
        carom_house(
            tmp_path, database_url, mx=sink.port, clock=lambda: time.time() + ahead, **limits
        ) as carom,
    ):
        sink.mood = "greylisting"
        took = [await carom.submit(f"user{n}@known.example") for n in range(MOST)]
        await until(lambda: _put_off_again(carom, MOST))
        await carom.engine.pressure.look()
        late = await carom.client.post("/v1/messages", json=letter("late@known.example"))
        assert late.status_code == 429
        assert late.json()["type"] == "urn:carom:problem:queue-full"
        assert int(late.headers["Retry-After"]) > 0
        several = {"messages": [letter(f"late{n}@known.example") for n in range(3)]}
        assert (await carom.client.post("/v1/messages/batch", json=several)).status_code == 429
        code, words = await handed_in(carom, "late@known.example")
        assert (code, words[:5]) == (451, "4.4.5")

        urgent = await carom.client.post("/v1/messages", json=letter("code@x.example", **OTP))
        assert urgent.status_code == 202
        assert (await handed_in(carom, "code2@x.example", "otp"))[0] == 250
        assert 'carom_intake_put_off_total{reason="waiting"} 5.0' in await carom.metrics()

        await until(lambda: _put_off_again(carom, MOST + 2))
        sink.mood, ahead = "", 2 * 3_600.0
        for one in took:
            await carom.becomes(one, "delivered")

        async def taken() -> bool:
            answer = await carom.client.post("/v1/messages", json=letter("late@known.example"))
            return answer.status_code == 202

        await until(taken)
        everybody = {one.recipient for one in took} | {"code@x.example", "code2@x.example"}

        async def all_came() -> bool:
            return {copy.recipient for copy in sink.copies} >= everybody | {"late@known.example"}

        await until(all_came)
        assert len(sink.copies) == len(everybody) + 1


async def _put_off_again(carom: House, count: int) -> bool:
    """Whether so many deliveries were tried and wait."""
    waits = (deliveries.c.state == "queued") & (deliveries.c.attempts > 0)
    counted = select(func.count()).select_from(deliveries).where(waits)
    return int(await carom.books(lambda tx: tx.execute(counted).scalar_one())) == count


async def test_a_database_as_large_as_it_may_be_takes_no_new_mail(
    tmp_path: Path, database_url: str
) -> None:
    async with (
        Moody() as sink,
        carom_house(
            tmp_path, database_url, mx=sink.port, CAROM_INTAKE__DATABASE_SIZE="1kB"
        ) as carom,
    ):
        await carom.engine.pressure.look()
        answer = await carom.client.post("/v1/messages", json=letter("ann@known.example"))
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:carom:problem:unavailable")
        code, words = await handed_in(carom, "ann@known.example")
        assert (code, words[:5]) == (452, "4.3.1")
        assert 'carom_intake_put_off_total{reason="full"} 2.0' in await carom.metrics()


async def test_reports_that_nobody_reads_keep_more_of_them_with_their_senders_for_a_while(
    tmp_path: Path, database_url: str
) -> None:
    ahead = 0.0
    async with (
        Moody() as sink,
        carom_house(
            tmp_path,
            database_url,
            mx=sink.port,
            clock=lambda: time.time() + ahead,
            CAROM_INTAKE__UNREAD="4",
        ) as carom,
    ):
        sent = await carom.submit("ann@known.example")
        await carom.becomes(sent, "delivered")
        ours, anybody = await carom.return_path(sent), "postmaster@bounces.example.com"

        await _read_elsewhere(carom, 2)
        assert await _reported_to(carom, anybody) == "451 4.4.5"
        await _read_elsewhere(carom, 2)
        assert await _reported_to(carom, ours) == "451 4.4.5"
        local, _, domain = ours.partition("@")
        forged = f"{local[:-1]}{'y' if local[-1] == 'x' else 'x'}@{domain}"
        assert await _reported_to(carom, forged) == "550 5.1.1"
        metrics = await carom.metrics()
        assert 'carom_intake_put_off_total{reason="unread"} 2.0' in metrics
        assert 'carom_inbound_refused_total{reason="unread"} 2.0' in metrics
        await carom.becomes(await carom.submit("bob@known.example"), "delivered")

        ahead = 2 * 3_600.0

        async def taken() -> bool:
            return await _reported_to(carom, ours) == "250 2.0.0"

        await until(taken)
        await carom.becomes(sent, "bounced")


async def _read_elsewhere(carom: House, reports: int) -> None:
    """So many more, which a reader that does not get on holds for an hour."""
    now = time.time()

    def keep(tx: Connection) -> None:
        inbox.keep(tx, [raw(id=carom.engine.new_id(), received_at=now) for _ in range(reports)])
        held = inbox.claim(tx, node="elsewhere", now=now, lease=3_600.0, limit=100)
        assert len(held) == reports

    await carom.engine.store.write(keep)
    await carom.engine.backlog.look()


async def _reported_to(carom: House, address: str) -> str:
    """The code of the answer to a bounce of ours, which may come at its recipient."""
    async with dial(carom.bound.ingest or 0) as wire:
        await wire.say("MAIL FROM:<>")
        answer = await wire.say(f"RCPT TO:<{address}>")
        if answer.startswith("2"):
            await wire.say("DATA")
            sent = b"Subject: Your order\r\n\r\nHello.\r\n"
            answer = await wire.say(bounce(address, "ann@known.example", sent, *NOBODY) + b"\r\n.")
        return answer[:9]

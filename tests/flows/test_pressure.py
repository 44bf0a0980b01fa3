"""A queue that is full says later at every door, loses nothing, and opens again by itself."""

from __future__ import annotations

import smtplib
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from analysis.schema import deliveries
from tests.faults.test_receivers_in_trouble import Moody
from tests.flows.house import SHOP, House, Json, carom_house, until
from tests.flows.test_submission import session

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("error::ResourceWarning")]

MOST = 8
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

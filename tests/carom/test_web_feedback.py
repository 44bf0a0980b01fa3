"""Feedback ("did not get it?"): recorded once, answered for who waits, tried again."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Connection, Executable, insert, select, update

from analysis.address import address_hash
from analysis.schema import deliveries, events, feedback, suppressions
from analysis.suppression import Reason, Suppression, suppress
from sender.tokens import Purpose
from tests.carom.web_peer import URL, Web, web

pytestmark = pytest.mark.anyio

DAY = 86_400.0
BOB = "bob@example.net"
STREAMS = '{"codes": {"feedback": true, "class": "otp"}, "news": {"feedback": true}, "plain": {}}'
ENVIRON = {"CAROM_STREAMS": STREAMS, "CAROM_API__PUBLIC_URL": URL}


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Web]:
    async with web(tmp_path, **ENVIRON) as running:
        yield running


async def sent(app: Web, stream: str = "news", to: Any = BOB) -> Any:
    body = {
        "from": "a@example.com",
        "to": to,
        "subject": "Your code is 123456",
        "text": "123456",
        "stream": stream,
    }
    answer = await app.post("/v1/messages", body)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def softly_suppressed(app: Web, reason: Reason = Reason.SOFT_BOUNCE) -> None:
    now = time.time()
    entry = Suppression(
        address_hash(BOB), "*", reason, BOB, now, now + 7 * DAY, "mailbox full", "carom",
        category="mailbox_full",
    )  # fmt: skip
    await app.engine.store.write(lambda tx: suppress(tx, [entry]))


async def write(app: Web, statement: Executable) -> None:
    def work(tx: Connection) -> None:
        tx.execute(statement)

    await app.engine.store.write(work)


def path(delivery: Any) -> str:
    return str(urlsplit(delivery["feedback_url"]).path)


async def told(app: Web) -> list[str]:
    kinds = select(events.c.kind).where(events.c.kind == "delivery.feedback")
    return await app.read(lambda tx: list(tx.execute(kinds).scalars()))


async def test_only_streams_that_want_it_answer_with_a_link(app: Web) -> None:
    assert "feedback_url" in (await sent(app))["deliveries"][0]
    assert "feedback_url" not in (await sent(app, "plain"))["deliveries"][0]


async def test_a_key_used_twice_gets_the_same_link_again(app: Web) -> None:
    body = {"from": "a@example.com", "to": BOB, "subject": "S", "text": "t", "stream": "news"}
    headers = {"Idempotency-Key": "k"}
    first, second = [(await app.post("/v1/messages", body, headers)).json() for _ in range(2)]
    assert first == second


async def test_without_a_public_url_there_is_no_link(tmp_path: Path) -> None:
    async with web(tmp_path, CAROM_STREAMS=STREAMS, CAROM_API__PUBLIC_URL="") as app:
        assert "feedback_url" not in (await sent(app))["deliveries"][0]


async def test_a_look_changes_nothing_and_a_post_records(app: Web) -> None:
    (delivery,) = (await sent(app))["deliveries"]
    page = await app.client.get(path(delivery))
    assert page.status_code == 200
    assert '<form method="post">' in page.text
    assert await told(app) == []
    page = await app.client.post(path(delivery), data={"said": "missing"})
    assert page.status_code == 200
    assert "waits for its next try" in page.text
    assert await told(app) == ["delivery.feedback"]
    counted = app.engine.metrics.exposition().decode()
    assert 'carom_feedback_total{provider="other",stream="news"} 1.0' in counted


async def test_no_page_names_the_address_or_the_subject(app: Web) -> None:
    (delivery,) = (await sent(app))["deliveries"]
    for answer in (
        await app.client.get(path(delivery)),
        await app.client.post(path(delivery)),
        await app.post(f"/v1/messages/{(await sent(app))['id']}/feedback", {}),
    ):
        assert "bob" not in answer.text
        assert "123456" not in answer.text


async def test_chinese_for_who_reads_it(app: Web) -> None:
    (delivery,) = (await sent(app))["deliveries"]
    headers = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}
    assert "没有收到" in (await app.client.get(path(delivery), headers=headers)).text
    assert "感谢" in (await app.client.post(f"{path(delivery)}?lang=zh")).text
    assert 'lang="en"' in (await app.client.get(f"{path(delivery)}?lang=xx")).text


async def test_said_again_within_the_hour_it_counts_once(app: Web) -> None:
    message = await sent(app)
    answers = [(await app.post(f"/v1/messages/{message['id']}/feedback", {})) for _ in range(3)]
    assert [answer.json()["recorded"] for answer in answers] == [True, False, False]
    assert len(await told(app)) == 1
    hour_ago = update(feedback).values(last_at=time.time() - 3_601)
    await write(app, hour_ago)
    again = await app.post(f"/v1/messages/{message['id']}/feedback", {})
    assert again.json()["recorded"] is True
    most = update(feedback).values(last_at=0.0, times=10)
    await write(app, most)
    last = await app.post(f"/v1/messages/{message['id']}/feedback", {})
    assert last.json()["recorded"] is False


async def test_a_softly_suppressed_address_is_tried_once_more(app: Web) -> None:
    await softly_suppressed(app)
    message = await sent(app)
    assert message["deliveries"][0]["state"] == "suppressed"
    answer = (await app.post(f"/v1/messages/{message['id']}/feedback", {})).json()
    probe = (await app.get(f"/v1/messages/{answer['probe']['message_id']}")).json()
    assert (probe["class"], probe["deliveries"][0]["state"]) == ("otp", "queued")
    assert probe["metadata"]["resend_of"] == message["id"]
    assert "full" in answer["advice"]
    other = await sent(app)
    again = (await app.post(f"/v1/messages/{other['id']}/feedback", {})).json()
    assert again["probe"] is None, "one probe in a window"


@pytest.mark.parametrize("reason", [Reason.HARD_BOUNCE, Reason.COMPLAINT, Reason.UNSUBSCRIBE])
async def test_what_is_no_soft_bounce_is_not_tried(app: Web, reason: Reason) -> None:
    await softly_suppressed(app, reason)
    await softly_suppressed(app)
    message = await sent(app)
    answer = (await app.post(f"/v1/messages/{message['id']}/feedback", {})).json()
    assert (answer["verdict"], answer["probe"]) == ("suppressed", None)


async def test_a_login_code_that_ran_out_is_not_sent_again(app: Web) -> None:
    await softly_suppressed(app)
    probed = update(suppressions).values(probed_at=time.time())
    await write(app, probed)
    message = await sent(app, "codes")

    def late(tx: Any) -> None:
        tx.execute(update(deliveries).values(deadline=time.time() - 1))
        tx.execute(update(suppressions).values(probed_at=None))

    await app.engine.store.write(late)
    answer = (await app.post(f"/v1/messages/{message['id']}/feedback", {})).json()
    assert answer["probe"] is None


async def test_of_several_deliveries_one_is_named(app: Web) -> None:
    message = await sent(app, to=[BOB, "ann@example.net"])
    where = f"/v1/messages/{message['id']}/feedback"
    unnamed = await app.post(where, {})
    assert (unnamed.status_code, unnamed.json()["field"]) == (422, "delivery")
    id_ = message["deliveries"][1]["id"]
    assert (await app.post(where, {"delivery": id_})).json()["delivery_id"] == id_
    foreign = (await sent(app))["deliveries"][0]["id"]
    assert (await app.post(where, {"delivery": foreign})).status_code == 422


async def test_what_is_not_there_is_404_and_what_is_too_old_410(app: Web) -> None:
    (delivery,) = (await sent(app))["deliveries"]
    tokens, id_ = app.engine.tokens, delivery["id"]
    old = tokens.issue(Purpose.FEEDBACK, id_, expires=time.time() - 3 * DAY)
    other = tokens.issue(Purpose.UNSUBSCRIBE, id_, expires=time.time() + DAY)
    gone = tokens.issue(Purpose.FEEDBACK, "01m00000000000000000000000", expires=time.time() + DAY)
    for token, status in ((old, 410), (other, 404), ("x", 404), (gone, 410)):
        assert (await app.client.post(f"/f/{token}")).status_code == status
    assert await told(app) == []
    for id_ in ("x", "01m00000000000000000000000"):
        assert (await app.post(f"/v1/messages/{id_}/feedback", {})).status_code == 404


async def test_every_delivery_is_counted_under_a_bounded_label(app: Web) -> None:
    row = {"delivery_id": "0" * 26, "first_at": 0.0, "last_at": 0.0, "times": 1}
    kept = insert(feedback).values(**row, source="api", state="queued")
    await write(app, kept)
    for n in range(40):
        app.engine.counting.missed(f"stream{n}", "nobody")
    lines = app.engine.metrics.exposition().decode().splitlines()
    assert len([line for line in lines if line.startswith("carom_feedback_total{")]) <= 40

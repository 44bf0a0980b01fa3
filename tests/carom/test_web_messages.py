"""`/v1/messages`: accepted after COMMIT, looked up, cancelled, sent again; both databases."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, update

from analysis import keys
from analysis.schema import bodies, deliveries, messages
from tests.carom.web_peer import Web, on, web

pytestmark = pytest.mark.anyio

LETTER: dict[str, Any] = {
    "from": "Ada <ada@example.com>",
    "to": ["bob@example.net", {"email": "eve@example.org", "name": "Eve"}],
    "subject": "Your receipt",
    "text": "Thank you.",
}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Web]:
    async with web(tmp_path / "mail") as made:
        yield made


def count(tx: Connection) -> int:
    return int(tx.execute(select(func.count()).select_from(messages)).scalar_one())


def content_of(message_id: str) -> Any:
    return lambda tx: bytes(
        tx.execute(select(bodies.c.content).where(bodies.c.message_id == message_id)).scalar_one()
    )


async def test_the_story_of_a_message(database_url: str, tmp_path: Path) -> None:
    """Handed in, withheld where it must be, looked up, found, cancelled, sent again."""
    async with web(tmp_path / "mail", **on(database_url)) as api:
        await api.client.put("/v1/suppressions/eve@example.org", json={"note": "asked by phone"})
        taken = await api.post("/v1/messages", LETTER)
        assert taken.status_code == 202
        first, second = taken.json()["deliveries"]
        assert (first["recipient"], first["state"]) == ("bob@example.net", "queued")
        assert "suppression" not in first
        assert (second["recipient"], second["state"]) == ("eve@example.org", "suppressed")
        assert second["suppression"]["reason"] == "manual"
        assert second["suppression"]["evidence"] == "asked by phone"
        assert second["suppression"]["since"].endswith("Z")

        path = f"/v1/messages/{taken.json()['id']}"
        found = (await api.get(path)).json()
        assert found["subject"] == "Your receipt"
        assert [d["state"] for d in found["deliveries"]] == ["queued", "suppressed"]
        facts = (await api.get(f"{path}/timeline")).json()["timeline"]
        assert [fact["kind"] for fact in facts] == ["accepted", "withheld"]

        page = (await api.get("/v1/messages", {"recipient": "BOB@example.net"})).json()
        assert [d["id"] for d in page["deliveries"]] == [first["id"]]

        cancelled = (await api.client.post(f"{path}/cancel")).json()
        assert cancelled["cancelled"] == 1
        assert [d["state"] for d in cancelled["deliveries"]] == ["cancelled", "suppressed"]

        again = await api.post(f"{path}/resend", {"to": ["bob@example.net"]})
        assert again.status_code == 202
        assert again.json()["id"] != found["id"]
        assert [d["recipient"] for d in again.json()["deliveries"]] == ["bob@example.net"]
        kept = (await api.get(f"/v1/messages/{again.json()['id']}")).json()
        assert kept["metadata"] == {"resend_of": found["id"]}
        assert kept["message_id"] != found["message_id"]


async def test_the_same_key_gets_the_same_answer(database_url: str, tmp_path: Path) -> None:
    async with web(tmp_path / "mail", **on(database_url)) as api:
        once = {"Idempotency-Key": "order-17"}
        first = await api.post("/v1/messages", LETTER, once)
        second = await api.post("/v1/messages", LETTER, once)
        assert second.status_code == 202
        assert second.json() == first.json()
        assert "Idempotency-Replayed" not in first.headers
        assert second.headers["Idempotency-Replayed"] == "true"
        other = await api.post("/v1/messages", {**LETTER, "subject": "Another"}, once)
        assert other.status_code == 409
        assert other.json()["type"] == "urn:carom:problem:idempotency-conflict"
        assert await api.read(count) == 1


async def test_a_key_of_another_caller_is_another_key(api: Web) -> None:
    made = keys.make("other", ["send"], lambda n: bytes(range(n)))
    await api.engine.store.write(lambda tx: keys.add(tx, made.key, now=0.0))
    mine = await api.post("/v1/messages", LETTER, {"Idempotency-Key": "1"})
    theirs = await api.post(
        "/v1/messages",
        LETTER,
        {"Idempotency-Key": "1", "Authorization": f"Bearer {made.text}"},
    )
    assert mine.status_code == theirs.status_code == 202
    assert mine.json()["id"] != theirs.json()["id"]


@pytest.mark.parametrize("bad", ["x" * 256, " x", "x\ty", "caf\xe9"])
async def test_an_idempotency_key_is_printable_and_short(api: Web, bad: str) -> None:
    refused = await api.client.post(
        "/v1/messages", json=LETTER, headers=[(b"Idempotency-Key", bad.encode("latin-1"))]
    )
    assert refused.status_code == 422
    assert refused.json()["field"] == "Idempotency-Key"


async def test_a_batch_answers_each_message_at_its_place(api: Web) -> None:
    batch = {"messages": [LETTER, {**LETTER, "to": ["nobody"]}, 5, LETTER]}
    answer = await api.post("/v1/messages/batch", batch, {"Idempotency-Key": "b1"})
    assert answer.status_code == 202
    results = answer.json()["results"]
    assert [one["status"] for one in results] == [202, 422, 422, 202]
    assert results[1]["problem"]["field"] == "to[0]"
    assert results[0]["id"] != results[3]["id"]
    again = (await api.post("/v1/messages/batch", batch, {"Idempotency-Key": "b1"})).json()
    assert again["results"][0]["id"] == results[0]["id"]
    assert await api.read(count) == 2


async def test_a_batch_is_bounded(api: Web) -> None:
    refused = await api.post("/v1/messages/batch", {"messages": [LETTER] * 501})
    assert refused.status_code == 422
    assert refused.json()["field"] == "messages"


READY = (
    b"From: ada@example.com\r\nTo: bob@example.net\r\nBcc: eve@example.org\r\n"
    b"Subject: Ready\r\n\r\nAs it is.\r\n"
)


async def test_a_ready_message_goes_to_whom_its_headers_name(api: Web) -> None:
    answer = await api.client.post(
        "/v1/messages/raw?stream=news&class=bulk",
        content=READY,
        headers={"Content-Type": "message/rfc822"},
    )
    assert answer.status_code == 202
    assert [d["recipient"] for d in answer.json()["deliveries"]] == [
        "bob@example.net",
        "eve@example.org",
    ]
    content = await api.read(content_of(answer.json()["id"]))
    assert b"As it is." in content
    assert b"Bcc" not in content


async def test_a_ready_message_goes_to_whom_the_query_names(api: Web) -> None:
    answer = await api.client.post(
        "/v1/messages/raw?to=zoe%2Ba@example.net&to=yan+b@example.net",
        content=READY,
        headers={"Content-Type": "message/rfc822"},
    )
    assert [d["recipient"] for d in answer.json()["deliveries"]] == [
        "zoe+a@example.net",
        "yan+b@example.net",
    ]


@pytest.mark.parametrize("raw", [READY.decode(), base64.b64encode(READY).decode()])
async def test_a_ready_message_comes_in_json_as_text_or_base64(api: Web, raw: str) -> None:
    answer = await api.post("/v1/messages/raw", {"raw": raw, "to": "bob@example.net"})
    assert answer.status_code == 202
    assert b"As it is." in await api.read(content_of(answer.json()["id"]))


async def test_a_ready_message_of_another_kind_is_not_guessed_at(api: Web) -> None:
    answer = await api.client.post("/v1/messages/raw", content=READY)
    assert answer.status_code == 415


async def test_attachments_are_sent_as_given(api: Web) -> None:
    file = {"filename": "a.txt", "content_type": "text/plain", "content": "aGVsbG8="}
    answer = await api.post("/v1/messages", {**LETTER, "attachments": [file]})
    content = await api.read(content_of(answer.json()["id"]))
    assert b'filename="a.txt"' in content
    assert b"aGVsbG8=" in content


async def test_a_stream_may_have_a_sender_of_its_own(tmp_path: Path) -> None:
    environ = {"CAROM_STREAMS__NEWS__FROM": "News <news@example.com>"}
    letter = {name: value for name, value in LETTER.items() if name != "from"}
    async with web(tmp_path / "mail", **environ) as api:
        taken = await api.post("/v1/messages", {**letter, "stream": "news"})
        found = await api.get(f"/v1/messages/{taken.json()['id']}")
        assert found.json()["from"] == "news@example.com"
        refused = await api.post("/v1/messages", letter)
        assert refused.json()["field"] == "from"


async def test_listings_go_on_where_they_ended(api: Web) -> None:
    for number in range(3):
        await api.post("/v1/messages", {**LETTER, "subject": str(number), "to": "bob@example.net"})
    subjects: list[str] = []
    query = {"limit": "2"}
    while True:
        page = (await api.get("/v1/messages", query)).json()
        subjects += [one["subject"] for one in page["deliveries"]]
        if page["cursor"] is None:
            break
        query["cursor"] = page["cursor"]
    assert subjects == ["2", "1", "0"]


async def test_content_that_is_gone_cannot_be_sent_again(api: Web) -> None:
    taken = (await api.post("/v1/messages", LETTER)).json()
    await api.engine.store.write(lambda tx: tx.execute(bodies.delete()) and None)
    refused = await api.client.post(f"/v1/messages/{taken['id']}/resend")
    assert refused.status_code == 410


async def test_what_is_on_the_wire_is_not_cancelled(api: Web) -> None:
    taken = (await api.post("/v1/messages", LETTER)).json()
    sending = update(deliveries).values(state="sending")
    await api.engine.store.write(lambda tx: tx.execute(sending) and None)
    answer = (await api.client.post(f"/v1/messages/{taken['id']}/cancel")).json()
    assert answer["cancelled"] == 0


@pytest.mark.parametrize("path", ["", "/timeline"])
@pytest.mark.parametrize("one", ["01m00000000000000000000000", "x", "%00", "..%2F"])
async def test_a_message_that_is_not_there_is_404(api: Web, one: str, path: str) -> None:
    assert (await api.get(f"/v1/messages/{one}{path}")).status_code == 404


async def test_a_store_that_is_away_takes_nothing_and_says_so(api: Web) -> None:
    """The real writer, with its database taken away by another process's lock."""
    path = api.engine.store.url.database
    await api.engine.store.write(lambda tx: tx.exec_driver_sql("PRAGMA busy_timeout=1") and None)
    assert path is not None
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        for url, body in (("/v1/messages", LETTER), ("/v1/messages/batch", {"messages": [LETTER]})):
            answer = await api.post(url, body)
            assert answer.status_code == 503
            assert answer.headers["Retry-After"]
            assert "sqlite" not in answer.text.lower()
    finally:
        other.close()
    assert (await api.post("/v1/messages", LETTER)).status_code == 202

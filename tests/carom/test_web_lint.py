"""The lint over HTTP: asked for, told with a 202, in the events, and as a refusal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.carom.web_peer import Web, on, web

pytestmark = pytest.mark.anyio

LETTER = {"from": "Shop <a@example.com>", "to": ["b@example.net"], "subject": "Hi", "text": "Hi."}
HOLLOW = {**LETTER, "html": '<p><a href="#">x</a></p>'}
FOREIGN = {**LETTER, "from": "Shop <a@example.org>"}
STREAMS = '{"strict": {"compliance": "refuse"}, "quiet": {"compliance": "off"}}'


@pytest.fixture
async def peer(tmp_path: Path, migrated_url: str) -> AsyncIterator[Web]:
    async with web(tmp_path, **on(migrated_url), CAROM_STREAMS=STREAMS) as peer:
        yield peer


async def test_findings_come_with_the_answer_and_in_an_event(peer: Web) -> None:
    well = (await peer.post("/v1/messages", LETTER)).json()
    assert "findings" not in well
    taken = (await peer.post("/v1/messages", HOLLOW)).json()
    [found] = taken["findings"]
    assert (found["code"], found["severity"], found["where"]) == ("link_empty", "warning", "html")
    assert found["text"]["en"]
    assert found["mend"]["zh"]
    events = (await peer.get("/v1/events")).json()["events"]
    [told] = [one for one in events if one["type"] == "linted"]
    assert told["message_id"] == taken["id"]
    assert told["data"] == {"stream": "default", "findings": ["link_empty"]}


async def test_a_strict_stream_refuses_an_error_and_takes_a_warning(peer: Web) -> None:
    refused = await peer.post("/v1/messages", {**FOREIGN, "stream": "strict"})
    assert (refused.status_code, refused.json()["field"]) == (422, "from")
    assert "from_unaligned" in refused.json()["detail"]
    assert (await peer.post("/v1/messages", {**HOLLOW, "stream": "strict"})).status_code == 202
    assert (await peer.post("/v1/messages", FOREIGN)).status_code == 202


async def test_a_quiet_stream_is_not_looked_at(peer: Web) -> None:
    taken = await peer.post("/v1/messages", {**FOREIGN, "stream": "quiet"})
    assert (taken.status_code, "findings" in taken.json()) == (202, False)


async def test_a_message_is_linted_without_being_sent(peer: Web) -> None:
    told = (await peer.post("/v1/lint", {**FOREIGN, "stream": "strict"})).json()
    assert (told["policy"], told["refused"]) == ("refuse", True)
    assert [one["code"] for one in told["findings"]] == ["from_unaligned"]
    raw = b"From: a@x.example, b@x.example\r\nSubject: x\r\n\r\nHello"
    answer = await peer.client.post(
        "/v1/lint", content=raw, headers={"Content-Type": "message/rfc822"}
    )
    assert answer.json()["findings"][0]["code"] == "from_malformed"
    assert (await peer.get("/v1/messages")).json()["deliveries"] == []

"""Templates over HTTP: put, preview, use, test and archive, and what is refused on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from analysis import lookup
from analysis.schema import audit
from tests.carom.web_peer import Web, on, web

pytestmark = pytest.mark.anyio

RESET = {
    "subject": "{{ user.name }}, your code",
    "html": '<p>Hello {{ user.name }}: <a href="{{ url }}">go on</a></p>',
}
DATA = {"user": {"name": "Ann & Bo"}, "url": "https://example.com/?a=1&b=2"}
MESSAGE = {"from": "Carom <a@example.com>", "to": ["bob@example.net"], "template": "reset"}


@pytest.fixture
async def peer(tmp_path: Path, migrated_url: str) -> AsyncIterator[Web]:
    async with web(tmp_path, **on(migrated_url)) as peer:
        yield peer


async def put(peer: Web, name: str = "reset", **parts: Any) -> Any:
    return await peer.client.put(f"/v1/templates/{name}", json={**RESET, **parts})


async def content_of(peer: Web, message_id: str) -> str:
    found = await peer.read(lambda tx: lookup.content(tx, message_id))
    assert found is not None
    return found.decode()


async def test_a_put_makes_a_version_once_and_is_audited(peer: Web) -> None:
    first, again, second = await put(peer), await put(peer), await put(peer, subject="Code")
    assert [one.status_code for one in (first, again, second)] == [201, 200, 201]
    assert [one.json()["version"] for one in (first, again, second)] == [1, 1, 2]
    kept = (await peer.get("/v1/templates/reset")).json()
    assert kept["subject"] == "Code"
    assert [one["version"] for one in kept["versions"]] == [2, 1]
    old = (await peer.get("/v1/templates/reset/versions/1")).json()
    assert old["subject"] == RESET["subject"]
    rows = await peer.read(lambda tx: tx.execute(select(audit.c.action, audit.c.subject)).all())
    assert [tuple(row) for row in rows] == [
        ("template.put", "reset@1"),
        ("template.put", "reset@2"),
    ]


async def test_a_message_is_made_of_its_template_and_names_the_version(peer: Web) -> None:
    await put(peer)
    taken = await peer.post("/v1/messages", {**MESSAGE, "data": DATA})
    assert taken.status_code == 202, taken.text
    message_id = taken.json()["id"]
    shown = (await peer.get(f"/v1/messages/{message_id}")).json()
    assert shown["template"] == "reset@1"
    assert shown["subject"] == "Ann & Bo, your code"
    content = await content_of(peer, message_id)
    assert "Hello Ann &amp; Bo" in content
    assert "Hello Ann & Bo: go on <https://example.com/?a=1&b=2>" in content.replace("=3D", "=")


async def test_what_the_data_lack_is_named(peer: Web) -> None:
    await put(peer)
    body = {**MESSAGE, "data": {"user": {}, "url": "https://example.com"}}
    refused = await peer.post("/v1/messages", body)
    assert (refused.status_code, refused.json()["field"]) == (422, "data.user.name")
    batch = {"messages": [body, {**MESSAGE, "data": DATA}]}
    results = (await peer.post("/v1/messages/batch", batch)).json()["results"]
    assert [one["status"] for one in results] == [422, 202]
    assert results[0]["problem"]["field"] == "data.user.name"


async def test_the_nearest_language_is_used(peer: Web) -> None:
    await put(peer)
    await put(peer, lang="zh", subject="{{ user.name }} 的验证码")
    for lang, version in (("zh-Hans-CN", 2), ("zh", 2), ("fr", 1), ("", 1)):
        choice = {"name": "reset", "lang": lang}
        taken = await peer.post("/v1/messages", {**MESSAGE, "template": choice, "data": DATA})
        shown = (await peer.get(f"/v1/messages/{taken.json()['id']}")).json()
        assert shown["template"] == f"reset@{version}", lang
    listed = (await peer.get("/v1/templates")).json()["templates"]
    assert listed == [{"name": "reset", "version": 2, "languages": ["", "zh"]}]


async def test_a_preview_shows_every_part_and_what_is_wrong(peer: Web) -> None:
    await put(peer)
    shown = (await peer.post("/v1/templates/reset/preview", {"data": DATA})).json()
    assert shown["subject"] == "Ann & Bo, your code"
    assert shown["text"].startswith("Hello Ann & Bo: go on")
    assert shown["text_made"] is True
    draft = {"subject": "Hi", "html": '<p>Hi <a href="#">there</a></p>'}
    shown = (await peer.post("/v1/templates/any/preview", {"draft": draft})).json()
    assert shown["version"] is None
    assert "link_empty" in [one["code"] for one in shown["findings"]]


async def test_a_test_is_sent_to_one_address(peer: Web) -> None:
    await put(peer)
    wish = {"to": "me@example.com", "from": "a@example.com", "data": DATA}
    taken = await peer.post("/v1/templates/reset/test", wish)
    assert taken.status_code == 202, taken.text
    assert [one["recipient"] for one in taken.json()["deliveries"]] == ["me@example.com"]


async def test_an_archived_template_is_out_of_use_until_it_is_put_again(peer: Web) -> None:
    await put(peer)
    assert (await peer.client.delete("/v1/templates/reset?why=old")).json()["archived"] == 1
    assert (await peer.client.delete("/v1/templates/reset")).status_code == 404
    refused = await peer.post("/v1/messages", {**MESSAGE, "data": DATA})
    assert (refused.status_code, refused.json()["field"]) == (422, "template")
    assert (await peer.get("/v1/templates")).json()["templates"] == []
    assert (await put(peer)).json()["version"] == 2
    assert (await peer.post("/v1/messages", {**MESSAGE, "data": DATA})).status_code == 202


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"subject": "x", "html": "{% for %}"}, "html"),
        ({"subject": "{{", "text": "x"}, "subject"),
        ({"subject": "x"}, "html"),
        ({"subject": "x", "html": "{% include 'a' %}"}, "html"),
        ({"subject": "x", "text": "a\0b"}, "text"),
        ({"subject": "x", "text": "x", "lang": "not a language"}, "lang"),
    ],
)
async def test_what_is_no_template_is_refused_by_field(
    peer: Web, body: dict[str, Any], field: str
) -> None:
    refused = await peer.client.put("/v1/templates/x", json=body)
    assert (refused.status_code, refused.json()["field"]) == (422, field)


async def test_a_template_leaves_no_room_for_other_words(peer: Web) -> None:
    await put(peer)
    for extra in ({"subject": "x"}, {"text": "x"}, {"html": "x"}):
        refused = await peer.post("/v1/messages", {**MESSAGE, "data": DATA, **extra})
        assert (refused.status_code, refused.json()["field"]) == (422, "template")
    bare = {"from": "a@example.com", "to": ["b@example.net"], "text": "x", "data": {}}
    assert (await peer.post("/v1/messages", bare)).json()["field"] == "data"

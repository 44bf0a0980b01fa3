"""`/v1/webhooks` from outside: a secret shown once, a test that answers, a replay, problems."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from analysis.events import announce, event
from carom import hooking
from tests.carom.web_peer import Web, web
from tests.peers.webhook_receiver import WebhookReceiver

pytestmark = pytest.mark.anyio

ALLOWED = {"CAROM_WEBHOOKS__ALLOW_NETWORKS": '["127.0.0.0/8"]'}


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Web]:
    async with web(tmp_path, **ALLOWED) as running:
        yield running


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver() as running:
        yield running


async def made(app: Web, url: str, **terms: Any) -> Any:
    answer = await app.post("/v1/webhooks", {"url": url, **terms})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def happen(app: Web, kind: str) -> None:
    rows = [event(kind, at=time.time(), data={})]
    await app.engine.store.write(lambda tx: announce(tx, rows))


async def test_the_secret_is_shown_once(app: Web, receiver: WebhookReceiver) -> None:
    hook = await made(app, receiver.url, events=["bounced"], description="ours")
    assert hook["secret"].startswith("whsec_")
    there = (await app.get(f"/v1/webhooks/{hook['id']}")).json()
    assert there == {name: value for name, value in hook.items() if name != "secret"}
    listed = (await app.get("/v1/webhooks")).json()
    assert listed == {"webhooks": [there], "cursor": None}
    assert hook["secret"] not in (await app.get("/v1/webhooks")).text
    assert (there["state"], there["events"], there["waiting"]) == ("active", ["bounced"], 0)


async def test_a_test_says_what_the_endpoint_said(app: Web, receiver: WebhookReceiver) -> None:
    hook = await made(app, receiver.url)
    receiver.say(500, 204)
    path = f"/v1/webhooks/{hook['id']}/test"
    bad, good = [(await app.post(path, {})).json() for _ in range(2)]
    assert (bad["delivered"], bad["status"], bad["answer"]) == (False, 500, "as told")
    assert (good["delivered"], good["status"]) == (True, 204)
    got = receiver.got[1]
    assert got.body == good["sent"]
    assert got.body["type"] == "webhook.test"
    standardwebhooks.Webhook(hook["secret"]).verify(got.content, got.headers)


async def test_rotating_gives_a_new_secret_and_both_sign(
    app: Web, receiver: WebhookReceiver
) -> None:
    hook = await made(app, receiver.url)
    new = (await app.post(f"/v1/webhooks/{hook['id']}/rotate", {})).json()
    assert new["secret"] != hook["secret"]
    assert new["old_secret_until"] is not None
    await app.post(f"/v1/webhooks/{hook['id']}/test", {})
    for secret in (new["secret"], hook["secret"]):
        got = receiver.got[0]
        standardwebhooks.Webhook(secret).verify(got.content, got.headers)


async def test_events_come_and_are_listed_and_can_come_again(
    app: Web, receiver: WebhookReceiver
) -> None:
    hook = await made(app, receiver.url, events=["bounced"])
    for kind in ("bounced", "delivered", "bounced"):
        await happen(app, kind)
    loop = hooking.webhooks(app.engine)
    while await loop.round():
        await loop.settled()
    listed = (await app.get(f"/v1/webhooks/{hook['id']}/deliveries")).json()["deliveries"]
    assert [(one["event_id"], one["state"], one["status"]) for one in listed] == [
        ("3", "done", 204),
        ("1", "done", 204),
    ]
    page = (await app.get(f"/v1/webhooks/{hook['id']}/deliveries", {"limit": 1})).json()
    query = {"limit": 1, "cursor": page["cursor"]}
    rest = (await app.get(f"/v1/webhooks/{hook['id']}/deliveries", query)).json()
    assert [one["event_id"] for one in rest["deliveries"]] == ["1"]
    again = await app.post(f"/v1/webhooks/{hook['id']}/replay", {"since": 0})
    assert again.status_code == 202
    assert again.json()["events_at_most"] == 3
    while await loop.round():
        await loop.settled()
    assert sorted(got.id for got in receiver.got) == ["1", "1", "3", "3"]
    pulled = (await app.get("/v1/events")).json()["events"]
    assert receiver.got[0].body in pulled


async def test_a_new_endpoint_begins_with_what_is_new_or_since_a_time(
    app: Web, receiver: WebhookReceiver
) -> None:
    await happen(app, "bounced")
    await made(app, receiver.url)
    await made(app, f"{receiver.url}&since", since=0)
    loop = hooking.webhooks(app.engine)
    while await loop.round():
        await loop.settled()
    assert len(receiver.got) == 1


async def test_pausing_loses_nothing(app: Web, receiver: WebhookReceiver) -> None:
    hook = await made(app, receiver.url)
    path = f"/v1/webhooks/{hook['id']}"
    loop = hooking.webhooks(app.engine)
    for state, got in (("paused", 0), ("active", 1)):
        changed = await app.client.patch(path, json={"state": state})
        assert changed.json()["state"] == state
        if state == "paused":
            await happen(app, "bounced")
        while await loop.round():
            await loop.settled()
        assert len(receiver.got) == got


async def test_a_deleted_one_is_gone(app: Web, receiver: WebhookReceiver) -> None:
    hook = await made(app, receiver.url)
    path = f"/v1/webhooks/{hook['id']}"
    assert (await app.client.delete(path)).status_code == 204
    for method, end in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/test"),
        ("POST", "/rotate"),
        ("GET", "/deliveries"),
    ):
        answer = await app.client.request(method, path + end)
        assert (answer.status_code, answer.json()["detail"]) == (404, "there is no such webhook")
    replay = await app.post(f"{path}/replay", {"since": 0})
    assert replay.status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": "http://hooks.example.com/"}, None),
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": "https://user@hooks.example.com/"}, "url"),
        ({"url": "ftp://hooks.example.com/"}, "url"),
        ({"url": "https://hooks.example.com/", "events": ["Bounced!"]}, "events[0]"),
        ({"url": "https://hooks.example.com/", "since": "yesterday"}, "since"),
        ({"url": "https://hooks.example.com/", "kind": "x"}, "kind"),
    ],
)
async def test_what_cannot_be_is_refused_by_its_field(
    app: Web, body: dict[str, Any], field: str | None
) -> None:
    answer = await app.post("/v1/webhooks", body)
    if field is None:  # a name, with networks allowed: judged when it is posted to
        assert answer.status_code == 201
        return
    assert answer.status_code == 422
    assert answer.json()["field"] == field


async def test_without_allowed_networks_nothing_but_https_is_taken(tmp_path: Path) -> None:
    async with web(tmp_path) as app:
        for url in ("http://hooks.example.com/", "https://127.0.0.1/", "https://[::1]/"):
            answer = await app.post("/v1/webhooks", {"url": url})
            assert (answer.status_code, answer.json()["field"]) == (422, "url")


async def test_there_are_only_so_many(app: Web) -> None:
    for _ in range(100):
        await made(app, "https://hooks.example.com/")
    answer = await app.post("/v1/webhooks", {"url": "https://hooks.example.com/"})
    assert (answer.status_code, answer.json()["type"]) == (
        409,
        "urn:carom:problem:too-many-webhooks",
    )


async def test_who_may_not_administer_sees_nothing(app: Web) -> None:
    answer = await app.client.get("/v1/webhooks", headers={"Authorization": "Bearer x"})
    assert answer.status_code == 401

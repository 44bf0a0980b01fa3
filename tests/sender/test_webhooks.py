"""Webhooks: every event once at least, in time, signed, by its own endpoint's pace alone."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
from sqlalchemy import select

from analysis import retry, webhooks
from analysis.events import announce, event
from analysis.lookup import events_after
from analysis.schema import audit, events
from analysis.store import Store
from analysis.webhooks import Answer, Endpoint, Result, State, new_secret
from carom.ids import ids
from sender.resolver import Resolver
from sender.smtp_session import verified_tls
from sender.webhook_calls import LOT, claim, hand_over, judge, portions, settle
from sender.webhook_http import Poster
from sender.webhooks import Pace, Webhooks
from tests.peers.webhook_receiver import WebhookReceiver

new_id = ids()
pytestmark = pytest.mark.anyio

NOW = 1_790_000_000.0
DAY = 86_400.0
MESSAGE = "01m00000000000000000000001"
SCHEDULE = retry.parse("5s, 5m, 30m, 2h, 5h, 10h, 14h, 20h, 24h")
LOOPBACK = (ip_network("127.0.0.0/8"),)


@dataclass(slots=True)
class Told:
    """Endpoints, their loop, and a clock that the test moves."""

    store: Store
    now: float = NOW
    results: list[Result] = field(default_factory=list)

    def told(self, result: Result) -> None:
        self.results.append(result)

    def loop(self, *, places: int = 20, seconds: float = 2.0) -> Webhooks:
        resolver = Resolver([("127.0.0.1", 9)], clock=lambda: 0.0)
        poster = Poster(resolver, verified_tls(None), LOOPBACK, seconds)
        return Webhooks(
            self.store,
            poster,
            SCHEDULE,
            clock=lambda: self.now,
            random=lambda: 0.5,
            observer=self,
            pace=Pace(places=places, poll=0.01, grace=0.2),
        )

    async def add(self, url: str, **changes: Any) -> Endpoint:
        endpoint = Endpoint(
            **{
                "id": new_id(),
                "url": url,
                "description": "",
                "kinds": (),
                "state": State.ACTIVE,
                "why": None,
                "secret": new_secret(os.urandom(32)),
                "old_secret": None,
                "old_until": None,
                "cursor": 0,
                "created_at": NOW,
                "changed_at": NOW,
                "succeeded_at": None,
                "failed_at": None,
                **changes,
            }
        )
        await self.store.write(lambda tx: webhooks.add(tx, endpoint, "test"))
        return endpoint

    async def happen(self, *kinds: str, message_id: str | None = MESSAGE) -> None:
        rows = [event(kind, at=self.now, message_id=message_id, data={"n": 1}) for kind in kinds]
        await self.store.write(lambda tx: announce(tx, rows))

    async def run(self, loop: Webhooks) -> None:
        """Until nothing is due now."""
        while await loop.round():
            await loop.settled()

    async def get(self, endpoint: Endpoint) -> Endpoint:
        found = await self.store.read(lambda tx: webhooks.find(tx, endpoint.id))
        assert found is not None
        return found

    async def tries(self, endpoint: Endpoint) -> list[Any]:
        return await self.store.read(
            lambda tx: webhooks.tries(tx, endpoint.id, below=None, limit=500)
        )


@pytest.fixture
def told(store: Store) -> Told:
    return Told(store)


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver() as running:
        yield running


async def test_an_event_comes_signed_as_the_pull_twin_tells_it(
    told: Told, receiver: WebhookReceiver
) -> None:
    endpoint = await told.add(receiver.url)
    await told.happen("delivered", "bounced")
    await told.happen("dmarc.unknown_source", message_id=None)
    await told.run(told.loop())
    pulled = await told.store.read(lambda tx: events_after(tx, 0, 10))
    assert sorted((got.body for got in receiver.got), key=lambda one: int(one["id"])) == pulled
    assert [one["sequence"] for one in pulled] == [1, 2, None]
    for got in receiver.got:
        assert got.headers["webhook-id"] == got.body["id"]
        assert got.headers["content-type"] == "application/json"
        signed_at = int(got.headers["webhook-timestamp"])
        assert signed_at == int(NOW)
        expected = standardwebhooks.Webhook(endpoint.secret).sign(
            got.id, _moment(signed_at), got.content.decode()
        )
        assert got.headers["webhook-signature"] == expected
    assert told.results == [Result.DELIVERED] * 3


def _moment(at: int) -> Any:
    return datetime.fromtimestamp(at, UTC)


async def test_the_library_of_the_standard_believes_us_and_nobody_else(
    told: Told, receiver: WebhookReceiver
) -> None:
    told.now = time.time()  # the library has its own clock
    endpoint = await told.add(receiver.url)
    await told.happen("bounced")
    await told.run(told.loop())
    (got,) = receiver.got
    assert standardwebhooks.Webhook(endpoint.secret).verify(got.content, got.headers) == got.body
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(new_secret(bytes(32))).verify(got.content, got.headers)


async def test_while_a_secret_is_rotated_both_sign(told: Told, receiver: WebhookReceiver) -> None:
    told.now = time.time()
    old, new = new_secret(bytes(32)), new_secret(bytes(range(32)))
    await told.add(receiver.url, secret=new, old_secret=old, old_until=told.now + 60)
    await told.happen("bounced")
    await told.run(told.loop())
    (got,) = receiver.got
    for secret in (old, new):
        assert standardwebhooks.Webhook(secret).verify(got.content, got.headers) == got.body
    told.now += 61
    await told.happen("bounced")
    await told.run(told.loop())
    assert len(receiver.got[1].headers["webhook-signature"].split()) == 1


NPM = """
const { Webhook } = require("standardwebhooks");
const { secret, body, headers } = JSON.parse(require("fs").readFileSync(0));
console.log(JSON.stringify(new Webhook(secret).verify(body, headers)));
"""


async def test_the_library_of_another_language_believes_us(
    told: Told, receiver: WebhookReceiver, tmp_path: Path
) -> None:
    """npm's `standardwebhooks`, on the real clock."""
    _installed(tmp_path)
    told.now = time.time()
    endpoint = await told.add(receiver.url)
    await told.happen("bounced")
    await told.run(told.loop())
    (got,) = receiver.got
    given = {"secret": endpoint.secret, "body": got.content.decode(), "headers": got.headers}
    assert _verified(tmp_path, given) == got.body


def _verified(folder: Path, given: Any) -> Any:
    said = subprocess.run(
        ["node", "-e", NPM],
        cwd=folder,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def _installed(folder: Path) -> None:
    """Where npm is missing, CI fails; a registry that cannot be reached is nobody's fault here."""
    npm = shutil.which("npm")
    if npm is None and os.environ.get("CI") == "true":
        pytest.fail("CI must have every server: npm is not installed", pytrace=False)
    if npm is None:
        pytest.skip("npm is not installed")
    command = [npm, "install", "--no-audit", "--no-fund", "--silent", "standardwebhooks@1.0.0"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
        why = "" if done.returncode == 0 else done.stderr[:200]
    except subprocess.TimeoutExpired:
        why = "no answer in a minute"
    if why:
        pytest.skip(f"npm's registry gives no standardwebhooks: {why}")


async def test_only_the_kinds_that_were_asked_for_come(
    told: Told, receiver: WebhookReceiver
) -> None:
    await told.add(receiver.url, kinds=("bounced", "dmarc.*"))
    await told.happen("delivered", "bounced", "dmarc.unknown_source", "dmarcx")
    await told.run(told.loop())
    assert {got.body["type"] for got in receiver.got} == {"bounced", "dmarc.unknown_source"}


async def test_what_is_refused_comes_again_by_the_schedule_with_the_same_id(
    told: Told, receiver: WebhookReceiver
) -> None:
    endpoint = await told.add(receiver.url)
    await told.happen("bounced")
    receiver.say(500, 302, then=204)
    loop = told.loop()
    for wait in (0.0, 4.9, 0.2, 299.8, 0.3):
        told.now += wait
        await told.run(loop)
    assert [got.id for got in receiver.got] == ["1", "1", "1"]
    assert told.results == [Result.DEFERRED, Result.DEFERRED, Result.DELIVERED]
    (row,) = await told.tries(endpoint)
    assert (row.state, row.tries, row.status) == ("done", 3, 204)


async def test_a_redirect_is_not_followed(told: Told, receiver: WebhookReceiver) -> None:
    endpoint = await told.add(receiver.url)
    await told.happen("bounced")
    receiver.say(then=307)
    await told.run(told.loop())
    (row,) = await told.tries(endpoint)
    assert (row.result, row.status, receiver.connections) == ("deferred", 307, 1)


async def test_an_endpoint_that_takes_nothing_for_three_days_is_disabled_with_notice(
    told: Told, receiver: WebhookReceiver
) -> None:
    endpoint = await told.add(receiver.url)
    await told.happen("bounced")
    receiver.say(then=503)
    loop = told.loop()
    while (await told.get(endpoint)).state is State.ACTIVE:
        await told.run(loop)
        told.now += 1_800
        assert told.now < NOW + 5 * DAY
    assert told.now > NOW + 3 * DAY
    assert len(receiver.got) == 10
    assert "503" in ((await told.get(endpoint)).why or "")
    kinds = await told.store.read(lambda tx: list(tx.execute(select(events.c.kind)).scalars()))
    assert kinds == ["bounced", "webhook.disabled"]
    actions = await told.store.read(lambda tx: list(tx.execute(select(audit.c.action)).scalars()))
    assert actions == ["webhook.create", "webhook.disable"]
    assert told.results[-1] is Result.FAILED


async def test_one_event_that_chokes_an_endpoint_does_not_disable_it(
    told: Told, receiver: WebhookReceiver
) -> None:
    endpoint = await told.add(receiver.url)
    await told.happen("bounced")
    loop = told.loop(places=1)
    for _ in range(400):
        receiver.say(500, then=204)
        await told.run(loop)
        told.now += 900
        await told.happen("delivered")
        if any(row.seq == 1 and row.state != "waiting" for row in await told.tries(endpoint)):
            break
    assert (await told.get(endpoint)).state is State.ACTIVE


async def test_410_disables_at_once(told: Told, receiver: WebhookReceiver) -> None:
    endpoint = await told.add(receiver.url)
    await told.happen("bounced")
    receiver.say(then=410)
    await told.run(told.loop())
    assert (await told.get(endpoint)).state is State.DISABLED
    assert told.results == [Result.GONE]
    await told.happen("bounced")
    await told.run(told.loop())
    assert len(receiver.got) == 1


async def test_made_active_again_it_gets_what_waited(told: Told, receiver: WebhookReceiver) -> None:
    endpoint = await told.add(receiver.url)
    await told.happen("bounced", "bounced")
    receiver.say(500, 410, then=204)
    loop = told.loop(places=1)
    await told.run(loop)
    await told.happen("delivered")
    assert (await told.get(endpoint)).state is State.DISABLED
    changes = {"state": "active"}
    await told.store.write(
        lambda tx: webhooks.change(tx, endpoint.id, changes, "test", at=told.now)
    )
    await told.run(loop)
    assert (await told.get(endpoint)).why is None
    assert {got.id for got in receiver.got[2:]} >= {"1", "4"}


async def test_a_crash_between_the_post_and_its_record_posts_again_under_the_same_id(
    told: Told, receiver: WebhookReceiver
) -> None:
    endpoint = await told.add(receiver.url)
    await told.happen("bounced")
    found = await told.store.read(portions)
    await told.store.write(lambda tx: hand_over(tx, found, NOW))
    (held,) = await told.store.write(lambda tx: claim(tx, now=NOW, lease=60, places=5))
    loop = told.loop()
    await loop._post(endpoint, held.payload or {})  # and the node dies here
    await told.run(loop)
    assert len(receiver.got) == 1, "the lease holds it"
    told.now += 61
    await told.run(loop)
    assert [got.id for got in receiver.got] == ["1", "1"]
    (row,) = await told.tries(endpoint)
    assert (row.state, row.epoch) == ("done", 2)


async def test_a_stale_node_changes_nothing(told: Told, receiver: WebhookReceiver) -> None:
    endpoint = await told.add(receiver.url)
    await told.happen("bounced")
    found = await told.store.read(portions)
    await told.store.write(lambda tx: hand_over(tx, found, NOW))
    (held,) = await told.store.write(lambda tx: claim(tx, now=NOW, lease=60, places=5))
    told.now += 61
    await told.run(told.loop())
    late = judge(held, Answer(410, "", 0.1), SCHEDULE, told.now, lambda: 0.5)
    await told.store.write(lambda tx: settle(tx, [late]))
    assert (await told.get(endpoint)).state is State.ACTIVE
    assert (await told.tries(endpoint))[0].state == "done"


async def test_two_nodes_tell_each_event_once(told: Told, receiver: WebhookReceiver) -> None:
    await told.add(receiver.url)
    await told.happen(*["bounced"] * 60)
    await asyncio.gather(told.run(told.loop()), told.run(told.loop()))
    await told.run(told.loop())
    assert sorted(int(got.id) for got in receiver.got) == list(range(1, 61))


async def test_no_more_than_its_places_are_under_way(told: Told, receiver: WebhookReceiver) -> None:
    await told.add(receiver.url)
    await told.happen(*["bounced"] * 30)
    await asyncio.gather(*(told.run(told.loop(places=3)) for _ in range(2)))
    assert receiver.most_under_way <= 3


async def test_a_slow_endpoint_holds_up_itself_alone(told: Told, receiver: WebhookReceiver) -> None:
    async with WebhookReceiver() as slow:
        slow.gate.clear()
        await told.add(slow.url)
        await told.add(receiver.url)
        await told.happen(*["bounced"] * 40)
        loop, stop = told.loop(places=2, seconds=30), asyncio.Event()
        serving = asyncio.create_task(loop.serve(stop))
        await receiver.arrived(40)
        assert slow.connections == 2
        stop.set()
        await serving


async def test_what_a_stopping_node_held_is_free_at_once(
    told: Told, receiver: WebhookReceiver
) -> None:
    endpoint = await told.add(receiver.url)
    await told.happen("bounced")
    receiver.gate.clear()
    stop = asyncio.Event()
    serving = asyncio.create_task(told.loop(seconds=30).serve(stop))
    await receiver.arrived(1)
    stop.set()
    await serving
    receiver.gate.set()
    await told.run(told.loop())
    (row,) = await told.tries(endpoint)
    assert (row.state, len(receiver.got)) == ("done", 2)


async def test_a_replay_sends_everything_since_in_order(
    told: Told, receiver: WebhookReceiver
) -> None:
    endpoint = await told.add(receiver.url)
    loop = told.loop(places=1)
    for _ in range(3):
        await told.happen("bounced")
        told.now += 60
    await told.run(loop)
    cursor = await told.store.read(lambda tx: webhooks.before(tx, NOW + 60))
    change = {"cursor": cursor}
    await told.store.write(lambda tx: webhooks.change(tx, endpoint.id, change, "test", at=NOW))
    await told.happen("delivered")
    await told.run(loop)
    assert [got.id for got in receiver.got] == ["1", "2", "3", "2", "3", "4"]


async def test_a_long_line_is_handed_over_in_lots_and_all_of_it_arrives(
    told: Told, receiver: WebhookReceiver
) -> None:
    await told.add(receiver.url)
    await told.happen(*["bounced"] * (LOT + 50))
    await told.run(told.loop())
    assert len(receiver.got) == LOT + 50


async def test_after_an_outage_nothing_waits_for_its_schedule(
    told: Told, receiver: WebhookReceiver
) -> None:
    await told.add(receiver.url)
    await told.happen(*["bounced"] * 5)
    receiver.say(then=500)
    loop = told.loop()
    for wait in (0, 6, 301, 1_801):
        told.now += wait
        await told.run(loop)
    receiver.say(then=204)
    await told.happen("delivered")
    await told.run(loop)
    assert {got.id for got in receiver.got[20:]} == {"1", "2", "3", "4", "5", "6"}


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\x00\x1b[",
    ],
)
async def test_a_2xx_counts_whatever_follows_it(
    told: Told, receiver: WebhookReceiver, raw: bytes
) -> None:
    endpoint = await told.add(receiver.url)
    await told.happen("bounced")
    receiver.raw = raw
    await told.run(told.loop())
    (row,) = await told.tries(endpoint)
    assert row.state == "done"
    assert len(row.answer) <= 500
    assert "\x00" not in row.answer


@pytest.mark.parametrize("raw", [b"no HTTP at all\r\n\r\n", b"HTTP/1.1 200", b"HTTP/1.1 999 a\r\n"])
async def test_nonsense_is_tried_again(told: Told, receiver: WebhookReceiver, raw: bytes) -> None:
    endpoint = await told.add(receiver.url)
    await told.happen("bounced")
    receiver.raw = raw
    await told.run(told.loop())
    (row,) = await told.tries(endpoint)
    assert (row.state, row.status, row.result) == ("waiting", None, "deferred")
    assert row.answer


async def test_calls_are_forgotten_a_week_after_they_ended(
    told: Told, receiver: WebhookReceiver
) -> None:
    endpoint = await told.add(receiver.url)
    await told.happen("bounced")
    await told.run(told.loop())
    for at, left in ((NOW + 6 * DAY, 1), (NOW + 8 * DAY, 0)):
        await told.store.write(lambda tx, at=at: webhooks.forget(tx, at, 100))  # type: ignore[misc]
        assert len(await told.tries(endpoint)) == left

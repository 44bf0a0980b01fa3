"""Preferences: a link speaks for its own address, says what is so, and takes back what it may."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import Connection, func, insert, select

from analysis import links, retention
from analysis.address import address_hash
from analysis.facts import Arrival, Kind, Reading
from analysis.ids import first_id
from analysis.ledger import enter
from analysis.retention import Keep
from analysis.schema import audit, deliveries, events, messages, unsubscribe_links
from analysis.store import Store
from analysis.suppression import Limits, Reason, Suppression, standing, suppress
from ingest.preferences import MOST, Preferences
from ingest.unsubscribe import Unsubscribing
from sender.tokens import Key, Purpose, Tokens

pytestmark = pytest.mark.anyio

NOW = 1_790_000_000.0
DAY = 86_400.0
BOB, ANN = "bob@example.net", "ann@example.net"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def _id(number: int) -> str:
    return first_id(NOW)[:10] + f"{number:016d}"


def written(tx: Connection) -> None:
    """News to Bob (1) and Ann (2), and an offer to Bob (3)."""
    for number, stream, address in ((1, "news", BOB), (2, "news", ANN), (3, "offers", BOB)):
        message: dict[str, Any] = {
            "id": _id(100 + number),
            "created_at": NOW,
            "stream": stream,
            "class": "bulk",
            "from_address": "a@example.com",
            "subject": "News",
            "header_message_id": f"<{number}@example.com>",
            "deadline": NOW + DAY,
            "size": 1,
            "metadata": {},
        }
        delivery: dict[str, Any] = {
            "id": _id(number),
            "message_id": message["id"],
            "recipient": address,
            "address_hash": address_hash(address),
            "domain": "example.net",
            "stream": stream,
            "rank": 2,
            "state": "delivered",
            "created_at": NOW,
            "next_at": NOW,
            "deadline": NOW + DAY,
            "attempts": 1,
            "epoch": 1,
            "provider": "other",
            "return_path": "b+x@bounces.example.com",
        }
        tx.execute(insert(messages).values(**message))
        tx.execute(insert(deliveries).values(**delivery))


@dataclass(slots=True)
class Door:
    client: httpx2.AsyncClient
    store: Store
    tokens: Tokens
    now: float = NOW

    def link(self, number: int = 1, *, expires: float = NOW + 365 * DAY) -> str:
        return f"/u/{self.tokens.issue(Purpose.UNSUBSCRIBE, _id(number), expires=expires)}"

    def preferences(self, number: int = 1) -> str:
        return f"{self.link(number)}/preferences"

    async def left(self, address: str = BOB) -> set[str]:
        """Streams that an address is unsubscribed from."""
        hashed = address_hash(address)
        found = await self.store.read(lambda tx: standing(tx, [hashed], self.now))
        return {one.stream for one in found.get(hashed, []) if one.reason is Reason.UNSUBSCRIBE}

    async def months_later(self) -> None:
        """Retention has taken what is older than its days."""
        self.now = NOW + 100 * DAY
        keep = Keep(linked=frozenset({"news"}))
        while await self.store.write(lambda tx: retention.sweep(tx, keep, now=self.now)):
            pass


@pytest.fixture
async def door(store: Store) -> AsyncIterator[Door]:
    await store.write(written)
    tokens = Tokens([Key("1", bytes(32))])
    app = FastAPI()
    door = Door(None, store, tokens)  # type: ignore[arg-type]
    for page in (Unsubscribing, Preferences):
        made = page(store, tokens, clock=lambda: door.now, limits=Limits())
        app.include_router(made.router())
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://a.example") as client:
        door.client = client
        yield door


async def test_it_lists_what_the_address_left_and_changes_nothing(door: Door) -> None:
    for number in (1, 3):
        await door.client.post(door.link(number), data=ONE_CLICK)
    page = await door.client.get(door.preferences())
    assert page.status_code == 200
    assert "news" in page.text
    assert "offers" in page.text
    assert "b***@example.net" in page.text
    assert BOB not in page.text
    assert await door.left() == {"news", "offers"}


async def test_resubscribing_is_audited_with_the_evidence_kept(door: Door) -> None:
    await door.client.post(door.link(), data=ONE_CLICK)
    form = {"do": "resubscribe", "stream": "news"}
    page = await door.client.post(door.preferences(), data=form)
    assert "Saved." in page.text
    assert await door.left() == set()
    query = select(audit.c.action, audit.c.actor, audit.c.reason).order_by(audit.c.seq)
    rows = await door.store.read(lambda tx: tx.execute(query).all())
    assert [row.action for row in rows] == ["suppression.suppress", "suppression.lift"]
    assert rows[1].actor == "recipient"
    assert "unsubscribed by the link of a message" in rows[1].reason
    told = await door.store.read(lambda tx: list(tx.execute(select(events.c.kind)).scalars()))
    assert told == ["suppressed", "unsubscribed", "lifted", "resubscribed"]


async def test_a_link_touches_its_own_address_alone(door: Door) -> None:
    await door.client.post(door.link(2), data=ONE_CLICK)
    form = {"do": "resubscribe", "stream": "news"}
    answer = await door.client.post(door.preferences(1), data=form)
    assert answer.status_code == 400
    assert await door.left(ANN) == {"news"}


async def test_one_may_leave_here_too(door: Door) -> None:
    await door.client.post(door.preferences(), data={"do": "unsubscribe"})
    assert await door.left() == {"news"}


async def test_to_and_fro_without_end_fills_no_audit_and_leaving_is_always_heard(
    door: Door,
) -> None:
    back = {"do": "resubscribe", "stream": "news"}
    said = []
    for _ in range(MOST + 5):
        assert (await door.client.post(door.link(), data=ONE_CLICK)).status_code == 200
        said.append((await door.client.post(door.preferences(), data=back)).status_code)
    assert said == [200] * MOST + [429] * 5
    assert await door.left() == {"news"}
    counted = await door.store.read(
        lambda tx: tx.execute(select(func.count()).select_from(audit)).scalar_one()
    )
    assert counted == 2 * MOST + 1
    assert (await door.client.post(door.link(2), data=ONE_CLICK)).status_code == 200
    door.now += DAY
    assert (await door.client.post(door.preferences(), data=back)).status_code == 200


@pytest.mark.parametrize("reason", [Reason.COMPLAINT, Reason.HARD_BOUNCE, Reason.MANUAL])
async def test_only_an_unsubscribe_can_be_taken_back(door: Door, reason: Reason) -> None:
    entry = Suppression(address_hash(BOB), "news", reason, BOB, NOW, None, "said", "carom")
    await door.store.write(lambda tx: suppress(tx, [entry]))
    form = {"do": "resubscribe", "stream": "news"}
    answer = await door.client.post(door.preferences(), data=form)
    assert answer.status_code == 400
    assert "Something else keeps our mail" in answer.text
    found = await door.store.read(lambda tx: standing(tx, [address_hash(BOB)], NOW))
    assert [one.reason for one in found[address_hash(BOB)]] == [reason]


@pytest.mark.parametrize("content", [b"", b"do=", b"do=delete", b"\xff\xfe", b"do=resubscribe"])
async def test_a_post_that_says_nothing_of_it_changes_nothing(door: Door, content: bytes) -> None:
    await door.client.post(door.link(), data=ONE_CLICK)
    assert (await door.client.post(door.preferences(), content=content)).status_code == 400
    assert await door.left() == {"news"}


async def test_a_token_that_is_not_ours_opens_nothing(door: Door) -> None:
    click = door.tokens.issue(Purpose.CLICK, _id(1), expires=NOW + DAY)
    for path in ("/u/x/preferences", f"/u/{click}/preferences", f"{door.link()[:-1]}x/preferences"):
        for method in ("GET", "POST"):
            assert (await door.client.request(method, path)).status_code == 404
    old = door.link(expires=NOW - 3 * DAY)
    assert (await door.client.get(f"{old}/preferences")).status_code == 410


async def test_a_link_works_when_its_delivery_is_long_forgotten(door: Door) -> None:
    await door.months_later()
    gone = await door.store.read(
        lambda tx: tx.execute(select(func.count()).select_from(deliveries)).scalar_one()
    )
    assert gone == 0
    assert (await door.client.post(door.link(), data=ONE_CLICK)).status_code == 200
    assert await door.left() == {"news"}
    page = await door.client.post(door.preferences(), data={"do": "resubscribe", "stream": "news"})
    assert page.status_code == 200
    assert await door.left() == set()
    assert (await door.client.post(door.link(3), data=ONE_CLICK)).status_code == 410, "no link"


async def test_the_mail_of_an_old_list_unsubscribe_still_counts(door: Door) -> None:
    await door.months_later()
    reading = Reading(Kind.UNSUBSCRIBE, ())
    arrival = Arrival(_id(9), door.now, "unsubscribe", _id(1), reading)
    await door.store.write(
        lambda tx: enter(tx, arrival, now=door.now, limits=Limits(), new_id=lambda: _id(50))
    )
    assert await door.left() == {"news"}


async def test_what_is_left_of_a_link_goes_with_the_link(door: Door) -> None:
    await door.months_later()
    count = select(func.count()).select_from(unsubscribe_links)
    for after, left in ((390 * DAY, 2), (400 * DAY, 0)):
        await door.store.write(lambda tx, at=NOW + after: links.forget(tx, at, 100))  # type: ignore[misc]
        assert await door.store.read(lambda tx: tx.execute(count).scalar_one()) == left


@pytest.mark.parametrize("path", ["/u/x", "{link}", "{link}/preferences"])
async def test_pages_run_nothing_and_load_nothing(door: Door, path: str) -> None:
    page = await door.client.get(path.format(link=door.link()))
    policy = page.headers["content-security-policy"]
    style = re.search(r"<style>(.*)</style>", page.text)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<script" not in page.text
    assert " style=" not in page.text
    assert "http" not in page.text


async def test_pages_speak_chinese_and_keep_to_it(door: Door) -> None:
    page = await door.client.get(door.link(), headers={"Accept-Language": "zh-TW"})
    assert "退订" in page.text
    assert "preferences?lang=zh" in page.text


REPLAYED = (
    # RFC 8058 section 8.1 and 8.2: what mailbox providers send
    ("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click"),
    (
        "multipart/form-data; boundary=---FormBoundaryjWmhtjORrn",
        (
            b"-----FormBoundaryjWmhtjORrn\r\n"
            b'Content-Disposition: form-data; name="List-Unsubscribe"\r\n\r\n'
            b"One-Click\r\n-----FormBoundaryjWmhtjORrn--\r\n"
        ),
    ),
)


@pytest.mark.parametrize(("kind", "content"), REPLAYED, ids=["urlencoded", "multipart"])
async def test_a_mailbox_providers_one_click_request(door: Door, kind: str, content: bytes) -> None:
    """RFC 8058 section 3.2: no cookie, no context, no redirect; a plain answer."""
    headers = {"Content-Type": kind, "User-Agent": "Mail client"}
    answer = await door.client.post(door.link(), content=content, headers=headers)
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert await door.left() == {"news"}

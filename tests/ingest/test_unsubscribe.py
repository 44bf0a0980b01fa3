"""Unsubscribing: a look changes nothing, one click does, and only for the token's delivery."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import Connection, delete, insert, select

from analysis import migrate
from analysis.address import address_hash
from analysis.schema import deliveries, events, messages
from analysis.store import Store, open_store
from analysis.suppression import Limits, Reason, Suppression, standing
from ingest.unsubscribe import Unsubscribing, says_one_click
from sender.tokens import Key, Purpose, Tokens

pytestmark = pytest.mark.anyio

NOW = 1_790_000_000.0
DAY = 86_400.0
DELIVERY = "01m00000000000000000000000"
HASH = address_hash("bob@example.net")
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def written(tx: Connection) -> None:
    """A message and its one delivery, as submission leaves them."""
    message = {
        "id": "01m00000000000000000000001",
        "created_at": NOW,
        "stream": "news",
        "class": "bulk",
        "from_address": "a@example.com",
        "subject": "News",
        "header_message_id": "<1@example.com>",
        "deadline": NOW + DAY,
        "size": 1,
        "metadata": {},
    }
    tx.execute(insert(messages).values(**message))
    delivery: dict[str, Any] = {
        "id": DELIVERY,
        "message_id": message["id"],
        "recipient": "bob@example.net",
        "address_hash": HASH,
        "domain": "example.net",
        "stream": "news",
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
    tx.execute(insert(deliveries).values(**delivery))


@dataclass(frozen=True, slots=True)
class Door:
    client: httpx2.AsyncClient
    store: Store
    tokens: Tokens

    def link(self, *, purpose: Purpose = Purpose.UNSUBSCRIBE, expires: float = NOW + DAY) -> str:
        return f"/u/{self.tokens.issue(purpose, DELIVERY, expires=expires)}"

    async def standing(self) -> list[Suppression]:
        found = await self.store.read(lambda tx: standing(tx, [HASH], NOW))
        return found.get(HASH, [])


@pytest.fixture(params=[frozenset(), frozenset({"news"})], ids=["stream", "everywhere"])
async def door(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Door]:
    store = open_store(f"sqlite:///{tmp_path / 'a.db'}")
    await store.write(migrate.upgrade)
    await store.write(written)
    tokens = Tokens([Key("1", bytes(32))])
    app = FastAPI()
    pages = Unsubscribing(store, tokens, clock=lambda: NOW, limits=Limits(everywhere=request.param))
    app.include_router(pages.router())
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://a.example") as client:
        yield Door(client, store, tokens)
    await store.close()


async def test_a_scanner_that_looks_changes_nothing(door: Door) -> None:
    page = await door.client.get(door.link())
    assert page.status_code == 200
    assert "<form" in page.text
    assert "bob" not in page.text
    assert await door.standing() == []


async def test_one_click_unsubscribes(door: Door, request: pytest.FixtureRequest) -> None:
    page = await door.client.post(door.link(), data=ONE_CLICK)
    assert page.status_code == 200
    (entry,) = await door.standing()
    assert entry.reason is Reason.UNSUBSCRIBE
    assert entry.stream == ("*" if "everywhere" in request.node.name else "news")
    assert entry.delivery_id == DELIVERY
    assert entry.until is None


async def test_a_form_with_parts_is_one_click_too(door: Door) -> None:
    parts = {name: (None, value) for name, value in ONE_CLICK.items()}
    assert (await door.client.post(door.link(), files=parts)).status_code == 200
    assert len(await door.standing()) == 1


async def test_twice_is_as_good_as_once(door: Door) -> None:
    for _ in range(2):
        assert (await door.client.post(door.link(), data=ONE_CLICK)).status_code == 200
    kinds = select(events.c.kind).order_by(events.c.seq)
    told = await door.store.read(lambda tx: list(tx.execute(kinds).scalars()))
    assert told == ["suppressed", "unsubscribed"]


@pytest.mark.parametrize("content", [b"", b"a=b", b"List-Unsubscribe=No", b"xList-Unsubscribe=One"])
async def test_a_post_that_does_not_say_it_changes_nothing(door: Door, content: bytes) -> None:
    assert (await door.client.post(door.link(), content=content)).status_code == 400
    assert await door.standing() == []


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_token_of_another_kind_opens_nothing(door: Door, method: str) -> None:
    bounce = door.link(purpose=Purpose.BOUNCE)
    forged = door.link()[:-1] + "x"
    for path in (bounce, forged, "/u/x", "/u/%00", f"/u/{DELIVERY}"):
        answer = await door.client.request(method, path, data=ONE_CLICK)
        assert answer.status_code == 404
    assert await door.standing() == []


async def test_what_is_too_old_is_gone(door: Door) -> None:
    old = door.link(expires=NOW - 3 * DAY)
    assert (await door.client.post(old, data=ONE_CLICK)).status_code == 410
    await door.store.write(lambda tx: tx.execute(delete(deliveries)) and None)
    assert (await door.client.post(door.link(), data=ONE_CLICK)).status_code == 410
    assert await door.standing() == []


def test_the_field_is_found_in_either_form() -> None:
    assert says_one_click(b"a=b&List-Unsubscribe=One-Click\r\n")
    assert not says_one_click(b"List-Unsubscribe=One-Clicks")
    assert not says_one_click(b"One-Click")

"""Opens and clicks over HTTP: who fetched, once a class, and never a redirect of others' making."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from sqlalchemy import select, update

from analysis import engagement, lookup
from analysis.cohorts import Span
from analysis.schema import deliveries, events
from carom.errors import SettingsError
from sender.tokens import ALPHABET
from tests.carom.web_peer import Web, on, web

pytestmark = pytest.mark.anyio

BASE = "https://mail.example.com"
TARGET = "https://shop.example/?q=ü&n=1"
HTML = (
    f'<p>See <a class=x href="{TARGET.replace("&", "&amp;")}">it</a> '
    '<a href="mailto:a@b.example">m</a></p>'
)
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
STREAMS = {
    "CAROM_API__PUBLIC_URL": BASE,
    "CAROM_STREAMS": '{"news": {"opens": true, "clicks": true}, "codes": '
    '{"class": "otp", "opens": true, "clicks": true}}',
}


@pytest.fixture
async def peer(tmp_path: Path, migrated_url: str) -> AsyncIterator[Web]:
    async with web(tmp_path, **on(migrated_url), **STREAMS) as peer:
        yield peer


async def sent(peer: Web, **parts: Any) -> tuple[str, str]:
    """The delivery, accepted a minute ago, and the HTML that it got."""
    letter = {"from": "a@example.com", "to": ["b@example.net"], "subject": "x", "text": "x"}
    taken = (
        await peer.post("/v1/messages", {**letter, "html": HTML, "stream": "news", **parts})
    ).json()
    delivery = taken["deliveries"][0]["id"]
    accepted = update(deliveries).where(deliveries.c.id == delivery)
    ago = accepted.values(accepted_at=time.time() - 60, state="delivered")
    await peer.engine.store.write(lambda tx: tx.execute(ago) and None)
    content = await peer.read(lambda tx: lookup.content(tx, taken["id"]))
    return delivery, (content or b"").decode().replace("=\r\n", "").replace("=3D", "=")


def links(html: str) -> tuple[str, str]:
    """The paths of the click and of the picture."""
    click = re.search(rf'href="{BASE}(/c/[^"]+)"', html)
    picture = re.search(rf'src="{BASE}(/o/[^"]+)"', html)
    assert click
    assert picture
    return unescape(click[1]), picture[1]


async def noted(peer: Web) -> list[tuple[str, str, int]]:
    found = await peer.read(lambda tx: engagement.of_cohort(tx, Span(0.0, 1e10)))
    return [(one.what.value, who, n) for one in found for who, n in one.by.items()]


async def test_a_click_leads_where_the_link_led_and_counts_once(peer: Web) -> None:
    _, html = await sent(peer)
    click, picture = links(html)
    for _ in range(3):
        led = await peer.client.get(click, headers=BROWSER)
        assert (led.status_code, led.headers["location"]) == (302, TARGET.replace("ü", "%C3%BC"))
        shown = await peer.client.get(picture, headers=BROWSER)
        assert (shown.status_code, shown.headers["content-type"]) == (200, "image/gif")
    assert await noted(peer) == [("click", "human", 1), ("open", "human", 1)]
    told = await peer.read(lambda tx: tx.execute(select(events.c.kind, events.c.data)).all())
    assert [row.kind for row in told if row.kind != "linted"] == ["clicked", "opened"]
    assert told[-1].data == {"stream": "news", "class": "human"}
    line = b'carom_engagement_total{class="human",kind="click",stream="news"} 1.0'
    assert line in peer.engine.metrics.exposition()


@pytest.mark.parametrize(
    ("headers", "who"),
    [
        ({"User-Agent": "Mozilla/5.0"}, "machine"),
        ({"User-Agent": "Mozilla/5.0 (via ggpht.com GoogleImageProxy) Gecko/1"}, "unknown"),
        ({"User-Agent": "curl/8.5.0"}, "machine"),
        ({**BROWSER, "Sec-Purpose": "prefetch;prerender"}, "machine"),
        ({"User-Agent": ""}, "unknown"),
        (BROWSER, "human"),
    ],
)
async def test_the_class_is_judged_by_evidence(
    peer: Web, headers: dict[str, str], who: str
) -> None:
    _, html = await sent(peer)
    await peer.client.get(links(html)[1], headers=headers)
    assert await noted(peer) == [("open", who, 1)]


async def test_a_head_and_what_comes_within_seconds_is_a_machine(peer: Web) -> None:
    delivery, html = await sent(peer)
    click, picture = links(html)
    assert (await peer.client.head(picture, headers=BROWSER)).status_code == 200
    just = update(deliveries).where(deliveries.c.id == delivery).values(accepted_at=time.time())
    await peer.engine.store.write(lambda tx: tx.execute(just) and None)
    assert (await peer.client.get(click, headers=BROWSER)).status_code == 302
    assert await noted(peer) == [("click", "machine", 1), ("open", "machine", 1)]


async def test_no_token_is_good_for_another_target_or_changed_by_one_character(peer: Web) -> None:
    _, html = await sent(peer)
    click, picture = links(html)
    path, _, query = click.partition("?")
    token = path.removeprefix("/c/")
    forged = [
        f"{path}?u={quote('https://evil.example/', safe='')}",
        path,
        f"{path}?u=javascript:alert(1)",
        f"{path}?{query}x",
        f"/c/{picture.removeprefix('/o/').removesuffix('.gif')}?{query}",
        f"/o/{token}.gif",
        "/o/.gif",
        "/c/x?u=//evil.example",
    ]
    for place in range(len(token)):
        other = ALPHABET[(ALPHABET.index(token[place]) + 1) % 32]
        forged.append(f"/c/{token[:place]}{other}{token[place + 1 :]}?{query}")
    for url in forged:
        refused = await peer.client.get(url, headers=BROWSER)
        assert refused.status_code == 404, url
        assert "location" not in refused.headers
    assert await noted(peer) == []


async def test_only_what_is_asked_for_is_tracked(peer: Web) -> None:
    for parts in (
        {"stream": "default"},
        {"stream": "codes"},
        {"class": "otp"},
        {"to": ["b@example.net", "c@example.net"]},
    ):
        _, html = await sent(peer, **parts)
        assert BASE not in html, parts
    _, html = await sent(peer)
    assert 'href="mailto:a@b.example"' in html
    assert parse_qs(urlsplit(links(html)[0]).query) == {"u": [TARGET]}


async def test_tracking_without_an_address_of_ours_is_refused_at_start(tmp_path: Path) -> None:
    environ = {"CAROM_STREAMS": '{"news": {"opens": true}}'}
    url = f"sqlite:///{tmp_path / 'carom.db'}"
    with pytest.raises(SettingsError, match="public_url"):
        async with web(tmp_path, CAROM_DATABASE__URL=url, **environ):
            pass

"""A person at the console: an engine whose clock stands still, and clients that come to it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import httpx2
from fastapi import FastAPI

from analysis import browsing, keys, sessions
from analysis.keys import NewKey
from analysis.sessions import Guest
from carom import assembly
from carom.engine import Engine
from carom.http_server import serve_http
from carom.web import create_app
from tests.carom import console_cast as cast
from tests.carom.web_peer import URL, made
from tests.storing import NOW

_CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


@dataclass(slots=True)
class Clock:
    """Says what it was told; `on` moves it."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now

    def on(self, seconds: float) -> None:
        self.now += seconds


@dataclass(slots=True)
class Console:
    """The application, and a browser's cookies towards it."""

    app: FastAPI
    engine: Engine
    clock: Clock
    key: str
    client: httpx2.AsyncClient
    drawn: int = 0
    first: str = ""  # the id of a message ...
    first_delivery: str = ""  # ... and of its delivery

    def random(self, octets: int) -> bytes:
        self.drawn += 1
        return bytes([self.drawn % 256]) * octets

    async def get(self, path: str = "", **headers: str) -> httpx2.Response:
        return await self.client.get(f"/console{path}", headers=headers)

    async def post(
        self, path: str, fields: dict[str, str] | None = None, **headers: str
    ) -> httpx2.Response:
        """As our own page would send it, unless the headers say otherwise."""
        return await self.client.post(
            f"/console{path}", data=fields or {}, headers={"Origin": URL, **headers}
        )

    async def csrf(self, path: str = "") -> str:
        found = _CSRF.search((await self.get(path)).text)
        assert found is not None
        return found[1]

    async def act(self, path: str, **fields: str) -> httpx2.Response:
        """Post a form with the session's token."""
        return await self.post(path, {**fields, "csrf": await self.csrf()})

    async def sign_in(self, key: str | None = None) -> httpx2.Response:
        return await self.post("/sign-in", {"key": key or self.key})

    async def link(self, *scopes: str) -> str:
        token = sessions.new_token(self.random)
        guest = Guest("a link", frozenset(scopes))
        await self.engine.store.write(
            lambda tx: sessions.make_link(tx, token, guest, now=self.clock.now)
        )
        return f"/link/{token}"

    async def key_with(self, *scopes: str) -> NewKey:
        new = keys.make("someone", scopes, self.random)
        await self.engine.store.write(lambda tx: keys.add(tx, new.key, now=self.clock.now))
        return new

    def stranger(self) -> httpx2.AsyncClient:
        """Another browser, without our cookies."""
        transport = httpx2.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url=URL)


@asynccontextmanager
async def console(folder: Path, **environ: str) -> AsyncIterator[Console]:
    """The console of settings as `carom init` writes them, by ASGI, without a socket."""
    settings, key = made(folder, **environ)
    clock = Clock()
    async with await assembly.build(settings, clock=clock) as parts:
        app = create_app(parts)
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url=URL) as client:
            yield Console(app, parts, clock, key, client)


@asynccontextmanager
async def served(console: Console) -> AsyncIterator[str]:
    """The console on a port of loopback; its address."""
    stop = asyncio.Event()
    bound: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    limits = console.engine.settings.api
    task = asyncio.create_task(
        serve_http(console.app, "127.0.0.1", 0, limits=limits, stop=stop, started=bound.set_result)
    )
    try:
        yield f"http://127.0.0.1:{await bound}"
    finally:
        stop.set()
        await task


def words(page: httpx2.Response) -> str:
    """What a page says, without its tags."""
    return unescape(" ".join(re.sub(r"<[^>]*>", " ", page.text).split()))


PAGES = (
    "",
    "?span=week",
    "/queue",
    "/suppressions",
    "/suppressions?reason=manual",
    "/incidents",
    "/not-understood",
    "/inbound",
    "/streams",
    "/keys",
    "/audit",
    "/search?q=receipt",
    "/search?q=xy",
    "/search?q=nothing%20of%20the%20kind",
    "/address?address=li.na%40qq.com",
    "/address?address=hana%40naver.com",
    "/address?address=nobody%40example.org",
)


async def peopled(peer: Console) -> Console:
    found = await cast.put_on(peer.engine.store)
    delivery_id = found[cast.FULL]
    owner = await peer.engine.store.read(lambda tx: browsing.owner(tx, delivery_id))
    peer.first, peer.first_delivery = owner or "", delivery_id
    assert (await peer.sign_in()).status_code == 303
    return peer


def pages_of(peer: Console) -> tuple[str, ...]:
    return (*PAGES, f"/messages/{peer.first}")


_TAGS = """
html head meta title link script body a header img form label input span kbd button nav ul li main
footer p dialog h1 h2 h3 dl dt dd section div blockquote b ol time details summary code pre table
thead tbody tr th td select option article strong br figure svg desc text line rect circle path
fieldset legend
"""


class Inspector(HTMLParser):
    """Refuses whatever our templates do not write themselves."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _TAGS.split(), tag
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            assert name != "style", tag
            if name in ("href", "src", "action"):
                assert (value or "").startswith(("/console", "#content")), value
        if tag == "script":
            assert dict(attrs)["src"], "no script in the page itself"

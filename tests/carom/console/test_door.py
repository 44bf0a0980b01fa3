"""The console over HTTP: who gets in, and how long a session lasts."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import func, select
from starlette.applications import Starlette

from analysis import keys as api_keys
from analysis import sessions
from analysis.access import Access
from analysis.schema import console_sessions
from carom.console.routes import console as routes_of
from tests.carom.console_peer import PAGES, Console, console, words
from tests.carom.web_peer import URL
from tests.storing import NOW

pytestmark = pytest.mark.anyio


async def test_a_stranger_is_led_to_the_door_and_back(empty: Console) -> None:
    for path in PAGES:
        async with empty.stranger() as other:
            answer = await other.get(f"/console{path}")
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/console/sign-in?next=%2Fconsole")
            door = (await other.get(answer.headers["location"])).text
            [to] = re.findall(r'name="next" value="([^"]*)"', door)
            assert unescape(to) == f"/console{path}"
    entered = await empty.post("/sign-in", {"key": empty.key, "next": "/console/search?q=a%20b"})
    assert entered.headers["location"] == "/console/search?q=a%20b"


ELSEWHERE = (
    "https://evil.example", "//evil.example", "/v1/messages", "/console\\..", "/console/sign-in",
    "/consoles", "javascript:x", "/console/\r\nSet-Cookie: a=b", "/console/é",
)  # fmt: skip


async def test_the_door_leads_nowhere_else(empty: Console) -> None:
    for to in ELSEWHERE:
        entered = await empty.post("/sign-in", {"key": empty.key, "next": to})
        assert entered.headers["location"] == "/console", to


async def test_a_key_lets_in_and_only_its_hash_is_kept(empty: Console) -> None:
    entered = await empty.sign_in()
    cookie = entered.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/console"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    token = re.search(r"carom_console=([^;]+)", cookie)
    assert token is not None
    rows = await empty.engine.store.read(lambda tx: list(tx.execute(select(console_sessions))))
    assert len(rows) == 1
    assert token[1] not in repr(rows)
    assert (await empty.get()).status_code == 200


async def test_cookies_insist_on_tls_where_people_come_by_it(tmp_path: Path) -> None:
    url = "https://mail.example.com"
    async with console(tmp_path / "m", CAROM_API__PUBLIC_URL=url) as peer:
        entered = await peer.post("/sign-in?lang=zh", {"key": peer.key}, Origin=url)
        assert entered.status_code == 303
        assert all("Secure" in c for c in entered.headers.get_list("set-cookie"))


async def test_behind_a_proxy_with_a_path_links_and_cookies_have_it_too(tmp_path: Path) -> None:
    url = "https://example.com/mail"
    async with console(tmp_path / "m", CAROM_API__PUBLIC_URL=url) as peer:
        headers = {"Origin": "https://example.com", "Host": "example.com"}
        entered = await peer.post("/sign-in", {"key": peer.key}, **headers)
        assert entered.headers["location"] == "/mail/console"
        cookie = entered.headers["set-cookie"]
        assert "Path=/mail/console" in cookie
        page = (await peer.get("/queue", Host="example.com", Cookie=cookie.split(";")[0])).text
        assert 'href="/mail/console/queue" aria-current="page"' in page
        assert not re.findall(r'(?:href|src|action)="/console', page)
        assert 'href="/mail/console/queue?theme=dark"' in page


async def test_a_wrong_key_does_not(empty: Console) -> None:
    for key in ("", "x", "carom_00000000_" + "0" * 64, "é" * 50, "a\0b"):
        answer = await empty.post("/sign-in", {"key": key})
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert "not known" in words(answer)


async def test_guessing_is_put_off_and_a_key_that_stands_is_not(empty: Console) -> None:
    wrong = empty.key[:-1] + ("0" if empty.key[-1] != "0" else "1")
    for _ in range(10):
        assert (await empty.post("/sign-in", {"key": wrong})).status_code == 401
    refused = await empty.sign_in(wrong)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "600")
    assert (await empty.sign_in()).status_code == 303, "all of a proxy's clients are one"
    empty.clock.on(600)
    assert (await empty.sign_in(wrong)).status_code == 401


async def test_a_key_that_may_not_read_has_nothing_to_see(empty: Console) -> None:
    answer = await empty.sign_in((await empty.key_with("send")).text)
    assert answer.status_code == 403
    assert (await empty.get()).status_code == 303


async def test_a_link_lets_one_person_in_once(empty: Console) -> None:
    link = await empty.link("read")
    assert (await empty.client.head(f"/console{link}")).status_code == 403
    assert (await empty.get(link, **{"Sec-Purpose": "prefetch"})).status_code == 403
    assert (await empty.get(link)).headers["location"] == "/console"
    assert "a link" in (await empty.get()).text
    async with empty.stranger() as other:
        again = await other.get(f"/console{link}")
        assert again.status_code == 410
        assert (await other.get("/console")).status_code == 303


async def test_a_link_runs_out(empty: Console) -> None:
    link = await empty.link("read")
    empty.clock.on(sessions.LINK_LASTS)
    assert (await empty.get(link)).status_code == 410


async def test_a_session_ends_by_itself_and_by_its_button(empty: Console) -> None:
    await empty.sign_in()
    for _ in range(20):
        empty.clock.on(1_800)
        assert (await empty.get()).status_code == 200
    empty.clock.on(3_600)
    assert (await empty.get()).status_code == 303
    await empty.sign_in()
    assert (await empty.act("/sign-out")).headers["location"] == "/console/sign-in"
    assert (await empty.get()).status_code == 303


async def test_after_half_a_day_even_a_busy_one_ends(empty: Console) -> None:
    await empty.sign_in()
    for _ in range(23):
        empty.clock.on(1_800)
        assert (await empty.get()).status_code == 200
    empty.clock.on(1_800)
    assert (await empty.get()).status_code == 303


async def test_signing_in_again_ends_the_session_before(empty: Console) -> None:
    await empty.sign_in()
    await empty.sign_in()
    counted = select(func.count()).select_from(console_sessions)
    assert await empty.engine.store.read(lambda tx: tx.execute(counted).scalar()) == 1


async def test_a_session_ends_with_its_key(empty: Console) -> None:
    access = Access(empty.engine.store, {}, monotonic=lambda: 0.0, fresh=0.0)
    app = Starlette(routes=routes_of(empty.engine, access, empty.random))
    new = await empty.key_with("read")
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url=URL) as browser:
        headers = {"Origin": URL}
        entered = await browser.post("/console/sign-in", data={"key": new.text}, headers=headers)
        assert entered.status_code == 303
        assert (await browser.get("/console")).status_code == 200
        await empty.engine.store.write(lambda tx: api_keys.revoke(tx, new.key.id, now=NOW))
        assert (await browser.get("/console")).status_code == 303


async def test_the_settings_can_turn_it_off(tmp_path: Path) -> None:
    async with console(tmp_path / "m", CAROM_CONSOLE__ENABLED="false") as peer:
        assert (await peer.get("/sign-in")).status_code == 404

"""The console over HTTP: who gets in, what they see and may do, and what no page ever holds."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, insert, select
from starlette.applications import Starlette

from analysis import audit as auditing
from analysis import browsing, sessions
from analysis import keys as api_keys
from analysis.access import Access
from analysis.address import address_hash, parse
from analysis.erase import erase
from analysis.facts import Kind
from analysis.lookup import message as message_of
from analysis.reply import Stage
from analysis.schema import audit, console_sessions, messages, suppressions
from analysis.verdict import Category, Fault
from carom.console.routes import console as routes_of
from carom.console.words import TEXTS, Words, preferred
from sender.tokens import Purpose
from tests.carom import console_cast as cast
from tests.carom.console_peer import Console, console, words
from tests.carom.test_web_incidents import hold, opened
from tests.carom.web_peer import URL, on
from tests.storing import NOW

pytestmark = pytest.mark.anyio

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


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[Console]:
    async with console(tmp_path / "mail") as made:
        yield made


@pytest.fixture
async def desk(empty: Console) -> Console:
    """The small world of `console_cast`, signed in with every scope."""
    return await peopled(empty)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for the module, so that tests which change nothing can share a world."""
    return "asyncio"


@pytest.fixture(scope="module")
async def view(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Console]:
    """The same world, for tests that only look."""
    async with console(tmp_path_factory.mktemp("console") / "mail") as made:
        yield await peopled(made)


async def peopled(peer: Console) -> Console:
    found = await cast.put_on(peer.engine.store)
    delivery_id = found[cast.FULL]
    owner = await peer.engine.store.read(lambda tx: browsing.owner(tx, delivery_id))
    peer.first, peer.first_delivery = owner or "", delivery_id
    assert (await peer.sign_in()).status_code == 303
    return peer


def pages_of(peer: Console) -> tuple[str, ...]:
    return (*PAGES, f"/messages/{peer.first}")


# --- the way in


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


# --- forms


FORGED: tuple[dict[str, str], ...] = (
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": f"{URL}.evil.example"},
    {"Origin": "http://["},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
)


async def test_a_form_from_elsewhere_changes_nothing(view: Console) -> None:
    fields = {"address": "eve@example.net", "why": "x", "csrf": await view.csrf()}
    for headers in FORGED:
        assert (await view.post("/suppress", fields, **headers)).status_code == 403
        assert (await view.post("/sign-in", {"key": view.key}, **headers)).status_code == 403
    assert "eve@" not in (await view.get("/suppressions")).text


async def test_a_form_needs_the_token_of_its_own_session(desk: Console) -> None:
    fields = {"address": "eve@example.net", "why": "x"}
    stale = await desk.csrf()
    await desk.sign_in()
    for token in ({}, {"csrf": ""}, {"csrf": "é"}, {"csrf": "0" * 64}, {"csrf": stale}):
        assert (await desk.post("/suppress", {**fields, **token})).status_code == 403
    assert (await desk.act("/suppress", **fields)).status_code == 303


FORM = "application/x-www-form-urlencoded"
NO_FORMS = (
    (b"{}", "application/json", 415),
    (b"a" * 40_000, FORM, 413),
    (b"&a=1" * 100, FORM, 400),
    (b"csrf=\xff", FORM, 400),
)


async def test_what_is_no_form_is_refused(view: Console) -> None:
    for content, kind, status in NO_FORMS:
        headers = {"Origin": URL, "Content-Type": kind}
        answer = await view.client.post("/console/suppress", content=content, headers=headers)
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("text/html")


ALLOWED = (
    (("read",), "/suppress", 403),
    (("read",), "/lift", 403),
    (("read", "suppress"), "/suppress", 303),
    (("read", "suppress"), "/messages/{first}/resend", 403),
    (("read", "send"), "/messages/{first}/cancel", 303),
    (("read", "send", "suppress"), "/keys", 403),
)


async def test_scopes_decide_what_may_be_done(desk: Console) -> None:
    fields = {"address": "eve@example.net", "why": "asked for", "name": "x", "scope-read": "yes"}
    for scopes, path, status in ALLOWED:
        await desk.get(await desk.link(*scopes))
        answer = await desk.act(path.format(first=desk.first), **fields)
        assert answer.status_code == status, (scopes, path)


async def test_who_may_only_read_sees_no_buttons(desk: Console) -> None:
    await desk.get(await desk.link("read"))
    page = (await desk.get("/address?address=hana%40naver.com")).text
    assert page.count("<form") == 3  # search, sign out, the help's button
    assert "/console/keys" not in page
    for path in ("/keys", "/audit"):
        assert (await desk.get(path)).status_code == 403


# --- pages


async def test_every_page_renders_in_both_languages(view: Console) -> None:
    for path, lang in product(pages_of(view), ("en", "zh")):
        answer = await view.get(path, **{"Accept-Language": f"{lang}-XX,fr;q=0.9"})
        assert answer.status_code == 200, path
        assert f'<html lang="{lang}' in answer.text
        assert "<Macro" not in words(answer)
        _Inspector().feed(answer.text)


async def test_every_page_and_deed_works_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    async with console(tmp_path / "mail", **on(postgres_url)) as empty:
        peer = await peopled(empty)
        odd = ("/search?q=%00%27x", "/inbound/%00", "/messages/%00", "/audit?subject=%00")
        for path in (*pages_of(peer), "/suppressions?cursor=WzE4MDAwMDAwMDAuMCwiMDAiXQ"):
            assert (await peer.get(path)).status_code == 200, path
        for path in odd:
            assert (await peer.get(path)).status_code in (200, 404), path
        fields = {"address": "eve@example.net", "why": "x"}
        for path in ("/suppress", "/lift", f"/messages/{peer.first}/resend"):
            assert (await peer.act(path, **fields)).status_code == 303, path


async def test_every_answer_carries_the_policy(view: Console) -> None:
    others = ("/sign-in", "/none", "/messages/x", "/static/x", "/static/console.css")
    for path in (*pages_of(view), *others):
        headers = (await view.get(path)).headers
        assert headers["content-security-policy"] == (
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
            "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "same-origin"


async def test_static_files_are_there_for_everybody_and_no_others(empty: Console) -> None:
    for name in ("console.css", "console.js", "icon.svg"):
        answer = await empty.get(f"/static/{name}")
        assert (answer.status_code, len(answer.content) > 100) == (200, True)
    for name in ("../console.css", "..%2f__init__.py", "%2e%2e/x", "x"):
        assert (await empty.get(f"/static/{name}")).status_code == 404


def test_both_languages_have_the_same_texts() -> None:
    assert TEXTS["en"].keys() == TEXTS["zh"].keys()
    fields = re.compile(r"\{[a-z]*\}")
    for key in TEXTS["en"]:
        assert set(fields.findall(TEXTS["en"][key])) == set(fields.findall(TEXTS["zh"][key])), key


@pytest.mark.parametrize(
    ("accept", "lang"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("fr,de;q=0.9", "en"),
        ("en;q=0.2,zh-TW;q=0.7", "zh"),
        ("zh;q=0,en", "en"),
        (";q=x,,zh;q=é", "en"),
        ("zh" * 10_000, "en"),
    ],
)
def test_the_language_that_a_browser_asks_for(accept: str, lang: str) -> None:
    assert preferred(None, None, accept=accept) == lang


async def test_choices_of_language_and_colours_last(desk: Console) -> None:
    await desk.get("?lang=zh&theme=dark")
    page = (await desk.get("/queue")).text
    assert '<html lang="zh-Hans" data-theme="dark">' in page
    assert "队列" in page
    await desk.get("?lang=xx&theme=javascript:")
    assert 'data-theme="dark"' in (await desk.get("/queue")).text


def test_times_are_said_as_people_say_them() -> None:
    t = Words("en")
    said = [t.ago(NOW - s, NOW) for s in (0, 59, 60, 119, 7_200, 86_400, -1, -90, -172_800)]
    assert said == [
        "just now", "just now", "1 minute ago", "1 minute ago", "2 hours ago", "1 day ago",
        "within a minute", "in 1 minute", "in 2 days",
    ]  # fmt: skip


ANSWERS = {
    cast.FULL: "“Your reset code” was refused for now by QQ Mail at 07:53 UTC because the mailbox "
    "is full. Ask the user to free space; Carom tries again at 08:10 UTC.",
    cast.TAKEN: "“Your receipt no. 4711” was accepted by Gmail at 06:00 UTC.",
    cast.GONE: "Carom withholds mail to bob@outlook.com since 07:34 UTC because there is no such "
    "mailbox. Ask the user for the right address. Lift the suppression only when the mailbox "
    "works again.",
    cast.BACK: "“Your receipt no. 4712” was accepted by NetEase Mail at 03:00 UTC, and came back "
    "at 04:00 UTC because the mailbox is full.",
    cast.SPAM: "Carom withholds mail to dora@yahoo.com since 04:00 UTC because the user reported "
    "mail from us as spam.",
    cast.SLOW: "because a sender not met before must come back later. The user need only wait; "
    "Carom tries again at 08:10 UTC.",
    cast.HELD: "“Your login code” is held back by Carom because too much mail came from us in a "
    "short time.",
    cast.LATE: "was never taken by the mail server of harbour.example because its server could "
    "not be reached",
    cast.CALLED_OFF: "because somebody put it on the list by hand",
    cast.BLOCKED: "was refused by Mail.ru at 07:25 UTC because our sending server is blocked "
    "there. Tell the sending team; the address is fine.",
    cast.NEW: "“Your invoice” is next in line and goes out within moments.",
    "nobody@example.org": "Nothing was ever sent to nobody@example.org.",
}


async def test_one_answer_stands_first_for_everybody(view: Console) -> None:
    for address, said in ANSWERS.items():
        page = words(await view.get(f"/address?address={address}"))
        assert said in page.replace(" .", ".").replace(" ,", ",").replace(" ;", ";"), address


async def test_the_timeline_holds_the_servers_own_words(view: Console) -> None:
    page = words(await view.get("/address?address=li.na%40qq.com"))
    for said in ("452 4.2.2 Mailbox full", "mx1.qq.com", "192.0.2.1", "TLSv1.3", "RCPT"):
        assert said in page
    assert "mailbox-full/over-quota" in page


async def test_the_timeline_says_where_it_was_and_whose_fault(view: Console) -> None:
    page = words(await view.get(f"/messages/{view.first}"))
    assert "mx1.qq.com 192.0.2.1 · TLSv1.3 · at RCPT TO" in page
    assert "mailbox full · fault: the mailbox · mailbox-full/over-quota" in page


async def test_who_waits_is_told_when_it_is_tried_again(desk: Console) -> None:
    expires = NOW + 86_400
    token = desk.engine.tokens.issue(Purpose.FEEDBACK, desk.first_delivery, expires=expires)
    page = await desk.client.post(f"/f/{token}")
    assert "The next try is at 08:10 UTC." in words(page)


async def test_every_name_of_a_closed_set_has_words() -> None:
    for group, names in (("stage", Stage), ("category", Category), ("fault", Fault)):
        assert {f"{group}.{one.value}" for one in names} <= TEXTS["en"].keys()
    assert {f"taken.{kind.value}" for kind in Kind} <= TEXTS["en"].keys()


async def test_the_incident_that_mail_waits_for_is_named(view: Console) -> None:
    assert "Mail.ru" in words(await view.get("/incidents")) or "mailru" in words(
        await view.get("/incidents")
    )
    assert "seen 46 times" in words(await view.get("/incidents"))


async def test_what_nobody_understood_comes_with_a_rule_to_fill_in(view: Console) -> None:
    page = words(await view.get("/not-understood"))
    assert "the moon is in the wrong house" in page
    assert "[[rule]]" in page
    assert 'category = "?"' in page


async def test_a_raw_report_is_shown_as_text(view: Console) -> None:
    listed = (await view.get("/inbound")).text
    [path] = re.findall(r'href="/console(/inbound/[^"]+)"', listed)
    page = await view.get(path)
    assert "<script>alert" not in page.text
    assert "<script>alert('no')</script> Ihre Nachricht" in page.text.replace("&lt;", "<").replace(
        "&gt;", ">"
    ).replace("&#39;", "'")


# --- search


LEADS = {
    "li.na@qq.com": "/address?address=li.na%40qq.com",
    "  Li Na <li.na@QQ.com> ": "/address?address=li.na%40qq.com",
    "o'hara+tag@example.com": "/address?address=o%27hara%2Btag%40example.com",
    "NA@qq": "/address?address=li.na%40qq.com",  # a part that only one person has
    "": "",
}


async def test_what_names_one_thing_leads_to_it(view: Console) -> None:
    message_id = f"{view.first}@example.com"
    named = (view.first, view.first_delivery, message_id, f"<{message_id}>")
    first = dict.fromkeys((*named, "YOUR RESET CODE", "reset"), f"/messages/{view.first}")
    for said, to in (LEADS | first).items():
        answer = await view.client.get("/console/search", params={"q": said})
        assert answer.headers["location"] == f"/console{to}", said


async def test_words_of_a_subject_find_the_newest_first(view: Console) -> None:
    page = (await view.get("/search?q=your%20receipt")).text
    found = re.findall(r"Your receipt no\. (\d+)", page)
    assert sorted(found) == ["4711", "4712", "4713", "4714", "4715"]
    times = re.findall(r'class="row" href="/console/messages/(\w+)"', page)
    assert times == sorted(times, reverse=True)


async def test_a_part_of_an_address_finds_everybody_who_has_it(view: Console) -> None:
    page = (await view.get("/search?q=.example")).text
    found = set(re.findall(r"(\w+)@(?:harbour|meadow|vale)\.example", page))
    assert found == {"gus", "ivo", "kai"}


async def test_nothing_in_a_search_is_a_pattern(view: Console) -> None:
    for said in ("%%%", "___", "a%z", "\\\\\\", "'; --", "\0\0\0xyz", "é" * 300):
        answer = await view.client.get("/console/search", params={"q": said})
        assert answer.status_code == 200
        assert "Nothing was found" in answer.text


# --- deeds


async def test_suppressing_and_lifting_are_audited_with_who_and_why(desk: Console) -> None:
    done = await desk.act("/suppress", address="Eve@Example.NET", why="T-1 <asked>", stream="*")
    assert done.headers["location"].endswith("/address?address=Eve%40example.net&done=suppressed")
    page = words(await desk.client.get(done.headers["location"]))
    assert "The address is suppressed now." in page
    assert "T-1 <asked>" in page
    lifted = await desk.act("/lift", address="eve@example.net", why="works", reason="manual")
    page = words(await desk.client.get(lifted.headers["location"]))
    assert "goes out" in page
    rows = await desk.engine.store.read(
        lambda tx: tx.execute(select(audit).order_by(audit.c.seq.desc()).limit(2)).all()
    )
    assert [(row.action, row.reason) for row in rows] == [
        ("suppression.lift", "works"),
        ("suppression.suppress", "T-1 <asked>"),
    ]
    assert all(row.actor.startswith("init (") and row.actor.endswith("console") for row in rows)


REFUSED = (
    {"address": "eve@example.net", "why": " "},
    {"address": "not an address", "why": "x"},
    {"address": "eve@example.net", "why": "x", "stream": "a b"},
)


async def test_a_deed_that_cannot_be_is_refused_with_words(view: Console) -> None:
    for fields in REFUSED:
        assert (await view.act("/suppress", **fields)).status_code == 422
    counted = select(func.count()).select_from(suppressions)
    assert await view.engine.store.read(lambda tx: tx.execute(counted).scalar()) == 3


async def test_an_incident_is_noted_and_closed_by_a_person(desk: Console) -> None:
    page = await desk.get("/incidents")
    incident = re.search(r"/incidents/(01[0-9a-z]{24})", page.text)
    assert incident is not None
    path = f"/incidents/{incident[1]}"
    assert (await desk.act(path, do="note", why=" ")).status_code == 422
    assert (await desk.act(path, do="burn", why="x")).status_code == 422
    assert (await desk.act("/incidents/01none", do="note", why="x")).status_code == 404
    await desk.act(path, do="note", why="asked <them>, T-9")
    seen = words(await desk.get("/incidents"))
    assert "asked <them>, T-9" in seen
    assert "init (" in seen
    closed = await desk.act(path, do="close", why="off the list")
    assert closed.headers["location"].endswith(f"/incidents?done=closed#{incident[1]}")
    page = await desk.client.get(closed.headers["location"])
    assert "No incident is open." in words(page)
    assert "off the list" in words(page)
    assert (await desk.act(path, do="close", why="again")).status_code == 409
    rows = await desk.engine.store.read(
        lambda tx: tx.execute(select(audit.c.action).where(audit.c.subject == incident[1])).all()
    )
    assert [row.action for row in rows] == ["incident.note", "incident.close"]


@pytest.mark.parametrize(
    ("what", "said", "listed"),
    [
        ("release", "suppressed now", ["dead0@gmail.com", "dead1@gmail.com"]),
        ("drop", "are forgotten", []),
    ],
)
async def test_what_the_breaker_holds_is_released_or_dropped_by_a_person(
    desk: Console, what: str, said: str, listed: list[str]
) -> None:
    store = desk.engine.store
    incident = await store.write(lambda tx: opened(tx, "suppressions", "gmail"))
    await store.write(lambda tx: hold(tx, incident, "dead0@gmail.com", "dead1@gmail.com"))
    assert "2 suppressions are held back." in words(await desk.get("/incidents"))
    done = await desk.act(f"/incidents/{incident}", do=what, why="asked Gmail, T-12")
    page = await desk.client.get(done.headers["location"])
    assert said in words(page)
    assert "are held back" not in words(page)
    assert "asked Gmail, T-12" in words(page)
    found = select(suppressions.c.address).where(suppressions.c.address.like("dead%"))
    order = found.order_by(suppressions.c.address)
    assert await store.read(lambda tx: list(tx.execute(order).scalars())) == listed
    row = select(audit).where(audit.c.subject == incident, audit.c.action == f"incident.{what}")
    told = await store.read(lambda tx: tx.execute(row).one())
    assert (told.reason, told.data["held"]) == ("asked Gmail, T-12", 2)
    assert told.actor.endswith("console")
    assert f'value="{what}"' not in page.text


async def test_the_audit_names_whom_it_is_about_until_they_are_erased(desk: Console) -> None:
    await desk.act("/suppress", address="ada@gmail.com", why="asked for", stream="*")
    await desk.act(f"/messages/{desk.first}/resend")
    page = words(await desk.get("/audit"))
    for name in ("ada@gmail.com", "Your reset code", "Suppressed", "Sent again"):
        assert name in page
    assert "suppression.suppress" not in page
    hashed = address_hash(parse("ada@gmail.com").key)
    await desk.act("/lift", address="ada@gmail.com", why="asked again", reason="manual")
    only = words(await desk.get(f"/audit?subject={hashed.hex()}"))
    assert "Only entries about ada@gmail.com" in only
    assert "Your reset code" not in only
    await desk.engine.store.write(lambda tx: erase(tx, hashed, now=NOW, actor="a", why="b"))
    assert "ada@gmail.com" not in words(await desk.get("/audit"))


async def test_sending_again_makes_a_new_message_and_is_audited(desk: Console) -> None:
    done = await desk.act(f"/messages/{desk.first}/resend")
    new = done.headers["location"].removeprefix("/console/messages/").partition("?")[0]
    found = await desk.engine.store.read(lambda tx: message_of(tx, new))
    assert found is not None
    assert found["metadata"] == {"resend_of": desk.first}
    assert "Sent again" in words(await desk.client.get(done.headers["location"]))
    assert new in str(await _newest_audit(desk))


async def test_cancelling_ends_what_is_queued_once(desk: Console) -> None:
    for said in ("is cancelled", "nothing could be cancelled"):
        done = await desk.act(f"/messages/{desk.first}/cancel")
        assert said in words(await desk.client.get(done.headers["location"]))
    assert (await desk.act("/messages/" + "0" * 26 + "/cancel")).status_code in (303, 404)
    assert (await desk.act("/messages/x/resend")).status_code == 404


async def test_a_key_is_made_shown_once_and_revoked(desk: Console) -> None:
    made = await desk.act("/keys", name="shop <1>", **{"scope-read": "yes", "scope-send": "yes"})
    [text] = re.findall(r"carom_[0-9a-f]{8}_[0-9a-f]{64}", made.text)
    assert text not in (await desk.get("/keys")).text
    assert text not in str(await _newest_audit(desk))
    key_id = text.split("_")[1]
    bearer = {"Authorization": f"Bearer {text}"}
    assert (await desk.client.get("/v1/events", headers=bearer)).status_code == 200
    done = await desk.act(f"/keys/{key_id}/revoke")
    assert "revoked" in words(await desk.client.get(done.headers["location"]))
    assert (await desk.act(f"/keys/{key_id}/revoke")).status_code == 404
    assert (await desk.act("/keys", name="x")).status_code == 422


async def _newest_audit(desk: Console) -> Any:
    newest = select(audit).order_by(audit.c.seq.desc()).limit(1)
    return await desk.engine.store.read(lambda tx: tx.execute(newest).one())


async def test_lists_are_paged_to_their_end(desk: Console) -> None:
    rows = [
        {
            "address_hash": bytes([n % 256]) * 32,
            "stream": f"s{n}",
            "reason": "manual",
            "address": f"u{n}@example.net",
            "since": NOW - n // 3,
            "evidence": "x",
            "actor": "a",
        }
        for n in range(120)
    ]
    await desk.engine.store.write(lambda tx: tx.execute(insert(suppressions), rows))
    seen: list[str] = []
    path: str | None = "/suppressions?reason=manual"
    while path:
        page = (await desk.get(path)).text.replace("&amp;", "&")
        seen += re.findall(r"(u\d+)@example\.net</a>", page)
        more = re.search(r'rel="next" href="/console([^"]+)"', page)
        path = more[1] if more else None
    assert sorted(seen) == sorted(f"u{n}" for n in range(120))


async def test_a_strange_question_is_a_page_too(view: Console) -> None:
    strange = ("/suppressions?cursor=x", "/audit?cursor=WzFd0", "/address?address=x")
    for path in (*strange, "/messages/%00", "/inbound/%27", "/audit?subject=%00"):
        answer = await view.get(path)
        assert answer.status_code in (200, 404, 422), path
        assert answer.headers["content-type"].startswith("text/html")


# --- hostile text

_BITS = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</title><svg onload=alert(1)>",
    "\" onmouseover=\"alert(1)", "' autofocus onfocus='alert(1)", "javascript:alert(1)",
    "{{ 7 * 7 }}", "{% raw %}", "{0.__class__}", "%s%n", "&lt;b&gt;", "&#x3c;script&#x3e;",
    "]]>", "<!--", "-->", "<base href=//evil.example>", "<meta http-equiv=refresh content=0>",
    "<form action=//evil.example>", "<a href='javascript:x'>", "\u202egnp.exe", "\ufeff", "\u2028",
    "<style>*{display:none}</style>", "</textarea>", "</pre>", "</blockquote></main>", "\\u003c",
    "<link rel=stylesheet href=//evil.example>", "<iframe srcdoc=x>", "<details ontoggle=x open>",
    "+ADw-script+AD4-", "<x:script xmlns:x='http://www.w3.org/1999/xhtml'>", "`${alert(1)}`",
    "=cmd|' /C calc'!A0", "𝕏" * 20, "\u0301" * 40, "a" * 300, "../../etc/passwd", "\t\t", "<",
)  # fmt: skip
HOSTILE = [f"{one} {n}" for n in range(5) for one in _BITS]

_TAGS = """
html head meta title link script body a header img form label input span kbd button nav ul li main
footer p dialog h1 h2 h3 dl dt dd section div blockquote b ol time details summary code pre table
thead tbody tr th td select option article strong br figure svg desc text line rect circle path
fieldset legend
"""


class _Inspector(HTMLParser):
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


async def test_two_hundred_hostile_strings_are_nothing_but_text(desk: Console) -> None:
    assert len(HOSTILE) >= 200
    store = desk.engine.store
    await store.write(lambda tx: [_poison(tx, n, text) for n, text in enumerate(HOSTILE)])
    paths = ["/search?q=receipt", "/queue", "/suppressions", "/audit", "/inbound", "/incidents"]
    paths += [f"/address?address=v{n}%40example.net" for n in range(0, len(HOSTILE), 7)]
    paths += ["/not-understood", "/keys", *(f"/inbound/{n:026d}" for n in range(5_000, 5_040))]
    for path in paths:
        page = await desk.get(path)
        assert page.status_code == 200, path
        _Inspector().feed(page.text)
    shown = words(await desk.get("/address?address=v0%40example.net"))
    assert HOSTILE[0].split()[0] in shown
    for text in HOSTILE[:40]:
        answer = await desk.client.get("/console/search", params={"q": text})
        if answer.status_code == 200:
            _Inspector().feed(answer.text)


def _poison(tx: Any, n: int, text: str) -> None:
    """`text` wherever a stranger's words may come to stand."""
    from analysis.schema import attempts, deliveries, incidents, raw_inbound, unknown_replies
    from tests.storing import hash_of

    message_id, delivery_id = f"{3_000 + n:026d}", f"{4_000 + n:026d}"
    tx.execute(
        insert(messages).values(
            id=message_id,
            created_at=NOW - 9,
            stream="default",
            **{"class": "bulk"},
            from_address=text,
            subject=text,
            header_message_id=f"<{n}{text}>",
            deadline=NOW + 9,
            size=1,
            metadata={text: text},
        )
    )
    said = {"reply": text, "rule": text[:100], "category": "policy", "fault": text[:16]}
    tx.execute(
        insert(deliveries).values(
            id=delivery_id,
            message_id=message_id,
            recipient=f"v{n}@example.net",
            address_hash=hash_of(f"v{n}@example.net"),
            domain=text[:200],
            stream="default",
            rank=2,
            state="queued",
            created_at=NOW - 9,
            next_at=NOW,
            deadline=NOW + 9,
            attempts=1,
            epoch=1,
            provider="other",
            return_path="x",
            code=450,
            enhanced=text[:12],
            **said,
        )
    )
    tx.execute(
        insert(attempts).values(
            delivery_id=delivery_id,
            epoch=1,
            node="n",
            started_at=NOW - 9,
            ended_at=NOW - 8,
            result="deferred",
            stage=text[:16],
            host=text,
            address=text[:60],
            tls=text[:16],
            **said,
        )
    )
    tx.execute(
        insert(suppressions).values(
            address_hash=hash_of(f"v{n}@example.net"),
            stream=text[:60],
            reason="manual",
            address=f"{text}@example.net",
            since=NOW,
            evidence=text,
            actor=text,
        )
    )
    row = {"at": NOW, "actor": text, "action": text[:48], "reason": text, "data": {}}
    auditing.note(tx, [{**row, "subject": hash_of(f"v{n}@example.net").hex()}])
    raw = {"helo": text, "mail_from": text, "recipient": text, "error": text}
    tx.execute(
        insert(raw_inbound).values(
            id=f"{5_000 + n:026d}",
            received_at=NOW,
            peer=text[:60],
            purpose="bounce",
            content=text.encode() + b"\xff\x00",
            state="read",
            tries=1,
            lease_until=0,
            kind=text[:20],
            understood=False,
            **raw,
        )
    )
    tx.execute(
        insert(unknown_replies).values(
            fingerprint=f"{n} {text}"[:200],
            provider=text[:32],
            stage="rcpt",
            seen=n,
            first_at=NOW,
            last_at=NOW,
            example=text,
        )
    )
    told = {"replies": [{"text": text, "category": text, "seen": 1, "delivery_id": None}]}
    tx.execute(
        insert(incidents).values(
            id=f"{6_000 + n:026d}",
            kind="reputation",
            provider=f"p{n}",
            subject=text,
            fault="sender",
            state="closed" if n % 2 else "open",
            opened_at=NOW,
            since=NOW,
            looked_at=NOW,
            closed_why=text,
            reopened=0,
            evidence={**told, "streams": [text]},
        )
    )


async def test_no_page_holds_a_secret(desk: Console) -> None:
    """Neither keys nor tokens, nor what is kept of them."""
    secret = await desk.key_with("read")
    link = await desk.link("read")
    token = desk.client.cookies["carom_console"]
    kept = [secret.key.secret_hash.hex(), secret.text[15:], desk.key[15:], token, link[6:]]
    for path in pages_of(desk):
        page = (await desk.get(path)).text
        assert not [one for one in kept if one in page], path

"""What the console shows, in both languages, and what its search finds."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest
from sqlalchemy import insert

from analysis.facts import Kind
from analysis.reply import Stage
from analysis.schema import suppressions
from analysis.verdict import Category, Fault
from carom.console.words import TEXTS, Words, preferred
from sender.tokens import Purpose
from tests.carom import console_cast as cast
from tests.carom.console_peer import Console, Inspector, console, pages_of, peopled, words
from tests.carom.web_peer import on
from tests.storing import NOW

pytestmark = pytest.mark.anyio


async def test_every_page_renders_in_both_languages(view: Console) -> None:
    for path, lang in product(pages_of(view), ("en", "zh")):
        answer = await view.get(path, **{"Accept-Language": f"{lang}-XX,fr;q=0.9"})
        assert answer.status_code == 200, path
        assert f'<html lang="{lang}' in answer.text
        assert "<Macro" not in words(answer)
        Inspector().feed(answer.text)


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

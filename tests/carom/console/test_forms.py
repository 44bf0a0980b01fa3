"""Forms of the console: none from elsewhere, none without its token, none beyond its scopes."""

from __future__ import annotations

import pytest

from tests.carom.console_peer import Console
from tests.carom.web_peer import URL

pytestmark = pytest.mark.anyio


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

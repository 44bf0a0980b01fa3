"""The console in a real browser: every page at two widths, by keyboard, without scripts, by axe."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import axe_core_python
import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from carom.report.figures import WEEK, gather
from carom.report.page import page as report
from sender.tokens import Purpose
from tests.carom import console_cast as cast
from tests.carom.console_peer import Console, console, served
from tests.servers import chromium
from tests.storing import NOW

pytestmark = pytest.mark.anyio

AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
WIDER = """[...document.querySelectorAll("html, .scroll, .table, figure")]
    .filter(one => one.scrollWidth > one.clientWidth).map(one => one.outerHTML.slice(0, 200))"""
"""What shows less than it holds."""
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PAGES = (
    "",
    "/queue",
    "/suppressions",
    "/incidents",
    "/not-understood",
    "/inbound",
    "/streams",
    "/keys",
    "/audit",
    "/search?q=receipt",
    f"/address?address={cast.FULL}",
    f"/address?address={cast.CALLED_OFF}",
)


@dataclass(slots=True)
class Screen:
    """A browser, a console that it can reach, and the cookies of who is signed in."""

    browser: Browser
    peer: Console
    url: str
    heard: list[str]
    public: list[str]  # what needs no key

    async def tab(self, **options: object) -> Page:
        """A page whose complaints are kept; signed in unless the options say otherwise."""
        context: BrowserContext = await self.browser.new_context(**options)  # type: ignore[arg-type]
        context.set_default_timeout(10_000)
        page = await context.new_page()
        page.on("console", lambda message: self.heard.append(f"{page.url}: {message.text}"))
        page.on("pageerror", lambda error: self.heard.append(f"{page.url}: {error}"))
        page.on("dialog", lambda dialog: self.heard.append(f"{page.url}: {dialog.message}"))
        return page

    async def signed_in(self, **options: object) -> Page:
        page = await self.tab(**options)
        await page.goto(f"{self.url}{await self.peer.link('admin')}")
        return page


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Screen]:
    """The small world of `console_cast` behind a real port, and Chromium."""
    folder = tmp_path_factory.mktemp("console") / "mail"
    async with console(folder) as peer, served(peer) as url, async_playwright() as driver:
        found = await cast.put_on(peer.engine.store)
        program = await driver.chromium.launch(
            executable_path=chromium.program(), args=["--no-sandbox"]
        )
        yield Screen(program, peer, f"{url}/console", [], _public(peer, found[cast.SPAM]))
        await program.close()


def _public(peer: Console, delivery_id: str) -> list[str]:
    """The pages behind the links of a mail, with links that are none, and the API's page."""
    expires = peer.clock.now + 86_400

    def token(purpose: Purpose) -> str:
        return peer.engine.tokens.issue(purpose, delivery_id, expires=expires)

    leave, missing = token(Purpose.UNSUBSCRIBE), token(Purpose.FEEDBACK)
    mine = [f"/u/{leave}", f"/u/{leave}/preferences", f"/f/{missing}?lang=zh"]
    return [*mine, "/u/none", "/f/none", "/c/none", "/docs"]


@pytest.mark.parametrize(
    ("size", "theme", "lang"),
    [(DESK, "light", "en"), (PHONE, "dark", "zh")],
    ids=["desk", "phone"],
)
async def test_every_page_fits_and_nobody_complains(
    browser: Screen, size: dict[str, int], theme: str, lang: str
) -> None:
    page = await browser.signed_in(viewport=size, color_scheme=theme)
    browser.heard.clear()
    for path in PAGES:
        mark = "&" if "?" in path else "?"
        answer = await page.goto(f"{browser.url}{path}{mark}lang={lang}")
        assert answer is not None
        assert answer.status == 200, path
        assert await page.evaluate(WIDER) == [], path
        assert await page.locator("h1").count() == 1
    assert browser.heard == []
    await page.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_the_report_fits_a_phone_and_satisfies_axe(browser: Screen, theme: str) -> None:
    figures = await browser.peer.engine.store.read(lambda tx: gather(tx, NOW - WEEK, NOW))
    page = await browser.tab(viewport=PHONE, color_scheme=theme)
    for lang in ("en", "zh"):
        await page.set_content(report(figures, lang))
        assert await page.evaluate(WIDER) == []
        assert await page.locator("svg:visible").count() >= 6
        assert await _grave(page) == []
    await page.context.close()


async def test_no_script_of_a_stranger_runs(browser: Screen) -> None:
    page = await browser.signed_in(viewport=DESK)
    browser.heard.clear()
    await page.goto(f"{browser.url}/inbound")
    await page.locator("a[data-row]").first.click()
    assert "<script>alert" in await page.locator("pre.raw").inner_text()
    assert browser.heard == []
    await page.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_nothing_serious(browser: Screen, theme: str) -> None:
    page = await browser.signed_in(viewport=DESK, color_scheme=theme, bypass_csp=True)
    for path in PAGES if theme == "light" else ("", PAGES[-2], "/suppressions", "/keys"):
        await page.goto(f"{browser.url}{path}")
        assert await _grave(page) == [], path
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.goto(browser.url)
    assert await _grave(page) == []
    await page.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_pages_for_recipients_and_the_docs_fit_and_satisfy_axe(
    browser: Screen, theme: str
) -> None:
    page = await browser.tab(viewport=PHONE, color_scheme=theme, bypass_csp=True)
    browser.heard.clear()
    for path in browser.public:
        await page.goto(f"{browser.url.removesuffix('/console')}{path}")
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await page.evaluate(wide) <= 0, path
        assert await page.locator("h1").count() == 1, path
        assert await _grave(page) == [], path
    await page.context.close()


async def _grave(page: Page) -> list[tuple[str, list[str]]]:
    """What axe calls serious or critical on this page, with the first places."""
    await page.add_script_tag(content=AXE)
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        (one["id"], [node["html"][:120] for node in one["nodes"][:3]])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


async def test_axe_finds_nothing_serious_at_the_door(browser: Screen) -> None:
    page = await browser.tab(viewport=PHONE, bypass_csp=True)
    await page.goto(f"{browser.url}/sign-in")
    assert await _grave(page) == []
    await page.context.close()


async def test_the_keyboard_is_enough(browser: Screen) -> None:
    page = await browser.signed_in(viewport=DESK)
    await page.goto(browser.url)
    await page.keyboard.press("/")
    await page.keyboard.type("your receipt")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/search?q=*")
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    second = await page.evaluate("document.activeElement.getAttribute('href')")
    await page.keyboard.press("k")
    first = await page.evaluate("document.activeElement.getAttribute('href')")
    rows = await page.locator("a.row").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert [first, second] == rows[:2]
    await page.keyboard.press("?")
    assert await page.locator("dialog#keyboard").is_visible()
    await page.keyboard.press("Escape")
    assert not await page.locator("dialog#keyboard").is_visible()
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**{first}")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    await page.context.close()


async def test_everything_works_without_scripts(browser: Screen) -> None:
    page = await browser.tab(viewport=PHONE, java_script_enabled=False)
    await page.goto(f"{browser.url}/suppressions")
    await page.fill("#key", browser.peer.key)
    await page.click("button.main")
    await page.wait_for_url(f"{browser.url}/suppressions")
    await page.fill("#q", "eve@example.net")
    await page.click(".search button")
    await page.fill("#suppress-why", "asked by phone")
    await page.click("button.grave")
    assert await page.locator(".done").inner_text() == "The address is suppressed now."
    await page.fill("#why-1", "asked again")
    async with page.expect_navigation():
        await page.locator(".entry button").click()
    assert "Mail goes out again" in await page.locator(".done").inner_text()
    await page.click("footer button")
    await page.wait_for_url(f"{browser.url}/sign-in")
    await page.goto(browser.url)
    assert "/sign-in" in page.url
    await page.context.close()


async def test_the_switch_goes_over_the_systems_colours(browser: Screen) -> None:
    page = await browser.signed_in(viewport=DESK, color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    await page.goto(browser.url)
    dark = await page.evaluate(paper)
    async with page.expect_navigation():
        await page.get_by_role("link", name="Light").click()
    light = await page.evaluate(paper)
    await page.goto(f"{browser.url}/queue")
    assert dark != light == await page.evaluate(paper)
    await page.context.close()

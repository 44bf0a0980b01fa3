"""Support meets a reply that nobody understands, and writes the rule that the console offers.

A real MX, a real Carom with all its roles, a real browser; the rule file is taken up by the service
while it runs, and what happened before is mended by the command that the page names.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright

from carom.__main__ import main
from carom.setup import API_KEY, OWN_RULES
from tests.flows.house import House, carom_house, until
from tests.peers.scripted_mx import Say, ScriptedMX
from tests.servers import chromium

pytestmark = pytest.mark.anyio

PUZZLING = "554 The gatekeeper of hall 7 shakes his head"
LIKE_IT = "554 The gatekeeper of hall 12 shakes his head"
PUZZLE = "the gatekeeper of hall # shakes his head"


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as driver:
        program = await driver.chromium.launch(
            executable_path=chromium.program(), args=["--no-sandbox"]
        )
        yield program
        await program.close()


@asynccontextmanager
async def signed_in(browser: Browser, carom: House) -> AsyncIterator[Page]:
    """A page of support, who may use the clipboard."""
    context = await browser.new_context(
        base_url=str(carom.client.base_url), permissions=["clipboard-read", "clipboard-write"]
    )
    page = await context.new_page()
    await page.goto("/console/sign-in")
    await page.fill("#key", (carom.config.parent / API_KEY).read_text().strip())
    await page.click("button.main")
    yield page
    await context.close()


async def puzzles(page: Page) -> list[str]:
    """What the console says that no rule took."""
    await page.goto("/console/not-understood")
    return await page.locator(".fingerprint").all_inner_texts()


async def said(page: Page, words: str) -> bool:
    """Whether the list of unknown replies says this now."""
    await page.goto("/console/not-understood")
    return words in await page.inner_text("main")


async def copied(page: Page) -> str:
    """The rule that the page offers, by its own button."""
    await page.get_by_text("Make a rule").click()
    await page.get_by_role("button", name="Copy").click()
    return str(await page.evaluate("navigator.clipboard.readText()"))


async def command(*words: str) -> int:
    return await asyncio.to_thread(main, list(words))


async def test_a_reply_that_nobody_knew_becomes_a_rule_and_the_past_is_mended(
    browser: Browser,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    url = f"sqlite:///{tmp_path / 'carom.db'}"
    monkeypatch.setenv("CAROM_DATABASE__URL", url)  # for the commands
    async with (
        ScriptedMX({"rcpt": Say(PUZZLING)}) as mx,
        carom_house(tmp_path, url, mx=mx.port) as carom,
        signed_in(browser, carom) as page,
    ):
        ann = await carom.submit("ann@meadow.example")
        await carom.becomes(ann, "bounced")
        assert not (await carom.suppression(ann.recipient))["suppressed"]
        assert await puzzles(page) == [PUZZLE]

        rule = await copied(page)
        file = carom.config.parent / OWN_RULES
        file.write_text(rule, "utf-8")  # as it is: nobody chose yet what it means
        assert await command("rules", "check", str(file)) == 1
        assert "category '?'" in capfd.readouterr().err
        await until(lambda: said(page, "cannot be used"))
        assert await puzzles(page) == [PUZZLE]

        file.write_text(rule.replace('"?"', '"bad_mailbox"'), "utf-8")
        assert await command("rules", "check", str(file)) == 0
        await until(lambda: said(page, "Every reply was taken by some rule."))
        assert not await said(page, "cannot be used")

        mx.play({"rcpt": Say(LIKE_IT)})
        bob = await carom.submit("bob@meadow.example")
        assert (await carom.becomes_suppressed(bob.recipient))["reason"] == "hard_bounce"
        await page.goto(f"/console/messages/{bob.message_id}")
        assert "because there is no such mailbox" in await page.inner_text(".answer-said")

        capfd.readouterr()
        assert await command("replay", "--config", str(carom.config)) == 0
        assert f"{ann.recipient}: was taken for unknown (none)" in capfd.readouterr().out
        assert not (await carom.suppression(ann.recipient))["suppressed"]
        assert await command("replay", "--config", str(carom.config), "--apply") == 0
        await page.goto(f"/console/address?address={ann.recipient}")
        assert "Carom withholds mail to ann@meadow" in await page.inner_text(".answer-said")

"""`carom report`: figures that add up, a page that fetches nothing, a mail that is sent once."""

from __future__ import annotations

import json
import re
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from analysis.facts import Arrival, Kind, Reading, ReportedRecipient
from analysis.ledger import enter
from analysis.lifecycle import Fact
from analysis.schema import audit, bodies, cohort_changes, deliveries, messages
from analysis.store import Store
from analysis.suppression import Reason
from carom import reporting
from carom.__main__ import main
from carom.report.figures import DAY, HOUR, WEEK, Caused, gather
from carom.report.mail import send_weekly
from carom.report.page import page
from carom.report.terminal import change, headline, moved
from tests.carom.web_peer import on, web
from tests.storing import (
    BLOCKED,
    LIMITS,
    NO_SUCH_USER,
    NOW,
    came_of,
    claimed,
    delivered,
    entry,
    new_id,
    recorded,
    rows,
    sent_to,
    suppressed,
)

pytestmark = pytest.mark.anyio

LATER = NOW + HOUR
MOST_TITLE = 44
"""Letters of a chart's title that fit a phone."""


async def a_day(store: Store, at: float, *, refused: int, taken: int) -> list[str]:
    """So many deliveries at a time; the ids of those that were taken."""
    people = [f"p{n}@example.net" for n in range(refused + taken)]
    ids = []
    for person in people:
        ids += await sent_to(store, person, at=at)
    claims = await claimed(store, at)
    done = [
        came_of(
            claim,
            Fact.ACCEPTED if n < taken else Fact.REFUSED,
            at=at + 2,
            provider="gmail",
            verdict=BLOCKED,
        )
        for n, claim in enumerate(claims)
    ]
    await recorded(store, *done, now=at + 2)
    return [claim.delivery_id for claim in claims[:taken]]


async def test_the_figures_are_those_of_the_database(store: Store) -> None:
    await a_day(store, NOW - WEEK, refused=0, taken=30)
    taken = await a_day(store, NOW, refused=10, taken=30)
    person = ReportedRecipient("", "failed", "5.1.1", verdict=NO_SUCH_USER)
    arrival = Arrival(new_id(), LATER, "bounce", taken[0], Reading(Kind.BOUNCE, (person,)))
    await store.write(lambda tx: enter(tx, arrival, now=LATER, limits=LIMITS, new_id=new_id))
    figures = await store.read(lambda tx: gather(tx, NOW - 3 * DAY, LATER))
    delivered_ = figures.totals.now["ratios"]["delivered"]
    assert (delivered_["numerator"], delivered_["denominator"]) == (29, 40)
    assert figures.totals.ratio_before("delivered") == 1.0
    [gmail] = figures.providers
    assert (gmail.name, change(gmail, "delivered"), moved(gmail, "delivered")) == (
        "gmail",
        "-27.50",
        -1,
    )
    assert figures.categories == [
        Caused(("reputation", "sender"), 10, 0),
        Caused(("bad_mailbox", "recipient"), 1, 0),
    ]
    assert figures.suppressed["hard_bounce"] == 1
    assert sum(figures.grown["hard_bounce"].values()) == 1
    assert sum(slot["deliveries"] for slot in figures.series) == 40
    assert headline(figures).startswith("72.5 % of 40 deliveries arrived and stayed (29)")


async def test_the_page_holds_everything_and_fetches_nothing(store: Store) -> None:
    await a_day(store, NOW, refused=10, taken=30)
    await suppressed(store, entry("eve@example.net", Reason.COMPLAINT))
    shown = page(await store.read(lambda tx: gather(tx, NOW - WEEK, LATER)))
    assert shown.count("<svg") >= 14  # each for wide pages and for narrow ones
    titles = re.findall(r'class="plot-title"[^>]*>([^<]*)<', shown)
    assert [title for title in titles if len(title) > MOST_TITLE] == []
    assert not re.search(r"<script|<link|<img|url\(|@import|src=", shown)
    assert "@example" not in shown
    for words in ("Is mail arriving?", "75 %", "reputation", "Gmail", "complaint"):
        assert words in shown


async def test_the_page_is_written_in_chinese_too(store: Store) -> None:
    await a_day(store, NOW, refused=10, taken=30)
    await suppressed(store, entry("eve@example.net", Reason.COMPLAINT))
    shown = page(await store.read(lambda tx: gather(tx, NOW - WEEK, LATER)), "zh")
    assert '<html lang="zh-Hans">' in shown
    said = re.sub(r"<style>.*?</style>|<[^>]*>", " ", shown, flags=re.DOTALL)
    english = set(re.findall(r"[A-Za-z]{3,}", said))
    assert english == {"Carom", "UTC", "Gmail", "default"}
    titles = re.findall(r'class="plot-title"[^>]*>([^<]*)<', shown)
    assert [title for title in titles if len(title) > MOST_TITLE / 1.8] == []


async def test_an_empty_database_has_a_report_too(store: Store) -> None:
    shown = page(await store.read(lambda tx: gather(tx, NOW - WEEK, NOW)))
    assert "Nothing that was sent in this time has ended yet." in shown
    assert "no data" in shown


async def test_the_weekly_report_is_sent_once_by_our_own_intake(
    database_url: str, tmp_path: Path
) -> None:
    monday = NOW - NOW % WEEK + 4 * DAY + 8 * HOUR  # 1 January 1970 was a Thursday
    report = {"to": ["Ops <ops@example.com>"], "from": "carom@example.com"}
    set_ = {"CAROM_REPORT": json.dumps(report), **on(database_url)}
    async with web(tmp_path / "mail", **set_) as api:
        engine = api.engine
        weekly = engine.settings.report.weekly()
        await delivered(engine.store, "ann@example.net")
        for at, sent in (
            (monday - DAY, False),
            (monday - 3 * HOUR, False),
            (monday, True),
            (monday + HOUR, False),
            (monday + WEEK, True),
        ):
            assert await send_weekly(engine.store, engine.intake, weekly, at) is sent, at
        [first, _] = await rows(engine.store, messages, messages.c.stream == "report")
        [body] = await rows(engine.store, bodies, bodies.c.message_id == first["id"])
        mail = message_from_bytes(bytes(body["content"]))
        kinds = [part.get_content_type() for part in mail.walk()]
        assert kinds == ["multipart/mixed", "text/plain", "text/html"]
        assert "Ops" in mail["To"]
        assert mail["Subject"].startswith("Mail report:")
        assert len(await rows(engine.store, audit, audit.c.action == "report.sent")) == 2
        assert len(await rows(engine.store, deliveries, deliveries.c.stream == "report")) == 2


def test_the_command_shows_a_report_or_writes_a_page(
    migrated_sqlite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "carom.toml"
    config.write_text(f'database.url = "sqlite:///{migrated_sqlite}"\n')
    html = tmp_path / "report.html"
    assert main(["report", "--config", str(config), "--since", "30d"]) == 0
    assert "Nothing that was sent" in capsys.readouterr().out
    assert main(["report", "--config", str(config), "--html", str(html)]) == 0
    assert html.read_text().startswith("<!doctype html>")
    assert main(["report", "--config", str(config), "--html", str(html), "--lang", "zh"]) == 0
    assert "邮件报告" in html.read_text()
    wrongs = (["--since", "yesterday"], ["--since", "900d"], ["--html", str(tmp_path)])
    for wrong in (*wrongs, ["--lang", "fr"]):
        assert main(["report", "--config", str(config), *wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_settings_of_a_report_without_a_sender_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "carom.toml"
    config.write_text('report.to = ["ops@example.com"]\n')
    assert main(["report", "--config", str(config)]) == 2
    assert "`from` is missing" in capsys.readouterr().err


async def test_stats_are_filtered_and_told_over_time(tmp_path: Path) -> None:
    letter = {"from": "a@example.com", "to": "bob@example.net", "subject": "Hi", "text": ""}
    async with web(tmp_path / "mail") as api:
        for stream in ("codes", "codes", "news"):
            await api.post("/v1/messages", {**letter, "stream": stream})

        async def told(**query: str) -> Any:
            return (await api.get("/v1/stats", query)).json()

        assert (await told())["totals"]["deliveries"] == 3
        codes = await told(stream="codes", by="hour")
        assert codes["totals"]["states"]["queued"] == 2
        assert len(codes["series"]) == 24
        assert codes["series"][-1]["deliveries"] + codes["series"][-2]["deliveries"] == 2
        ratio = codes["totals"]["ratios"]["delivered"]
        assert ratio == {"numerator": 0, "denominator": 0, "ratio": None}
        assert (await told(provider="gmail", by="day"))["totals"]["deliveries"] == 0
        for wrong in ({"provider": "acme"}, {"by": "year"}, {"stream": "No Stream"}):
            assert (await api.get("/v1/stats", wrong)).status_code == 422


async def test_one_duty_folds_the_counts_and_another_sends_the_report(tmp_path: Path) -> None:
    async with web(tmp_path / "mail") as api:
        await delivered(api.engine.store, "ann@example.net")
        [fold] = reporting.duties(api.engine)
        assert await rows(api.engine.store, cohort_changes) != []
        await fold.do(NOW)
        assert await rows(api.engine.store, cohort_changes) == []
    report = {"to": ["ops@example.com"], "from": "carom@example.com"}
    async with web(tmp_path / "more", CAROM_REPORT=json.dumps(report)) as api:
        assert [duty.name for duty in reporting.duties(api.engine)] == ["cohorts", "weekly-report"]

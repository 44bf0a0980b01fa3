"""`carom replay` says in plain words what today's rules would change, and changes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.reply import Reply, Stage
from analysis.rulebook import shipped
from analysis.schema import suppressions
from analysis.store import Store
from carom.__main__ import main
from carom.commands.replay import moment
from carom.errors import UsageError
from carom.opening import with_store
from carom.settings import load
from tests.flows.house import set_up
from tests.ingest.test_replay import bounced, dsn, refused
from tests.storing import NOW, delivered, rows

WORDS = "no such user here, says the frobnitz"
OWN = f"""
[[rule]]
name = "frobnitz"
pattern = ['says the frobnitz']
category = "reputation"
examples = ["550 {WORDS}"]
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two suppressions by a shipped rule, and an own rule that knows better."""
    config, _ = set_up(tmp_path)
    monkeypatch.setenv("CAROM_DATABASE__URL", f"sqlite:///{tmp_path / 'carom.db'}")
    assert shipped().classify(Reply(550, None, WORDS, Stage.RCPT)).suppress

    async def story(store: Store) -> None:
        [delivery] = await delivered(store, "ann@example.net")
        await bounced(store, delivery, shipped(), dsn(words=WORDS))
        await refused(store, shipped(), "bob@example.net", WORDS)
        assert len(await rows(store, suppressions)) == 2

    with_store(load(config), story)
    (config.parent / "own-rules.toml").write_text(OWN)
    return config


def said(config: Path, capfd: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["replay", "--config", str(config), *options]) == 0
    shown = capfd.readouterr()
    assert shown.err == ""
    return shown.out


def test_it_shows_then_changes_then_has_nothing_to_do(
    config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shown = said(config, capfd)
    old = shipped().classify(Reply(550, None, WORDS, Stage.RCPT)).rule
    for who in ("ann", "bob"):
        assert f"{who}@example.net: suppressed since 2027-01-15T08:00:" in shown, shown
    assert (
        f"by rule {old} (hard_bounce); today's rules say reputation (own-rules/frobnitz): "
        "the suppression would be lifted\n" in shown
    )
    assert f"      2  bad_mailbox ({old}) -> reputation (own-rules/frobnitz)\n" in shown
    assert "2 reports and replies read; would change: 2 lifted\n" in shown
    assert said(config, capfd) == shown
    applied = said(config, capfd, "--apply")
    assert "the suppression is lifted" in applied
    assert "changed: 2 lifted" in applied
    assert said(config, capfd, "--apply") == "2 reports and replies read; changed: nothing\n"


def test_as_json_it_is_an_object_a_line_and_the_sum(
    config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    *changes, total = map(json.loads, said(config, capfd, "--json").splitlines())
    assert [change["source"] for change in changes] == ["report", "smtp"]
    assert [change["recipient"] for change in changes] == ["ann@example.net", "bob@example.net"]
    assert {change["effects"][0]["what"] for change in changes} == {"lifted"}
    assert total["type"] == "summary"
    assert (total["read"], total["effects"], total["applied"]) == (2, {"lifted": 2}, False)


def test_since_cuts_off_what_is_older(config: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "0 reports and replies read" in said(config, capfd, "--since", "2030-01-01")
    assert "2 reports and replies read" in said(config, capfd, "--since", "2027-01-15T08:00:00Z")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("7d", NOW - 7 * 86_400),
        ("90s", NOW - 90),
        ("2026-11-01", 1_793_491_200.0),
        ("2026-11-01T00:00:00Z", 1_793_491_200.0),
        ("2026-11-01T02:00:00+02:00", 1_793_491_200.0),
    ],
)
def test_since_is_a_time_or_how_long_ago(text: str, at: float) -> None:
    assert moment(text, NOW) == at


def test_another_since_is_wrong_usage(config: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="expected a date or time"):
        moment("yesterday", NOW)
    assert main(["replay", "--config", str(config), "--since", "yesterday"]) == 2
    assert capfd.readouterr().err.count("\n") == 1

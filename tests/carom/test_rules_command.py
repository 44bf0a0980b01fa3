"""An operator's rules: checked, drafted from what was not understood, and put into force."""

from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from analysis import radar
from analysis.radar import Sighting
from analysis.reply import Reply, Stage
from analysis.rulesource import RulebookSource
from carom.__main__ import main
from carom.assembly import build
from carom.errors import SettingsError
from carom.opening import with_store
from carom.ruling import keep_rules
from carom.settings import load
from tests.flows.house import set_up
from tests.storing import until

DOCS = Path(__file__).parents[2] / "docs/rules.md"
BLOCKS = re.findall(r"^```toml\n(.*?)^```", DOCS.read_text("utf-8"), re.MULTILINE | re.DOTALL)
MOON = Reply(550, None, "the moon of <ann@example.net> is blue at 12", Stage.RCPT, "qq")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config, _ = set_up(tmp_path)
    monkeypatch.setenv("CAROM_DATABASE__URL", f"sqlite:///{tmp_path / 'carom.db'}")
    return config


def saw(config: Path, *replies: Reply) -> None:
    seen = [Sighting(reply, 1_800_000_000.0 + n, "0" * 26) for n, reply in enumerate(replies)]
    with_store(load(config), lambda store: store.write(lambda tx: radar.note(tx, seen)))


def own(config: Path, text: str) -> Path:
    """Put this text where the settings look for the operator's rules."""
    file = config.parent / "own-rules.toml"
    file.write_text(text, "utf-8")
    return file


@pytest.mark.parametrize("block", BLOCKS)
def test_the_rules_in_the_manual_are_well(tmp_path: Path, block: str) -> None:
    file = tmp_path / "own-rules.toml"
    file.write_text(block, "utf-8")
    assert main(["rules", "check", str(file)]) == 0


def test_the_manual_classifies_as_it_says(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    [line] = re.findall(
        r"^ +carom classify --rules \S+ --reply \"(.*)\"$", DOCS.read_text(), re.MULTILINE
    )
    file = tmp_path / "own-rules.toml"
    file.write_text(BLOCKS[0], "utf-8")
    assert main(["classify", "--rules", str(file), "--reply", line, "--json"]) == 0
    assert '"rule":"own-rules/newsletter-cloud"' in capfd.readouterr().out


def test_a_drafted_rule_is_filled_in_checked_and_in_force(
    config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    saw(config, MOON, MOON, Reply(550, None, "quite something else", Stage.DOT))
    assert main(["rules", "unknown", "--config", str(config), "--limit", "1"]) == 0
    drafted = capfd.readouterr().out
    assert "ann@" not in drafted
    assert "seen 2 times" in drafted
    file = own(config, drafted)
    assert main(["rules", "check", str(file)]) == 1
    assert "category '?' is not one of" in capfd.readouterr().err
    own(config, drafted.replace('category = "?"', 'category = "mailbox_full"'))
    assert main(["rules", "check", str(file)]) == 0
    assert main(["rules", "check", "--config", str(config)]) == 0
    capfd.readouterr()
    assert main(["rules", "unknown", "--config", str(config)]) == 0
    left = capfd.readouterr().out
    assert "quite something else" in left
    assert "moon" not in left
    reply = "550 the moon of <bob@example.org> is blue at 9"
    assert main(["classify", "--config", str(config), "--reply", reply, "--json"]) == 0
    told = '"category":"unknown"'  # the rule is for qq, and nobody says that this is qq
    assert told in capfd.readouterr().out


def test_nothing_unknown_is_said(config: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "unknown", "--config", str(config)]) == 0
    assert capfd.readouterr().out == "# every reply was taken by some rule\n"
    assert main(["rules", "unknown", "--config", str(config), "--json"]) == 0
    assert capfd.readouterr().out == ""


def test_a_broken_file_is_a_wrong_setting_at_the_start(
    config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    own(config, "[[rule]]\n")
    assert main(["classify", "--config", str(config), "--reply", "550 x"]) == 2
    shown = capfd.readouterr().err
    assert shown.startswith("carom: [rules] file: ")
    assert shown.count("\n") == 1
    with pytest.raises(SettingsError, match="a rule needs a name"):
        asyncio.run(build(load(config)))


@pytest.mark.anyio
async def test_an_engine_judges_by_the_file_as_it_is_now(config: Path) -> None:
    rule = '[[rule]]\nname = "m"\npattern = "moon"\ncategory = "{}"\nexamples = ["550 moon"]\n'
    file = own(config, rule.format("mailbox_full"))
    async with await build(load(config)) as engine:
        stop = asyncio.Event()
        watch = asyncio.create_task(keep_rules(engine.rules, stop, every=0.01))
        assert engine.rules.classify(MOON).category == "mailbox_full"
        rewrite(file, rule.format("policy") + "# longer\n")
        await until(lambda: _is(engine.rules, "policy"))
        with capture_logs() as logs:
            rewrite(file, rule.format("no such thing"))
            await until(lambda: _warned(logs))
        assert engine.rules.classify(MOON).category == "policy"
        # once, however often it was looked at; the one before it may be told meanwhile
        assert [line["log_level"] for line in logs].count("warning") == 1
        stop.set()
        await watch


def rewrite(file: Path, text: str) -> None:
    """At once, so that nobody who looks meanwhile finds half of it."""
    file.with_suffix(".new").write_text(text)
    file.with_suffix(".new").replace(file)


async def _is(rules: RulebookSource, category: str) -> bool:
    return rules.classify(MOON).category == category


async def _warned(logs: list[Any]) -> bool:
    return any(line["log_level"] == "warning" for line in logs)


def test_judging_while_rules_change_is_always_by_whole_rules(tmp_path: Path) -> None:
    """No judge waits for a change, and none sees anything but the one file or the other."""
    file = tmp_path / "own.toml"
    rule = '[[rule]]\nname = "m"\npattern = "moon"\ncategory = "{}"\nexamples = ["550 moon"]\n'
    file.write_text(rule.format("policy"))
    rules = RulebookSource(file)
    seen = {category: threading.Event() for category in ("policy", "virus")}
    done = threading.Event()

    def judge() -> None:
        while not done.is_set():
            seen[rules.classify(MOON).category.value].set()

    judges = [threading.Thread(target=judge) for _ in range(2)]
    for thread in judges:
        thread.start()
    assert seen["policy"].wait(60)
    for n, category in enumerate(("virus", "policy", "virus")):
        file.write_text(rule.format(category) + "#" * n)
        rules.look()
    assert seen["virus"].wait(60)
    done.set()
    for thread in judges:
        thread.join()

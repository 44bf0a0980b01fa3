"""The rules in force change with the operator's file, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from analysis.reply import Reply
from analysis.rulebook import shipped
from analysis.rulefile import RuleError
from analysis.rulesource import RulebookSource

MOON = Reply(550, None, "the moon is full")
RULE = """
[[rule]]
name = "moon"
pattern = ['moon is full']
category = "{category}"
examples = ["550 the moon is full"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "own.toml", "mailbox_full")


def written(file: Path, category: str, text: str = RULE) -> Path:
    """Put a new file in the old one's place, as an editor does; its time is told apart."""
    before = file.stat().st_mtime_ns if file.exists() else 0
    new = file.with_suffix(".new")
    new.write_text(text.format(category=category))
    os.utime(new, ns=(before + 1_000_000_000, before + 1_000_000_000))
    return new.replace(file)


def test_without_a_file_the_shipped_rules_are_in_force() -> None:
    rules = RulebookSource()
    assert rules.current is shipped()
    assert rules.look() is False


def test_own_rules_go_before_the_shipped_ones(file: Path) -> None:
    rules = RulebookSource(file)
    assert rules.classify(MOON).rule == "own/moon"
    assert rules.current.rules[1:] == shipped().rules


def test_a_changed_file_comes_into_force_once(file: Path) -> None:
    rules = RulebookSource(file)
    before = rules.current
    assert rules.look() is False
    written(file, "policy")
    assert rules.classify(MOON).category == "mailbox_full"  # until somebody looks
    assert rules.look() is True
    assert rules.classify(MOON).category == "policy"
    assert before.classify(MOON).category == "mailbox_full"
    assert rules.look() is False


@pytest.mark.parametrize(
    "text",
    ["[[rule]", RULE.replace("moon is full']", "moon (']"), RULE.replace('"550', '"550 not')],
    ids=["no TOML", "no pattern", "lint"],
)
def test_a_broken_file_is_told_once_and_changes_nothing(file: Path, text: str) -> None:
    rules = RulebookSource(file)
    before = rules.current
    written(file, "policy", text.replace('full"]', 'new"]'))
    with pytest.raises(RuleError, match=r"own.*toml|own/moon") as caught:
        rules.look()
    assert "\n" not in str(caught.value)
    assert rules.current is before
    assert rules.look() is False
    written(file, "policy")
    assert rules.look() is True
    assert rules.classify(MOON).category == "policy"


def test_a_file_that_is_gone_keeps_the_rules(file: Path) -> None:
    rules = RulebookSource(file)
    before = rules.current
    file.unlink()
    with pytest.raises(RuleError, match="cannot be read"):
        rules.look()
    assert rules.current is before


def test_a_source_is_not_made_of_a_broken_file(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="cannot be read"):
        RulebookSource(tmp_path / "none.toml")

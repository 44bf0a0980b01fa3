"""The shipped rules: each takes its own examples, and together they read the field's wordings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from analysis.reply import Reply
from analysis.rule import USUAL, Rule
from analysis.rulebook import shipped
from analysis.rulecheck import check
from analysis.rulefile import parse_rules, read_rules
from analysis.verdict import Category, Fault, Severity
from tests.analysis.wordings import WORDINGS

ALL_WORDINGS = [(category, reply) for category, replies in WORDINGS.items() for reply in replies]


def rules(text: str, tmp_path: Path) -> list[Rule]:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return read_rules(path)


def test_the_shipped_rules_are_clean() -> None:
    assert [str(problem) for problem in check(shipped().rules)] == []


@pytest.mark.parametrize(("category", "reply"), ALL_WORDINGS)
def test_wording_is_understood(category: str, reply: str) -> None:
    verdict = shipped().classify(Reply.read(reply))
    assert verdict.category == category, verdict.rule


def test_every_category_has_wordings_and_a_usual_meaning() -> None:
    assert set(WORDINGS) == set(Category) == set(USUAL)


def test_no_sender_side_block_is_hard() -> None:
    for rule in shipped().rules:
        if rule.fault in (Fault.SENDER, Fault.RECEIVER, Fault.NETWORK, Fault.UNKNOWN):
            assert rule.severity is not Severity.HARD, rule.id
            assert not rule.suppress, rule.id


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("pattern = ['zebra']", "has no example"),
        ("pattern = ['zebra']\nexamples = ['550 lion']", "is taken by none"),
        ("pattern = ['zebra|']\nexamples = ['550 zebra']", "fits an empty text"),
        (r"pattern = ['[0-9]+']" + "\nexamples = ['550 7']", "slow"),
        ("pattern = ['(?:zebra.{1,200}){4,40}lion']\nexamples = ['550 lion']", "not an RE2"),
        ("examples = ['550 zebra']", "neither a pattern nor a condition"),
        (
            "pattern = ['zebra']\nexamples = [{reply = '550 zebra', severity = 'hard'}]",
            "is soft, not hard as stated",
        ),
        (
            "pattern = ['zebra']\nexamples = [{reply = '550 zebra', suppress = true}]",
            "gives suppress = false",
        ),
    ],
)
def test_the_lint_names_what_is_wrong(text: str, told: str, tmp_path: Path) -> None:
    mine = "[[rule]]\nname = 'x'\ncategory = 'policy'\n" + text
    try:
        problems = [problem.text for problem in check(rules(mine, tmp_path))]
    except ValueError as refusal:
        problems = [str(refusal)]
    assert any(told in problem for problem in problems), problems


def test_the_lint_finds_a_rule_that_can_never_decide(tmp_path: Path) -> None:
    mine = """
[[rule]]
name = "wide"
pattern = ['zebra', 'lion']
category = "policy"
examples = ["550 zebra"]
[[rule]]
name = "narrow"
pattern = ['striped zebra']
code = [550]
category = "virus"
examples = ["550 striped zebra"]
"""
    told = [str(problem) for problem in check(rules(mine, tmp_path))]
    assert any("unreachable: mine/wide" in text for text in told)
    assert any("is taken by mine/wide" in text for text in told)


def test_the_lint_finds_a_name_given_twice() -> None:
    rule = shipped().rules[0]
    assert any("given twice" in problem.text for problem in check([rule, replace(rule)]))


def test_a_long_pattern_may_be_wrapped() -> None:
    table = {"name": "x", "category": "policy", "pattern": "\n   zeb|\n   lion"}
    assert parse_rules({"rule": [table]}, "mine", "here")[0].patterns == ("zeb|lion",)

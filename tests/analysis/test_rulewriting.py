"""A drafted rule is refused until a category is chosen, and takes its reply from then on."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.radar import Unknown, fingerprint
from analysis.reply import Reply, Stage, clean
from analysis.rulebook import Rulebook, searchable, shipped
from analysis.rulecheck import check
from analysis.rulefile import RuleError, parse_rules, read_rules
from analysis.rulewriting import draft, pattern_for
from analysis.verdict import Category

REPLIES = [
    Reply(550, None, "The frobnitz of <@> is shut", Stage.RCPT),
    Reply(550, "5.7.999", "it's (not) [really] a * frobnitz? $5 ^ | \\o/ {x}", Stage.DOT, "qq"),
    Reply(450, None, "12 frob 34 nitz 56 wobble", Stage.MAIL),
    Reply(None, None, "der Frobnitz ist \u201cgesperrt\u201d f\u00fcr @", Stage.REPORT),
    Reply(550, None, "\u7c98\u7c98\u7cca\u7cca\u7684\u6846\u67b6 4711", Stage.RCPT, "netease"),
    Reply(550, None, "frobnitz " * 80, Stage.RCPT),
    Reply(550, None, "host x said: 550 wobbling frobnitz in the way", Stage.RCPT),
    Reply(599, None, "17 4711", Stage.RCPT, "gmail"),
    Reply(550, None, "a\u00dfe Stra\u00dfe frobnitz", Stage.RCPT),
]


def seen(reply: Reply) -> Unknown:
    text = searchable(clean(reply.text))[:500]
    example = Reply(reply.code, reply.enhanced, text, reply.stage, reply.provider)
    by = ((reply.provider, reply.stage.value, 1),)
    return Unknown(fingerprint(text), 1, 0.0, 0.0, example, None, by)


@pytest.mark.parametrize("reply", REPLIES, ids=str)
def test_a_draft_is_well_once_its_category_is_chosen(tmp_path: Path, reply: Reply) -> None:
    file = tmp_path / "own.toml"
    file.write_text(draft(seen(reply)), "utf-8")
    with pytest.raises(RuleError, match=r"category '\?' is not one of"):
        read_rules(file)
    file.write_text(draft(seen(reply)).replace('category = "?"', 'category = "policy"'), "utf-8")
    rules = read_rules(file)
    assert check(rules, shipped().rules) == []
    verdict = Rulebook((*rules, *shipped().rules)).classify(reply)
    assert (verdict.category, verdict.rule) == (Category.POLICY, rules[0].id)


def test_a_draft_takes_the_same_words_with_other_numbers_and_names() -> None:
    text = draft(seen(Reply(550, None, "The frobnitz of <ann@example.net> is shut till 12")))
    import tomllib

    document = tomllib.loads(text.replace('"?"', '"policy"'))
    book = Rulebook(parse_rules(document, "own", "test"))
    other = Reply(550, None, "the frobnitz of <bob@example.org> is shut till 99")
    assert book.classify(other).category is Category.POLICY


@given(st.text(max_size=300))
def test_a_pattern_takes_the_text_it_was_made_from(text: str) -> None:
    import re2

    from analysis.rulebook import pattern_options

    seen_text = searchable(clean(text))
    pattern = pattern_for(seen_text)
    assert not pattern or re2.compile(pattern, pattern_options()).search(seen_text)

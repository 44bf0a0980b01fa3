"""The sentence that answers first: whole in every case, and in the words of the issue."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from analysis.advice import LANGUAGES
from analysis.explain import explain
from analysis.lifecycle import State
from analysis.providers import OTHER, PROVIDERS
from analysis.suppression import EVERY_STREAM, Reason
from analysis.telling import SENTENCES, clock, said, tell
from analysis.verdict import Category
from tests.analysis.test_explain import NOW, delivery, entry

TO = "bob@example.net"
FULL = {"category": "mailbox_full", "code": 452, "answered_at": NOW - 420, "provider": "qq"}


def told(row: Any, one: Any = None, lang: str = "en") -> str:
    return said(tell(TO, row, one, lang=lang, now=NOW), NOW)


def test_the_sentence_of_the_issue() -> None:
    row = delivery(State.QUEUED, subject="Your reset code", next_at=NOW + 600, **FULL)
    at, again = clock(NOW - 420, NOW), clock(NOW + 600, NOW)
    assert told(row) == (
        f"“Your reset code” was refused for now by QQ Mail at {at} because the mailbox is full. "
        f"Ask the user to free space; Carom tries again at {again}."
    )
    assert told(row, lang="zh") == (
        f"“Your reset code”于 {at} 被 QQ 邮箱暂时拒收，因为该邮箱已满。"
        f"请让用户清理邮箱空间；Carom 将于 {again} 再次投递。"
    )


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_state_for_every_cause_is_a_whole_sentence(lang: str) -> None:
    rules, moments = (None, "pacing/suspended", "test/rule"), (None, NOW - 60)
    for state, category, rule, at in product(State, (None, *Category), rules, moments):
        row = delivery(state, category=category, rule=rule, answered_at=at, accepted_at=at)
        words = told(row, lang=lang)
        assert words.endswith((".", "。"))
        assert not {"{", "}"} & set(words)
        assert "None" not in words
        assert "  " not in words
        assert ".." not in words


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_reason_to_withhold_is_a_whole_sentence(lang: str) -> None:
    streams, ends = (EVERY_STREAM, "news"), (None, NOW + 86_400)
    for reason, category, stream, until in product(Reason, (None, *Category), streams, ends):
        one = replace(entry(reason, category), stream=stream, until=until)
        words = told(None, one, lang)
        assert TO in words
        assert words.endswith((".", "。"))
        assert ("news" in words) == (stream == "news")


def test_nothing_that_a_remote_host_says_is_in_it() -> None:
    row = delivery(State.BOUNCED, reply="<b>550 go away</b>", category="policy", code=550)
    assert "go away" not in told(row)


def test_a_long_subject_is_cut_and_an_empty_one_is_not_quoted() -> None:
    assert "x" * 79 + "…”" in told(delivery(State.SENDING, subject="x" * 500))
    assert told(delivery(State.SENDING, subject=" ")).startswith("The message is being handed")


def test_a_next_try_that_is_due_is_not_named_by_a_time_gone_by() -> None:
    row = delivery(State.QUEUED, **FULL, next_at=NOW - 1)
    assert told(row).endswith("Carom tries again within moments.")
    assert told(delivery(State.QUEUED, next_at=NOW)).endswith("goes out within moments.")


def test_a_moment_of_another_day_has_its_date() -> None:
    assert clock(0.0, NOW) == "1970-01-01 00:00 UTC"
    assert clock(0.0) == "1970-01-01 00:00 UTC"
    assert clock(3_600.0, 60.0) == "01:00 UTC"


def test_both_languages_have_the_same_words_for_every_provider_and_category() -> None:
    en, zh = SENTENCES["en"], SENTENCES["zh"]
    assert {table: set(en[table]) for table in en} == {table: set(zh[table]) for table in zh}
    assert set(en["provider"]) == {*PROVIDERS} - {OTHER}
    assert set(en["because"]) == set(en["do"]) == set(Category)
    assert set(en["after"]) <= set(Category)


def test_an_explanation_begins_with_it() -> None:
    answer = explain(TO, delivery(State.DELIVERED, settled_at=NOW - 60), [], now=NOW)
    assert answer["sentence"].startswith("“Hi” was accepted by the mail server of example.net at ")

"""Advice: a text for every category, audience and language."""

from __future__ import annotations

import re

import pytest

from analysis.advice import AUDIENCES, LANGUAGES, advise
from analysis.verdict import Category


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("category", Category)
def test_every_category_has_a_text_of_its_own_for_everybody(category: Category, lang: str) -> None:
    texts = [advise(category, audience, lang) for audience in AUDIENCES]
    assert len(set(texts)) == len(AUDIENCES)
    assert all(10 < len(text) < 400 and text[-1] in ".。" for text in texts)


@pytest.mark.parametrize("category", Category)
def test_support_learns_when_it_is_tried_or_sent_again(category: Category) -> None:
    assert re.search(r"again|retr|once more", advise(category, "support", "en"))
    assert re.search(
        r"再次|重试|再试|重发|重新发送|再发送|解除抑制", advise(category, "support", "zh")
    )


def test_chinese_is_chinese() -> None:
    for category in Category:
        assert re.search(r"[\u4e00-\u9fff]", advise(category, "user", "zh"))
        assert not re.search(r"[\u4e00-\u9fff]", advise(category, "user", "en"))


@pytest.mark.parametrize(("audience", "lang"), [("boss", "en"), ("user", "fr")])
def test_an_unknown_audience_or_language_is_an_error(audience: str, lang: str) -> None:
    with pytest.raises(ValueError, match="is not one of"):
        advise(Category.UNKNOWN, audience, lang)

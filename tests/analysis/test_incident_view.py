"""Incidents in words: sentences that begin as sentences, in both languages."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from analysis.explain import Language
from analysis.incident_view import words


@pytest.mark.parametrize(
    ("provider", "lang", "title"),
    [
        ("gmail", "en", "Gmail has trouble of its own"),
        ("other", "en", "One of the smaller providers has trouble of its own"),
        ("mailru", "zh", "Mail.ru 自身出现故障"),
        ("yahoo", "zh", "雅虎邮箱自身出现故障"),
        ("other", "zh", "其他服务商自身出现故障"),
    ],
)
def test_a_title_names_the_provider_as_people_write_it(
    provider: str, lang: Language, title: str
) -> None:
    row = SimpleNamespace(kind="outage", provider=provider, subject="")
    assert words(row, "title", lang) == title

"""Charts: well-formed SVG for any data, every word escaped, nothing fetched, gaps left gaps."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import pytest
from defusedxml import ElementTree  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from carom import plots
from carom.axes import log_marks, wait_marks
from carom.plots import Bar, Line, Stack, number, percent, seconds

NOW = 1_800_000_000.0
values = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))
words = st.text(alphabet=st.characters(blacklist_categories=("Cs", "Cc")), max_size=40)


def read(svg: str) -> ElementTree.Element:
    """The drawing, parsed; it must have a name for those who cannot see it."""
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label")
    for place in re.findall(r' (?:[xy][12]?|c[xy]|d|width|height)="([^"]*)"', svg):
        assert not re.search("nan|inf", place), place
    return root


@given(
    words,
    st.lists(st.lists(values, max_size=8), max_size=4),
    st.sampled_from([None, log_marks, wait_marks]),
)
def test_lines_are_drawn_of_any_values(
    title: str, rows: list[list[float | None]], log: plots.Marks | None
) -> None:
    series = [
        Line(f"{title}{n}", [(NOW + 3600 * i, v) for i, v in enumerate(row)], dashed=n == 1)
        for n, row in enumerate(rows)
    ]
    finite = [
        Line(one.name, [(at, v if v is None or abs(v) < 1e12 else None) for at, v in one.points])
        for one in series
    ]
    read(plots.lines(title or "t", finite, low=None, log=log))


@given(words, st.lists(st.floats(0, 1e9), min_size=0, max_size=30))
def test_columns_are_drawn_of_any_counts(title: str, counts: list[float]) -> None:
    times = [NOW + 86_400 * n for n in range(len(counts))]
    stacks = [Stack(title, counts), Stack("b", counts, 7)]
    read(plots.columns(title or "t", times, stacks))


@given(st.lists(st.tuples(words, st.floats(0, 1e9), st.floats(0, 1e9), words), max_size=15))
def test_bars_are_drawn_of_any_counts(rows: Sequence[tuple[str, float, float, str]]) -> None:
    bars = [Bar(name, value, before, note) for name, value, before, note in rows]
    read(plots.bars("t", bars, compared=("now", "then")))


def test_a_gap_is_a_gap_and_not_a_zero() -> None:
    points = [(0.0, 1.0), (1.0, 2.0), (2.0, None), (3.0, math.nan), (4.0, 5.0), (5.0, 1.0)]
    drawn = plots.lines("t", [Line("a", points)])
    assert drawn.count("<path") == 2


def test_what_is_drawn_lies_inside_the_drawing() -> None:
    points = [(NOW + n * 3600, 0.9 + n / 1000) for n in range(50)]
    drawn = plots.lines("t", [Line("a", points)], show=percent, low=0.95, high=1.0)
    for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", drawn):
        assert 0 <= float(x) <= plots.WIDTH
        assert 0 <= float(y) <= plots.HEIGHT


def test_words_are_escaped_and_nothing_is_fetched() -> None:
    evil = "<script>alert('\"&')</script>"
    shown = (
        plots.lines(evil, [Line(evil, [(0.0, 1.0)]), Line("b", [(0.0, 2.0)])])
        + plots.columns(evil, [0.0], [Stack(evil, [1.0]), Stack("b", [1.0])])
        + plots.bars(evil, [Bar(evil, 1.0, note=evil)], compared=(evil, evil))
    )
    assert "<script" not in shown
    assert not re.search(r"href|url\(|src=", shown + plots.STYLE)


def test_nothing_is_said_where_there_is_no_data() -> None:
    for empty in (
        plots.lines("t", []),
        plots.lines("t", [Line("a", [(0.0, None)])]),
        plots.columns("t", [], []),
        plots.bars("t", []),
    ):
        assert "no data" in empty
        read(empty)


def test_a_chart_without_data_says_what_its_caller_knows() -> None:
    assert "nobody complained" in plots.bars("t", [], empty="nobody complained")


def test_waits_are_marked_where_people_have_names_for_them() -> None:
    assert [seconds(mark) for mark in wait_marks([0.4, 9_000.0])] == [
        "100 ms", "1 s", "10 s", "60 s", "10 min", "60 min", "6 h"
    ]  # fmt: skip
    assert wait_marks([1e9]) == log_marks([1e9])


def test_columns_of_a_day_are_not_marked_with_hours() -> None:
    drawn = plots.columns("t", [NOW - NOW % 86_400 + 86_400 * n for n in range(2)], [
        Stack("a", [1.0, 2.0])
    ])  # fmt: skip
    assert re.findall(r">(\d\d [A-Z][a-z]{2}|\d\d:\d\d)<", drawn) == ["15 Jan", "16 Jan"]
    assert ">UTC<" in drawn


def test_a_narrow_drawing_holds_what_a_wide_one_does() -> None:
    rows = [Bar("Microsoft Outlook", 0.5, note="of 1,234"), Bar("GMX", 0.25)]
    both = plots.sized(lambda width: plots.bars("t", rows, show=percent, width=width))
    assert [int(wide) for wide in re.findall(r'viewBox="0 0 (\d+)', both)] == [
        plots.WIDTH,
        plots.NARROW,
    ]
    assert both.count("50 % (of 1,234)</text>") == 2
    assert all(
        float(x) <= plots.NARROW for x in re.findall(r' x="([\d.]+)"', both.split("plot-narrow")[1])
    )


def test_those_who_hear_the_page_hear_the_data() -> None:
    line = Line("gmail", [(0.0, 0.98), (1.0, 0.97), (2.0, 0.9)])
    label = read(plots.lines("Delivered", [line], show=percent)).get("aria-label")
    assert label == "Delivered. gmail: from 98 % to 90 % (falling), least 90 %, most 98 %"


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        (number(950), "950"),
        (number(12_345), "12.3k"),
        (number(4e6), "4M"),
        (number(0.25), "0.25"),
        (percent(0.987), "98.7 %"),
        (percent(0.9989), "99.89 %"),
        (percent(0.001), "0.10 %"),
        (percent(1), "100 %"),
        (percent(0), "0 %"),
        (seconds(0.25), "250 ms"),
        (seconds(1.5), "1.5 s"),
        (seconds(720), "12 min"),
        (seconds(3 * 86_400), "3 d"),
    ],
)
def test_figures_are_written_as_people_do(shown: str, told: str) -> None:
    assert shown == told


def test_a_count_too_small_to_divide_is_drawn() -> None:
    read(plots.columns("t", [NOW], [Stack("a", [5e-324])]))

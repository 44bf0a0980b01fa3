"""Schedules are read as written, spent when written out, and never go past a deadline."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.retry import DEFAULTS, MAX_HINT, Schedule, next_attempt, parse

HOUR, DAY = 3_600.0, 86_400.0
NOW = 1_750_000_000.0

waits = st.integers(1, 30 * 86_400_000).map(lambda ms: ms / 1_000)
schedules = st.lists(waits, min_size=1, max_size=40).map(lambda w: Schedule(tuple(w)))
chances = st.floats(0, 1, exclude_max=True)


def middle() -> float:
    """A chance that moves nothing."""
    return 0.5


def test_a_schedule_is_read_as_written() -> None:
    assert parse("20s, 1m,5m ,15m, 1h*3, 1.5d, 0.25s").waits == (
        20.0, 60.0, 300.0, 900.0, HOUR, HOUR, HOUR, 1.5 * DAY, 0.25,
    )  # fmt: skip


@given(schedules)
def test_round_trip(schedule: Schedule) -> None:
    assert parse(str(schedule)) == schedule


@pytest.mark.parametrize("text", [*DEFAULTS.values(), "20s, 1m, 5m, 15m, 1h*3", "1d*2, 90s"])
def test_readable_text_is_written_as_it_was_read(text: str) -> None:
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "''"),
        ("20s, , 1m", "''"),
        ("20s, 5 m", "'5 m'"),
        ("20s, soon", "'soon'"),
        ("20", "'20'"),
        ("-5s", "'-5s'"),
        ("1e3s", "'1e3s'"),
        ("1w", "'1w'"),
        ("٣s", "'٣s'"),
        ("1h*0", "'1h*0'"),
        ("1h*", "'1h*'"),
        ("1h*-1", "'1h*-1'"),
        ("0s", "'0s'"),
        ("0.0001s", "'0.0001s'"),
        ("31d", "'31d'"),
        ("1s*9999", "'1s*9999'"),
        ("1s*600, 1s*600", "'1s*600'"),
        ("9" * 10_000 + "s", "'9999"),
    ],
)
def test_a_bad_part_is_named(text: str, part: str) -> None:
    with pytest.raises(ValueError, match="retry schedule") as caught:
        parse(text)
    assert part in str(caught.value)
    assert len(str(caught.value)) < 200


@given(st.text(max_size=30) | st.text("0123456789smhd*., ", max_size=20))
def test_any_text_is_a_schedule_or_a_value_error(text: str) -> None:
    try:
        schedule = parse(text)
    except ValueError:
        return
    assert parse(str(schedule)) == schedule


def test_bad_values_are_refused() -> None:
    for bad in ((), (0.0,), (-1.0,), (math.nan,), (math.inf,), (1.0,) * 1_001):
        with pytest.raises(ValueError):
            Schedule(bad)
    for jitter in (-0.1, 1.0, math.nan):
        with pytest.raises(ValueError):
            parse("1m", jitter=jitter)
    with pytest.raises(ValueError, match="from 1"):
        parse("1m").delay(0, middle)


def test_the_last_wait_is_not_repeated() -> None:
    schedule = parse("1m, 5m*2", jitter=0.0)
    assert [schedule.delay(n, middle) for n in range(1, 6)] == [60.0, 300.0, 300.0, None, None]


@given(schedules, st.integers(1, 40), chances)
def test_chance_moves_a_wait_a_fifth_at_most(schedule: Schedule, n: int, chance: float) -> None:
    delay = schedule.delay(n, lambda: chance)
    if n > len(schedule.waits):
        assert delay is None
    else:
        wait = schedule.waits[n - 1]
        assert delay is not None
        assert 0.799 * wait <= delay <= 1.201 * wait


def test_chance_reaches_both_ends() -> None:
    schedule = parse("100s")
    assert schedule.delay(1, lambda: 0.0) == pytest.approx(80.0)
    assert schedule.delay(1, lambda: 0.999_999) == pytest.approx(120.0, abs=0.01)


def _next(text: str, attempt: int, deadline: float, hint: float | None = None) -> float | None:
    at = next_attempt(
        parse(text), now=NOW, attempt=attempt, deadline=NOW + deadline, random=middle, hint=hint
    )
    return None if at is None else at - NOW


def test_nothing_is_tried_past_the_deadline() -> None:
    assert _next("1m, 1h", 2, HOUR) == HOUR
    assert _next("1m, 1h", 2, HOUR - 1) is None
    assert _next("1m, 1h", 3, DAY) is None
    assert _next("1m", 1, -5.0) is None


def test_a_receiver_may_ask_for_longer_but_not_for_shorter() -> None:
    assert _next("1m, 1h", 1, DAY, hint=300.0) == 300.0
    assert _next("1m, 1h", 2, DAY, hint=300.0) == HOUR
    assert _next("1m", 1, DAY, hint=30 * DAY) == MAX_HINT
    for nonsense in (-1.0, 0.0, math.nan):
        assert _next("1m", 1, DAY, hint=nonsense) == 60.0


def test_a_hint_past_the_deadline_is_dropped() -> None:
    """The schedule's own time still fits: a try too early loses nothing."""
    assert _next("1m", 1, 600.0, hint=900.0) == 60.0


def test_a_hint_does_not_lengthen_a_spent_schedule() -> None:
    assert _next("1m", 2, DAY, hint=300.0) is None


@given(schedules, st.integers(1, 50), st.floats(0, 4 * DAY), chances, st.none() | st.floats())
def test_a_next_time_lies_between_now_and_the_deadline(
    schedule: Schedule, attempt: int, left: float, chance: float, hint: float | None
) -> None:
    deadline = NOW + left
    at = next_attempt(
        schedule, now=NOW, attempt=attempt, deadline=deadline, random=lambda: chance, hint=hint
    )
    assert at is None or NOW <= at <= deadline


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("otp", 600.0, 900.0), ("transactional", 3 * DAY, 4 * DAY), ("bulk", 2.5 * DAY, 3 * DAY)],
)
def test_default_schedules_fill_their_deadlines(name: str, least: float, most: float) -> None:
    assert least <= sum(parse(DEFAULTS[name]).waits) <= most

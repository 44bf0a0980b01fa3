"""The clock that is not carried off."""

from __future__ import annotations

import pytest

from carom.steady import BELIEVE, STEP, Steady

START = 1_800_000_000.0


class Times:
    def __init__(self) -> None:
        self.wall = START
        self.passed = 5.0

    def go(self, seconds: float, *, jump: float = 0.0) -> None:
        self.wall += seconds + jump
        self.passed += seconds


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def clock(times: Times) -> Steady:
    return Steady(lambda: times.wall, lambda: times.passed)


def test_it_goes_with_the_systems_clock(clock: Steady, times: Times) -> None:
    times.go(1_000.0)
    assert clock() == times.wall
    times.go(10.0, jump=-STEP / 2)
    assert clock() == times.wall


@pytest.mark.parametrize("jump", [3_600.0, -3_600.0, 86_400.0, -86_400.0, 315_576_000.0])
def test_a_jump_that_is_taken_back_was_none(clock: Steady, times: Times, jump: float) -> None:
    times.go(1.0, jump=jump)
    assert clock() == START + 1
    times.go(BELIEVE - 2)
    assert clock() == START + BELIEVE - 1
    times.go(1.0, jump=-jump)
    assert clock() == START + BELIEVE
    times.go(2 * BELIEVE)
    assert clock() == times.wall


def test_a_jump_that_lasts_is_followed(clock: Steady, times: Times) -> None:
    times.go(0.0, jump=3_600.0)
    assert clock() == START
    times.go(BELIEVE)
    assert clock() == times.wall == START + 3_600 + BELIEVE


def test_another_jump_begins_another_doubt(clock: Steady, times: Times) -> None:
    times.go(0.0, jump=3_600.0)
    clock()
    times.go(BELIEVE - 1, jump=3_600.0)
    assert clock() == START + BELIEVE - 1
    times.go(2.0)
    assert clock() == START + BELIEVE + 1

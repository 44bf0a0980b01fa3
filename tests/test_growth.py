"""The measure itself: linear work passes; what is quadratic is caught, in Python and in C."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.growth import assert_linear, calls


@pytest.mark.parametrize("read", [str.upper, sorted, re.compile("a+b").match])
def test_linear_work_passes(read: Callable[[str], object]) -> None:
    assert_linear(read, lambda size: "a" * size, 1_000_000)


def _pairs(text: str) -> int:
    return sum(1 for _ in text for _ in text)


@pytest.mark.parametrize(("read", "size"), [(re.compile("a+b").search, 24_000), (_pairs, 2_000)])
def test_quadratic_work_is_caught(read: Callable[[str], object], size: int) -> None:
    with pytest.raises(AssertionError, match="times as long"):
        assert_linear(read, lambda size: "a" * size, size)


def test_calls_are_counted() -> None:
    def work(count: int) -> int:
        return calls(lambda: [abs(number) for number in range(count)])

    assert work(1_000) - work(0) == 1_000

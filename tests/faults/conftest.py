"""Fixtures of the faults: how much of everything, and the line for the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import pytest


@dataclass(frozen=True, slots=True)
class Amount:
    """So much in the short form, so much in the full one."""

    full: bool

    def __call__(self, short: int, full: int) -> int:
        return full if self.full else short

    def some(self, short: Sequence[int], full: Sequence[int]) -> Sequence[int]:
        return full if self.full else short


@pytest.fixture
def amount(request: pytest.FixtureRequest) -> Amount:
    return Amount(bool(request.config.getoption("--full")))


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> Random:
    """Drawn anew by `--seed`, the same for the same seed."""
    return Random(int(request.config.getoption("--seed")))


@pytest.fixture
def seen(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """`seen("200 cuts, 0 missing")`: what the table of docs/torture.md says of this run."""

    def note(figures: str) -> None:
        record_property("seen", figures)
        print(figures)

    return note

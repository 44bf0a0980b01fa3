"""Shares: everybody wins what its weight says, and nobody's lot changes for another's sake."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.shares import ranked

NAMES = st.dictionaries(st.text(max_size=8), st.floats(0.01, 100), min_size=1, max_size=6)


@given(st.text(), NAMES)
def test_a_delivery_gets_the_same_order_whatever_order_it_is_asked_in(
    delivery: str, weights: dict[str, float]
) -> None:
    order = ranked(delivery, weights)
    assert sorted(order) == sorted(weights)
    assert ranked(delivery, dict(reversed(weights.items()))) == order


@given(st.text(), NAMES)
def test_without_one_the_others_keep_their_order(delivery: str, weights: dict[str, float]) -> None:
    first, *rest = ranked(delivery, weights)
    del weights[first]
    assert ranked(delivery, weights) == rest


@pytest.mark.parametrize("weights", [{"a": 1, "b": 1}, {"a": 3, "b": 1}, {"a": 5, "b": 3, "c": 2}])
def test_shares_are_met(weights: dict[str, float]) -> None:
    """Within four standard deviations of 10,000 draws; the draws are always the same."""
    won = [ranked(f"delivery {n}", weights)[0] for n in range(10_000)]
    for name, weight in weights.items():
        share = weight / sum(weights.values())
        assert won.count(name) / 10_000 == pytest.approx(share, abs=0.02)

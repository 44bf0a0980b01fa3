"""Fair division: nothing is left over, nobody gets more than others who want as much."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.fair import fair, fair_whole

NAMES = st.text("abcdef", min_size=1, max_size=3)
WANTS = st.dictionaries(NAMES, st.none() | st.floats(0, 50), min_size=1, max_size=8)


@given(st.floats(0, 100), WANTS)
def test_parts_add_up_and_nobody_who_wants_more_gets_less(
    total: float, wants: dict[str, float | None]
) -> None:
    parts = fair(total, wants)
    assert sum(parts.values()) == pytest.approx(total)
    size = {name: float("inf") if want is None else want for name, want in wants.items()}
    order = sorted(wants, key=lambda name: size[name])
    assert all(parts[a] <= parts[b] + 1e-9 for a, b in pairwise(order))
    least = total / len(wants)
    assert all(parts[name] >= min(size[name], least) - 1e-9 for name in wants)


@given(st.integers(0, 100), WANTS)
def test_whole_pieces_add_up_too_and_none_is_left_without_while_there_are_enough(
    total: int, wants: dict[str, float | None]
) -> None:
    wants = {name: None if want is None else want + 1 for name, want in wants.items()}
    parts = fair_whole(total, wants)
    assert sum(parts.values()) == total
    assert min(parts.values()) >= (1 if total >= len(wants) else 0)


def test_who_wants_little_is_served_and_the_rest_is_shared_alike() -> None:
    assert fair(50, {"a": None, "b": 2, "c": None}) == {"b": 2, "a": 24, "c": 24}
    assert fair(50, {"a": 10, "b": 20}) == {"a": 20, "b": 30}
    assert fair(1, {}) == {}

"""The Wilson interval, against properties and against numbers worked out elsewhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.interval import Interval, wilson

counts = st.integers(0, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_it_holds_the_share_and_stays_within_nothing_and_all(count: tuple[int, int]) -> None:
    hits, samples = count
    low, high = wilson(hits, samples)
    assert 0.0 <= low <= high <= 1.0
    if samples:
        assert low <= hits / samples <= high


@given(counts)
def test_misses_mirror_hits(count: tuple[int, int]) -> None:
    hits, samples = count
    found, mirrored = wilson(hits, samples), wilson(samples - hits, samples)
    assert found.low == pytest.approx(1 - mirrored.high, abs=1e-9)
    assert found.high == pytest.approx(1 - mirrored.low, abs=1e-9)


@given(st.integers(0, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_more_samples_of_the_same_share_say_more(count: tuple[int, int]) -> None:
    hits, samples = count
    if samples:
        assert wilson(hits * 10, samples * 10).width < wilson(hits, samples).width


@given(st.integers(1, 10_000))
def test_another_hit_never_lowers_it(samples: int) -> None:
    found = [wilson(hits, samples) for hits in range(0, samples, max(1, samples // 50))]
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("hits", "samples", "expected"),
    [
        (0, 10, (0.0, 0.2775)),  # Brown, Cai and DasGupta, table of examples; and by hand
        (10, 10, (0.7225, 1.0)),
        (5, 10, (0.2366, 0.7634)),
        (49, 50, (0.8950, 0.9965)),
        (980, 1_000, (0.9693, 0.9870)),
    ],
)
def test_known_intervals(hits: int, samples: int, expected: tuple[float, float]) -> None:
    assert wilson(hits, samples) == pytest.approx(expected, abs=1e-4)


def test_of_nothing_nothing_is_known() -> None:
    assert wilson(0, 0) == Interval(0.0, 1.0)


@pytest.mark.parametrize(("hits", "samples"), [(1, 0), (-1, 5), (6, 5)])
def test_what_is_no_share_is_refused(hits: int, samples: int) -> None:
    with pytest.raises(ValueError, match="is no share"):
        wilson(hits, samples)

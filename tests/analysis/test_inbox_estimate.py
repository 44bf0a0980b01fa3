"""The overall estimate: honest about little, never narrower than its evidence."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from analysis.inbox_estimate import Evidence, Share, estimate
from analysis.placement import Tally

GOOD = {"gmail": Tally(inbox=97, junk=3), "qq": Tally(inbox=95, missing=5)}
TRAFFIC = {"gmail": 8_000, "qq": 2_000}

tallies = st.builds(
    Tally, inbox=st.integers(0, 200), junk=st.integers(0, 50), missing=st.integers(0, 50)
)
names = st.sampled_from(["gmail", "qq", "yahoo", "other"])
evidences = st.builds(
    Evidence,
    st.dictionaries(names, tallies),
    st.dictionaries(names, st.integers(0, 10_000)),
    st.integers(0, 100),
    st.none() | st.integers(0, 500).map(lambda n: Share(n, 500)),
    st.none() | st.integers(0, 500).map(lambda n: Share(n, 500)),
)


@given(evidences)
def test_it_is_a_range_of_whole_per_cent(evidence: Evidence) -> None:
    found = estimate(evidence)
    assert 0.0 <= found.low <= found.high <= 1.0
    assert round(found.low * 100, 6) % 1 == round(found.high * 100, 6) % 1 == 0


def test_many_probes_where_the_traffic_goes_make_a_range() -> None:
    found = estimate(Evidence(GOOD, TRAFFIC, aligned=Share(10_000, 10_000)))
    assert found.known
    assert 0.85 <= found.low <= 0.95
    assert 0.97 <= found.high <= 1.0
    assert found.covered == 1.0


def test_few_probes_are_not_known() -> None:
    found = estimate(Evidence({"gmail": Tally(inbox=10)}, {"gmail": 5_000}))
    assert not found.known
    assert any("fewer than" in words for words in found.cautions)


def test_nothing_is_not_known() -> None:
    found = estimate(Evidence({}, {}))
    assert (found.known, found.low, found.high) == (False, 0.0, 1.0)


def test_traffic_at_providers_without_a_seed_widens_it() -> None:
    """Nothing is known of half of the mail: the range is half as wide as can be, at least."""
    half = estimate(Evidence(GOOD, {**TRAFFIC, "yahoo": 10_000}))
    assert half.high - half.low >= 0.5
    assert not half.known


def test_unaligned_mail_lowers_the_lower_end_alone() -> None:
    aligned = estimate(Evidence(GOOD, TRAFFIC, aligned=Share(9_990, 10_000)))
    spoilt = estimate(Evidence(GOOD, TRAFFIC, aligned=Share(7_000, 10_000)))
    assert spoilt.low < aligned.low * 0.75
    assert spoilt.high == aligned.high


def test_where_people_complain_seeds_prove_no_lower_end() -> None:
    found = estimate(Evidence(GOOD, TRAFFIC, complained=100))
    assert found.low == 0.0
    assert not found.known
    assert any("complain" in words for words in found.cautions)


def test_opens_by_people_raise_the_lower_end_and_never_lower_the_upper_one() -> None:
    complained = Evidence(GOOD, TRAFFIC, complained=100, opened=Share(6_000, 10_000))
    found = estimate(complained)
    assert found.low >= 0.59
    assert found.known
    few = estimate(Evidence(GOOD, TRAFFIC, opened=Share(100, 10_000)))
    assert few.high == estimate(Evidence(GOOD, TRAFFIC)).high

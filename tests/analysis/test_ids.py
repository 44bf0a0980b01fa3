"""Ids that sort by time and carry the mark of what they belong to."""

from __future__ import annotations

from analysis.ids import beside, first_id, mark
from carom.ids import ids

NOW = 1_800_000_000.0


def test_an_id_made_beside_another_keeps_its_place_and_differs_from_every_other() -> None:
    one, new_id = ids(lambda: NOW)(), ids(lambda: NOW + 60)
    placed = [beside(new_id(), one) for _ in range(1_000)]
    assert {mark(each) for each in placed} == {mark(one)}
    assert placed == sorted(set(placed))
    assert first_id(NOW + 60) <= placed[0] < placed[-1] < first_id(NOW + 61)
    assert {len(each) for each in placed} == {26}


def test_marks_spread_evenly() -> None:
    new_id = ids(lambda: NOW)
    found = [mark(new_id()) for _ in range(4_096)]
    assert 0 <= min(found) < max(found) <= 1_023
    assert all(850 < sum(each % 4 == place for each in found) < 1_200 for place in range(4))

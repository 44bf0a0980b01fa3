"""The registry of enhanced status codes is complete and worth what it says."""

from __future__ import annotations

import pytest

from analysis.enhanced import REGISTRY, SUBJECTS, meaning
from analysis.rule import USUAL
from analysis.verdict import Category, Severity

DETAILS = {0: 0, 1: 10, 2: 4, 3: 6, 4: 7, 5: 6, 6: 10, 7: 30}
"""The highest detail registered for each subject."""


def test_every_registered_detail_is_there() -> None:
    wanted = {
        f"{subject}.{detail}" for subject, last in DETAILS.items() for detail in range(last + 1)
    }
    assert set(REGISTRY) == wanted
    assert set(SUBJECTS) == set(DETAILS)


@pytest.mark.parametrize(
    ("status", "category"),
    [
        ("5.1.1", Category.BAD_MAILBOX),
        ("4.2.2", Category.MAILBOX_FULL),
        ("5.7.26", Category.AUTHENTICATION),
        ("5.7.25", Category.REPUTATION),
        ("5.4.7", Category.EXPIRED),
        ("5.7.999", Category.POLICY),
        ("5.0.0", Category.UNKNOWN),
    ],
)
def test_a_status_means(status: str, category: Category) -> None:
    known = meaning(status)
    assert known is not None
    assert known.category is category


@pytest.mark.parametrize("status", ["5.9.1", "5", "", "5.x.1", "5.²"])
def test_what_is_not_registered_means_nothing(status: str) -> None:
    assert meaning(status) is None


def test_only_lasting_faults_of_the_address_may_suppress() -> None:
    for row in REGISTRY.values():
        if row.suppress:
            usual = USUAL[row.category]
            assert usual.suppress
            assert usual.severity is Severity.HARD

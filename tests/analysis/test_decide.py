"""Only positive knowledge ends a delivery."""

from __future__ import annotations

import pytest

from analysis.decide import PASSING, UNKNOWN_TRIES, after_attempt, counts_as_soft
from analysis.lifecycle import Fact
from analysis.verdict import UNKNOWN, Category, Fault, Severity, Verdict

REFUSED, PUT_OFF = Fact.REFUSED, Fact.PUT_OFF


def verdict(
    category: Category, severity: Severity = Severity.SOFT, fault: Fault = Fault.RECEIVER
) -> Verdict:
    return Verdict(category, fault, severity, False, "test/rule", "", 0.9)


EVERY = [verdict(category, severity) for category in Category for severity in Severity]


@pytest.mark.parametrize(
    ("result", "category", "severity", "fact"),
    [
        ("refused", Category.BAD_MAILBOX, Severity.HARD, REFUSED),
        ("refused", Category.REPUTATION, Severity.HARD, REFUSED),
        ("refused", Category.REPUTATION, Severity.SOFT, REFUSED),
        ("refused", Category.POLICY, Severity.SOFT, REFUSED),
        ("refused", Category.MAILBOX_FULL, Severity.SOFT, PUT_OFF),
        ("refused", Category.RATE_LIMIT, Severity.SOFT, PUT_OFF),
        ("refused", Category.GREYLISTED, Severity.SOFT, PUT_OFF),
        ("refused", Category.MAILBOX_FULL, Severity.HARD, REFUSED),
        ("deferred", Category.MAILBOX_FULL, Severity.SOFT, PUT_OFF),
        ("refused", Category.BAD_DOMAIN, Severity.HARD, REFUSED),  # our resolver: NXDOMAIN
        ("deferred", Category.BAD_DOMAIN, Severity.SOFT, PUT_OFF),
        ("in_doubt", Category.NETWORK, Severity.SOFT, PUT_OFF),
        ("in_doubt", Category.BAD_DOMAIN, Severity.HARD, PUT_OFF),
    ],
)
def test_what_follows_from_an_answer(
    result: str, category: Category, severity: Severity, fact: Fact
) -> None:
    assert after_attempt(result, verdict(category, severity), tries=1) is fact


@pytest.mark.parametrize("verdict", EVERY, ids=lambda v: f"{v.category}-{v.severity}")
def test_acceptance_and_withholding_do_not_depend_on_words(verdict: Verdict) -> None:
    assert after_attempt("accepted", verdict, tries=1) is Fact.ACCEPTED
    assert after_attempt("withheld", verdict, tries=1) is Fact.WITHHELD


@pytest.mark.parametrize("tries", [1, UNKNOWN_TRIES, 1000])
@pytest.mark.parametrize("verdict", EVERY, ids=lambda v: f"{v.category}-{v.severity}")
def test_a_4xx_never_ends_a_delivery(verdict: Verdict, tries: int) -> None:
    assert after_attempt("deferred", verdict, tries=tries) is PUT_OFF


@pytest.mark.parametrize("verdict", EVERY, ids=lambda v: f"{v.category}-{v.severity}")
def test_a_doubt_never_ends_a_delivery(verdict: Verdict) -> None:
    assert after_attempt("in_doubt", verdict, tries=1000) is PUT_OFF


def test_a_5xx_that_nobody_understands_is_tried_a_few_times() -> None:
    facts = [after_attempt("refused", UNKNOWN, tries=n) for n in range(1, UNKNOWN_TRIES + 2)]
    assert facts == [PUT_OFF] * (UNKNOWN_TRIES - 1) + [REFUSED] * 2


@pytest.mark.parametrize("category", sorted(PASSING))
def test_a_passing_5xx_is_tried_as_long_as_the_schedule_lasts(category: Category) -> None:
    assert after_attempt("refused", verdict(category), tries=1000) is PUT_OFF


@pytest.mark.parametrize("fault", sorted(Fault))
def test_only_the_recipients_own_soft_fault_is_a_mark_against_it(fault: Fault) -> None:
    soft = verdict(Category.MAILBOX_FULL, Severity.SOFT, fault)
    assert counts_as_soft(soft) is (fault is Fault.RECIPIENT)
    assert not counts_as_soft(verdict(Category.MAILBOX_FULL, Severity.NONE, fault))

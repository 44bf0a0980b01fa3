"""When answers make an incident, and when it is over: pure, so time is an argument."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.incident_policy import (
    Do,
    Last,
    Window,
    allowance_factor,
    judge,
    shipped,
    windows_of,
)
from analysis.providers import PROVIDERS
from analysis.tallies import Key, Outcome
from analysis.verdict import Category, Fault

NOW = 1_800_000_000.0
POLICY = shipped()
REPUTATION = POLICY.kinds["reputation"]


def steady(answered: float, share: float) -> dict[float, Window]:
    """What is seen when so many answers a minute, and so many of them against, went on for long."""
    return {
        length: Window(
            math.floor(answered * length / 60),
            math.floor(answered * (1 - share) * length / 60),
            math.floor(answered * share * length / 60),
        )
        for length in POLICY.windows
    }


def blocked_for(minutes: float, a_minute: float = 10) -> dict[float, Window]:
    """All was well for a day; for so many minutes now every answer is against us."""
    return {
        length: Window(
            answered=int(a_minute * length / 60),
            accepted=int(a_minute * max(0.0, length / 60 - minutes)),
            against=int(a_minute * min(minutes, length / 60)),
        )
        for length in POLICY.windows
    }


@pytest.mark.parametrize("a_minute", [10, 100, 10_000])
def test_a_block_is_found_within_three_minutes(a_minute: float) -> None:
    found = next(m for m in range(1, 30) if _judge(blocked_for(m, a_minute)) is Do.OPEN)
    assert found <= 3


@pytest.mark.parametrize(("an_hour", "hours"), [(6, 1.5), (2, 5), (1, 6)])
def test_a_small_sender_is_told_too(an_hour: float, hours: float) -> None:
    assert _judge(steady(an_hour / 60, 0.0)) is None
    assert _judge(blocked_for(60 * hours, an_hour / 60)) is Do.OPEN


@given(st.floats(0.01, 1_000), st.floats(0, 0.03))
def test_a_few_refusals_are_every_days_business(a_minute: float, share: float) -> None:
    assert _judge(steady(a_minute, share)) is None


def test_three_unlucky_messages_wake_nobody() -> None:
    assert _judge({length: Window(3, 0, 3) for length in POLICY.windows}) is None


def _judge(seen: dict[float, Window], last: Last | None = None, now: float = NOW) -> Do | None:
    return judge(POLICY, REPUTATION, now, seen, last)


def test_it_stays_open_while_refusals_go_on_and_for_ten_minutes_at_least() -> None:
    well = steady(100, 0.0)
    assert _judge(steady(100, 0.4), Last(True, NOW - 86_400)) is None
    assert _judge(well, Last(True, NOW - 599)) is None
    assert _judge(well, Last(True, NOW - 600)) is Do.CLOSE


def test_nothing_accepted_closes_nothing_until_a_day_has_passed_in_silence() -> None:
    silence = {length: Window() for length in POLICY.windows}
    assert _judge(silence, Last(True, NOW - 7_200)) is None
    assert _judge(silence, Last(True, NOW - 86_400)) is Do.CLOSE


def test_what_comes_back_soon_is_the_same_incident_and_takes_longer_to_close() -> None:
    closed = Last(False, NOW - 9_000, NOW - 3_600)
    assert _judge(blocked_for(5), closed) is Do.REOPEN
    assert _judge(blocked_for(5), Last(False, NOW - 90_000, NOW - 21_600)) is Do.OPEN
    assert _judge(steady(100, 0), Last(True, NOW - 700, reopened=1)) is None
    assert _judge(steady(100, 0), Last(True, NOW - 1_200, reopened=1)) is Do.CLOSE
    assert _judge(steady(100, 0), Last(True, NOW - 7_200, reopened=9)) is Do.CLOSE


def test_the_same_refusals_open_nothing_twice() -> None:
    """An hour that was bad by half still is, minutes after the end."""
    seen = blocked_for(45)
    assert _judge(seen, Last(False, NOW - 4_000, NOW - 200)) is None


def test_what_a_person_muted_is_not_opened_again() -> None:
    muted = Last(False, NOW - 9_000, NOW - 3_600, muted_until=NOW + 1)
    assert _judge(blocked_for(30), muted) is None
    assert _judge(blocked_for(30), muted, NOW + 1) is Do.REOPEN


_spells = st.lists(
    st.tuples(st.integers(1, 60), st.sampled_from([0, 1, 20]), st.sampled_from([0, 1, 20])),
    min_size=1,
    max_size=12,
)


@given(_spells)
def test_it_never_flaps(spells: list[tuple[int, int, int]]) -> None:
    """Whatever the answers: between opening and closing lie ten minutes, and five until it opens
    once more; each return within six hours makes the next close later."""
    minutes = [(taken, against) for length, taken, against in spells for _ in range(length)]
    last: Last | None = None
    turns: list[tuple[float, Do]] = []
    for minute in range(len(minutes)):
        now = NOW + 60 * minute
        seen = {w: _sum(minutes[max(0, minute - int(w // 60)) : minute]) for w in POLICY.windows}
        do = _judge(seen, last, now)
        if do is None:
            continue
        turns.append((now, do))
        match do:
            case Do.CLOSE:
                assert last is not None
                last = Last(False, last.since, now, last.reopened)
            case Do.OPEN:
                last = Last(True, now)
            case Do.REOPEN:
                assert last is not None
                last = Last(True, now, reopened=last.reopened + 1)
    assert [do is Do.CLOSE for _, do in turns] == [n % 2 == 1 for n in range(len(turns))]
    waits = [b[0] - a[0] for a, b in pairwise(turns)]
    assert all(w >= (600 if n % 2 == 0 else 300) for n, w in enumerate(waits))
    opens = waits[::2]
    assert all(wait >= 600 * 2**n for n, wait in enumerate(opens[:4]))


def _sum(minutes: list[tuple[int, int]]) -> Window:
    taken, against = sum(m[0] for m in minutes), sum(m[1] for m in minutes)
    return Window(taken + against, taken, against)


def test_the_allowance_is_lowered_while_it_is_open_and_comes_back_by_stages() -> None:
    def after(seconds: float) -> float:
        last = Last(False, NOW - 9_000, NOW - seconds)
        return allowance_factor(POLICY, "reputation", NOW, last)

    assert allowance_factor(POLICY, "reputation", NOW, Last(True, NOW)) == 0.25
    assert [after(s) for s in (0, 599, 600, 1_199, 1_200)] == [0.5, 0.5, 0.75, 0.75, 1.0]
    assert allowance_factor(POLICY, "outage", NOW, Last(True, NOW)) == 1.0


def test_every_category_that_may_be_our_fault_belongs_to_one_kind_of_ours() -> None:
    ours = [k for k in POLICY.judged if k.fault == "sender"]
    for category in Category:
        if category in _NEVER_OURS:
            continue
        kinds = [k.name for k in ours if category.value in k.categories]
        assert len(kinds) == 1, (category, kinds)


_NEVER_OURS = {
    Category.BAD_MAILBOX,
    Category.MAILBOX_DISABLED,
    Category.MAILBOX_FULL,
    Category.BAD_DOMAIN,
    Category.NETWORK,
    Category.EXPIRED,
    Category.TOO_BIG,
    Category.VIRUS,  # the message's
    Category.GREYLISTED,  # as it should be
    Category.SYSTEM,
    Category.UNKNOWN,
}


def test_a_recipients_fault_is_no_incident_of_answers() -> None:
    for fault in (Fault.RECIPIENT, Fault.DOMAIN, Fault.MESSAGE, Fault.UNKNOWN):
        for category in Category:
            key = Key("gmail", Outcome.REFUSED, fault.value, category.value)
            assert not any(kind.counts(key) for kind in POLICY.judged)


def test_windows_are_counted_by_provider() -> None:
    blocked = Key("gmail", Outcome.REFUSED, "sender", "reputation")
    counted = {
        300.0: _counter({blocked: 3, Key("gmail", Outcome.ACCEPTED): 7}),
        1800.0: _counter({Key("yahoo", Outcome.ACCEPTED): 5, blocked: 4}),
    }
    found = windows_of(REPUTATION, counted)
    assert found["gmail"] == {300.0: Window(10, 7, 3), 1800.0: Window(4, 0, 4)}
    assert found["yahoo"][300.0] == Window()
    assert set(found) <= set(PROVIDERS)


def _counter(counts: dict[Key, int]) -> Counter[Key]:
    return Counter(counts)

"""AIMD: never above the ceiling, never below one, down by halves, up again by what is taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sender.allowances import Allowance, Rate
from sender.throttle import FIRST, LONGEST, MOST_HINT, STRIKES, Throttle


def throttle(connections: int = 16, rate: Rate | None = None) -> Throttle:
    return Throttle(Allowance(connections, 100, rate))


def asked(one: Throttle, times: int, now: float = 0.0) -> None:
    """Ask to slow down, each time in a conversation begun after the last."""
    for _ in range(times):
        wave = one.begin(now)
        one.slower(now, wave, "busy")
        one.end()


def test_a_request_to_slow_down_halves_what_may_be_open() -> None:
    one = throttle(16)
    asked(one, 1)
    assert (one.limit, one.room(0.0)) == (8.0, 8)
    asked(one, 1)
    assert one.limit == 4.0


def test_what_is_cut_off_together_counts_once() -> None:
    one = throttle(16)
    waves = [one.begin(0.0) for _ in range(10)]
    for wave in waves:
        one.slower(1.0, wave, "busy")
    assert (one.limit, one.suspended(1.0)) == (8.0, False)


def test_requests_in_a_row_suspend_for_twice_as_long_each_time() -> None:
    one, now, waits = throttle(), 0.0, []
    asked(one, STRIKES)
    for _ in range(8):
        assert one.suspended(now)
        assert one.room(now) == 0
        waits.append(one.until - now)
        now = one.until
        assert one.room(now) == 1  # a probe
        asked(one, 1, now)
    assert waits == [30, 60, 120, 240, 480, LONGEST, LONGEST, LONGEST]
    assert waits[0] == FIRST


def test_something_taken_in_between_keeps_a_site_from_being_suspended() -> None:
    one = throttle()
    for _ in range(10):
        asked(one, STRIKES - 1)
        one.taken()
    assert not one.suspended(0.0)
    assert one.limit >= 1


def test_a_time_that_is_named_is_obeyed_at_once_and_within_bounds() -> None:
    for hint, wait in [(5.0, 5.0), (300.0, 300.0), (86_400.0, MOST_HINT)]:
        one = throttle()
        one.slower(100.0, one.begin(100.0), "later", hint=hint)
        assert one.until == 100.0 + wait


def test_silence_suspends_without_slowing_down_before() -> None:
    one = throttle(16)
    for _ in range(STRIKES):
        assert one.limit == 16
        one.silent(0.0, one.begin(0.0), "dead")
        one.end()
    assert one.suspended(0.0)


def test_after_a_suspension_it_recovers_quickly() -> None:
    one = throttle(20)
    asked(one, STRIKES)
    for _ in range(9):
        one.taken()
    assert one.limit == 10
    for _ in range(150):
        one.taken()
    assert one.limit == 20
    asked(one, STRIKES, 1000.0)
    assert one.until == 1000.0 + FIRST  # forgiven


def test_a_rate_is_kept_over_any_stretch_of_time() -> None:
    one, sent, now = throttle(1000, Rate(20, 1.0)), 0, 0.0
    for _ in range(1000):
        while one.room(now):
            one.begin(now)
            one.end()
            sent += 1
        now += 0.01
    assert 200 <= sent <= 20 * 10 + 20 + 1
    assert one.next_token(now) == pytest.approx(0.05, abs=0.05)


@given(st.integers(1, 100), st.floats(1.0, 3600.0))
def test_the_next_token_is_there_when_it_was_said_to_be(count: int, seconds: float) -> None:
    one = throttle(10_000, Rate(count, seconds))
    while one.tokens(0.0) >= 1:
        one.begin(0.0)
        one.end()
    wait = one.next_token(0.0)
    assert 0 < wait <= seconds / count + 1e-6
    assert one.tokens(wait + 1e-6) >= 1 - 1e-6


class Traffic(RuleBasedStateMachine):
    """Any answers in any order, at any time."""

    @initialize(most=st.integers(1, 50), count=st.none() | st.integers(1, 100))
    def begins(self, most: int, count: int | None) -> None:
        self.one = throttle(most, None if count is None else Rate(count, 1.0))
        self.most, self.now = most, 0.0
        self.open: list[int] = []

    @precondition(lambda self: self.one.room(self.now))
    @rule()
    def a_conversation_begins(self) -> None:
        self.open.append(self.one.begin(self.now))

    @precondition(lambda self: self.open)
    @rule(answer=st.sampled_from(["taken", "slower", "silent"]), hint=st.none() | st.floats(1, 1e9))
    def one_ends(self, answer: str, hint: float | None) -> None:
        wave = self.open.pop(0)
        if answer == "taken":
            before = self.one.limit
            self.one.taken()
            assert self.one.limit >= before
        elif answer == "slower":
            self.one.slower(self.now, wave, "busy", hint=hint)
        else:
            self.one.silent(self.now, wave, "dead")
        self.one.end()

    @rule(seconds=st.floats(0.0, 1_000.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def it_stays_within_its_bounds(self) -> None:
        if hasattr(self, "one"):
            assert 1.0 <= self.one.limit <= self.most
            assert self.one.room(self.now) <= max(0, self.most - len(self.open))
            assert self.one.until <= self.now + MOST_HINT

    def teardown(self) -> None:
        """Whatever came: with nothing but good answers it is back at its ceiling."""
        if hasattr(self, "one"):
            now = self.one.until + 100.0
            assert not self.one.suspended(now)
            for _ in range(self.most * self.most + 60):
                self.one.taken()
            assert self.one.limit == self.most


TestTraffic = Traffic.TestCase

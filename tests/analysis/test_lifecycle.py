"""The life of a delivery is a table: complete, and deaf to facts that come late or twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from analysis.lifecycle import FINAL, PENDING, TABLE, Fact, State, advance

HOUSE = {
    # state: (facts that take it away, the states they lead to)
    State.QUEUED: {State.SENDING, State.EXPIRED, State.BOUNCED, State.CANCELLED},
    State.SENDING: {
        State.DELIVERED,
        State.QUEUED,
        State.BOUNCED,
        State.EXPIRED,
        State.SUPPRESSED,
    },
    State.DELIVERED: {State.BOUNCED, State.COMPLAINED},
}
facts = st.sampled_from(Fact)


def reachable(start: State) -> set[State]:
    found, edge = {start}, {start}
    while edge:
        edge = {advance(state, fact) for state in edge for fact in Fact} - found
        found |= edge
    return found


def test_every_state_can_be_reached_from_the_queue() -> None:
    assert reachable(State.QUEUED) == set(State)


def test_states_lead_where_the_house_plan_says_and_nowhere_else() -> None:
    leads = {s: {after for (before, _), after in TABLE.items() if before is s} for s in HOUSE}
    assert leads == HOUSE


def test_every_fact_is_of_use() -> None:
    assert {fact for _, fact in TABLE} == set(Fact)


@pytest.mark.parametrize("state", sorted(FINAL))
def test_no_fact_moves_a_final_state(state: State) -> None:
    assert {advance(state, fact) for fact in Fact} == {state}


def test_a_state_is_pending_or_delivered_or_final() -> None:
    assert PENDING | FINAL | {State.DELIVERED} == set(State)
    assert not PENDING & FINAL


@given(st.sampled_from(State), facts)
def test_a_report_that_comes_twice_has_the_effect_of_one(state: State, fact: Fact) -> None:
    once = advance(state, fact)
    if fact in (Fact.BOUNCED, Fact.COMPLAINED, Fact.CANCELLED, Fact.SPENT, Fact.ACCEPTED):
        assert advance(once, fact) is once


class OneDelivery(RuleBasedStateMachine):
    """Any facts in any order: a delivery ends once, and stays where it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State.QUEUED
        self.path = [State.QUEUED]

    @rule(fact=facts)
    def something_happens(self, fact: Fact) -> None:
        before, self.state = self.state, advance(self.state, fact)
        if self.state is not before:
            self.path.append(self.state)

    @invariant()
    def nothing_follows_an_end(self) -> None:
        assert not FINAL.intersection(self.path[:-1])

    @invariant()
    def once_accepted_it_is_never_sent_again(self) -> None:
        if State.DELIVERED in self.path:
            later = self.path[self.path.index(State.DELIVERED) :]
            assert not PENDING.intersection(later)

    @invariant()
    def only_what_was_handed_over_is_complained_about(self) -> None:
        if self.path[-1] is State.COMPLAINED:
            assert self.path[-2] is State.DELIVERED


TestOneDelivery = OneDelivery.TestCase

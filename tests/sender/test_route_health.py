"""A route that fails is out, probed by one delivery at a time, and comes back."""

from __future__ import annotations

import pytest

from analysis.reply import Reply, Stage
from sender.places import Held
from sender.route_health import (
    PROBE_SECONDS,
    Bounds,
    RouteHealth,
    Use,
    as_deferred,
    own_trouble,
)
from sender.smtp import Host, Outcome, Result, Route

BOUNDS = Bounds(failures=3, window=60, first=30, longest=100)


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def health() -> tuple[RouteHealth, Clock]:
    clock = Clock()
    return RouteHealth("esp", clock, BOUNDS), clock


def use(route: RouteHealth) -> Use:
    entered = route.enter()
    assert isinstance(entered, Use)
    return entered


def until(route: RouteHealth) -> float:
    entered = route.enter()
    assert isinstance(entered, Held)
    return entered.until


def fail(route: RouteHealth, times: int = 1) -> None:
    for _ in range(times):
        with use(route) as entered:
            entered.failed("535 no")


def test_failures_in_a_row_take_it_out_and_say_why() -> None:
    route, clock = health()
    fail(route, 2)
    with use(route) as entered:
        entered.worked()
    fail(route, 2)
    assert not route.out
    fail(route)
    held = route.enter()
    assert isinstance(held, Held)
    assert held.until == clock.now + 30
    assert held.verdict.rule == "routes/out"
    assert held.verdict.evidence == "held back: the route esp is out: 535 no"


def test_failures_far_apart_do_not() -> None:
    route, clock = health()
    for _ in range(10):
        fail(route)
        clock.now += 31
    assert not route.out


def test_one_delivery_probes_at_a_time() -> None:
    route, clock = health()
    fail(route, 3)
    clock.now += 30
    with use(route):
        assert until(route) == clock.now + PROBE_SECONDS
    assert route.out, "a probe that came to nothing decides nothing"
    with use(route) as probe:
        probe.worked()
    assert not route.out
    use(route)


def test_a_probe_that_fails_doubles_the_wait_within_bounds() -> None:
    route, clock = health()
    fail(route, 3)
    waits = []
    for _ in range(4):
        waits.append(until(route) - clock.now)
        clock.now = until(route)
        fail(route)
    assert waits == [30, 60, 100, 100]
    clock.now = until(route)
    with use(route) as probe:
        probe.worked()
    fail(route, 3)
    assert until(route) == clock.now + 30


def test_what_was_under_way_changes_nothing_any_more() -> None:
    route, clock = health()
    late = [use(route) for _ in range(50)]
    fail(route, 3)
    for entered in late:
        entered.failed("421 closing")
        entered.worked()
    assert until(route) == clock.now + 30


@pytest.mark.parametrize(
    ("reply", "ours"),
    [
        (Reply(None, "4.4.1", "no connection", Stage.CONNECT), True),
        (Reply(421, "4.3.2", "closing", Stage.BANNER), True),
        (Reply(None, "4.7.5", "certificate not trusted", Stage.STARTTLS), True),
        (Reply(535, "5.7.8", "bad credentials", Stage.AUTH), True),
        (Reply(530, "5.7.0", "Authentication required", Stage.MAIL), True),
        (Reply(451, "4.7.1", "greylisted", Stage.RCPT), False),
        (Reply(421, "4.7.0", "too much", Stage.MAIL), False),
        (Reply(None, "4.4.2", "lost", Stage.DOT), False),
    ],
)
def test_only_what_is_between_us_and_the_relay_is_its_own_trouble(reply: Reply, ours: bool) -> None:
    assert own_trouble(Result.DEFERRED, reply) is ours
    assert not own_trouble(Result.ACCEPTED, reply)


def test_a_sign_in_that_is_asked_for_bounces_nobody_on_a_relay() -> None:
    host = Host("relay.example", "192.0.2.1")
    refusal = Outcome(
        Result.REFUSED, Reply(530, "5.7.0", "Authentication required", Stage.MAIL), "", ""
    )
    relay, direct = Route("relay", (host,), fixed=True), Route("mx", (host,), domain="example.net")
    assert as_deferred(refusal, relay).result is Result.DEFERRED
    assert as_deferred(refusal, direct) is refusal

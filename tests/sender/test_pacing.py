"""Pacing: turns at a site, suspension that everybody hears of, memory that is bounded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from analysis.reply import Reply, Stage
from analysis.rulebook import shipped as rulebook
from analysis.verdict import Category
from sender.allowances import Allowance, Allowances, Rate
from sender.pacing import Pacing, Pass
from sender.places import Held, Places
from sender.smtp import Host, Route

pytestmark = pytest.mark.anyio

CLASSIFY = rulebook().classify
BUSY = "421 4.7.0 too many connections, slow down"


def route(site: str = "mx.example.net", **other: Any) -> Route:
    return Route(site, (Host(site, "192.0.2.1"),), **other)


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def pacing(allowance: Allowance = Allowance(2), **other: Any) -> tuple[Pacing, Time]:  # noqa: B008
    clock = Time()
    parts: dict[str, Any] = {"shipped": {"gmail": allowance}} | other.pop("allowances", {})
    made = Pacing(Allowances(allowance, **parts), clock=clock, chance=lambda: 0.5, **other)
    return made, clock


async def admitted(one: Pacing, to: Route, domain: str = "example.net") -> Pass:
    found = await one.enter(to, domain)
    assert isinstance(found, Pass)
    return found


async def held(one: Pacing, to: Route, domain: str = "example.net") -> Held:
    found = await one.enter(to, domain)
    assert isinstance(found, Held)
    return found


def says(one: Pass, words: str, result: str = "deferred") -> None:
    reply = Reply.read(words, stage=Stage.RCPT)
    with one:
        one.heard(result, reply, CLASSIFY(reply))


async def asked_to_slow_down(one: Pacing, to: Route, times: int = 3) -> None:
    for _ in range(times):
        says(await admitted(one, to), BUSY)


async def test_a_turn_is_waited_for_and_passed_on() -> None:
    one, _ = pacing(Allowance(1))
    first = await admitted(one, route())
    waiting = asyncio.ensure_future(admitted(one, route()))
    await asyncio.sleep(0)
    assert not waiting.done()
    says(first, "250 2.0.0 taken", "accepted")
    says(await waiting, "250 2.0.0 taken", "accepted")


async def test_where_enough_wait_already_the_next_is_put_off_for_a_moment() -> None:
    one, clock = pacing(Allowance(1))
    with await admitted(one, route()):
        waiting = asyncio.ensure_future(admitted(one, route()))
        await asyncio.sleep(0)
        soon = await held(one, route())
        assert clock.now < soon.until <= clock.now + 2
        assert soon.verdict.rule == "pacing/full"
    with await waiting:
        pass


async def test_a_domain_waits_only_while_every_address_of_ours_does() -> None:
    """What one address has spoilt is not the other's; places are theirs together."""
    one, clock = pacing(Allowance(2))
    ways = [route(source_address=f"192.0.2.{n}") for n in (8, 9)]
    for way in ways:
        says(await admitted(one, way), "250 2.0.0 taken", "accepted")
    site = one.site_of("example.net") or ""
    assert one.share(site, clock.now) == 8
    await asked_to_slow_down(one, ways[0])
    suspended = await held(one, ways[0])
    assert "(from 192.0.2.8) asked us to slow down" in suspended.verdict.evidence
    assert one.share(site, clock.now) == 4
    says(await admitted(one, ways[1]), "250 2.0.0 taken", "accepted")
    clock.now += 5
    await asked_to_slow_down(one, ways[1])
    both = one.share(one.site_of("example.net") or "", clock.now)
    assert isinstance(both, Held)
    assert both.until == suspended.until


async def test_a_waiter_that_is_cancelled_hands_its_turn_on() -> None:
    one, _ = pacing(Allowance(2))
    both = [await admitted(one, route()) for _ in range(2)]
    waiting = [asyncio.ensure_future(admitted(one, route())) for _ in range(2)]
    await asyncio.sleep(0)
    with both[0]:
        pass  # its turn goes to the first waiter ...
    waiting[0].cancel()  # ... who has gone before taking it
    with await waiting[1]:
        pass
    with both[1]:
        pass


async def test_a_suspended_site_holds_back_with_its_own_words_and_time() -> None:
    one, clock = pacing()
    to = route("gmail-smtp-in.l.google.com", provider="gmail")
    await asked_to_slow_down(one, to)
    found = await held(one, to)
    assert found.until == clock.now + 30
    assert found.verdict.evidence == f"held back: gmail asked us to slow down ({BUSY})"
    assert found.verdict.category is Category.RATE_LIMIT
    assert one.suspended() == {"gmail": 1}
    clock.now = found.until
    with await admitted(one, to):
        assert one.suspended() == {}


async def test_whoever_waits_for_a_turn_hears_of_the_suspension() -> None:
    one, _ = pacing(Allowance(1))
    first = await admitted(one, route())
    waiting = asyncio.ensure_future(held(one, route()))
    await asyncio.sleep(0)
    says(first, "421 4.7.0 too many connections, try again in 300 seconds")
    assert (await waiting).until == 1300.0


async def test_silence_holds_back_too_and_says_so() -> None:
    one, _ = pacing()
    dead = Reply(None, "4.4.1", "connection timed out", Stage.CONNECT)
    for _ in range(3):
        with await admitted(one, route(domain="example.net")) as attempt:
            attempt.heard("deferred", dead, CLASSIFY(dead))
    found = await held(one, route(domain="example.net"))
    assert found.verdict.category is Category.NETWORK
    assert found.verdict.evidence == (
        "held back: example.net does not answer (connection timed out)"
    )


async def test_other_sites_and_sources_go_on() -> None:
    one, _ = pacing()
    await asked_to_slow_down(one, route(source_address="192.0.2.9"))
    await held(one, route(source_address="192.0.2.9"))
    for other in (route(source_address="192.0.2.8"), route(), route("mx.example.org")):
        with await admitted(one, other):
            pass


async def test_a_provider_is_one_site_unless_each_customer_has_its_own() -> None:
    counted = {"gmail": Allowance(2), "microsoft": Allowance(2, per_site=True)}
    one, _ = pacing(allowances={"shipped": counted})
    await asked_to_slow_down(one, route("a.google.com", provider="gmail"))
    await held(one, route("b.google.com", provider="gmail"))
    await asked_to_slow_down(one, route("a.outlook.com", provider="microsoft"))
    with await admitted(one, route("b.outlook.com", provider="microsoft")):
        pass


async def test_behind_a_fixed_host_domains_are_paced_one_by_one_and_a_relay_as_a_whole() -> None:
    one, _ = pacing()
    await asked_to_slow_down(one, route(domain="slow.example", fixed=True))
    await held(one, route(domain="slow.example", fixed=True))
    with await admitted(one, route(domain="quick.example", fixed=True)):
        pass
    relay = route("relay smtp.example:25", fixed=True, provider="gmail")
    await asked_to_slow_down(one, relay)
    found = await held(one, route("relay smtp.example:25", fixed=True, provider="yahoo"))
    assert "relay smtp.example:25 asked us" in found.verdict.evidence


async def test_a_rate_holds_back_until_the_next_message_is_allowed() -> None:
    one, clock = pacing(Allowance(50, rate=Rate(2, 1.0)))
    for _ in range(2):
        with await admitted(one, route()):
            pass
    found = await held(one, route())
    assert clock.now + 0.5 <= found.until <= clock.now + 1.5
    assert "2 per 1s" in found.verdict.evidence


async def test_a_route_is_given_the_bounds_of_its_connections() -> None:
    one, _ = pacing(Allowance(2, 33))
    with await admitted(one, route()) as attempt:
        bounded = attempt.bounded(route())
    assert (bounded.connections, bounded.connection_messages) == (2, 33)


async def test_what_was_used_longest_ago_is_forgotten_first() -> None:
    one, _ = pacing(most_sites=2, most_domains=2)
    await asked_to_slow_down(one, route("a"))
    for site in ("b", "a", "c"):
        await one.enter(route(site), f"{site}.example")
    await held(one, route("a"), "a.example")  # used after b
    assert [one.site_of(f"{site}.example") for site in "bac"] == [None, "a", "c"]


async def test_places_are_shared_by_the_domains_of_a_site() -> None:
    one, clock = pacing(Allowance(3))
    for number in range(10):
        with await admitted(one, route(), f"d{number}.example"):
            pass
    places = Places(4, {"d0.example": 2}, one, clock())
    taken = [places.take(f"d{number % 10}.example") for number in range(20)]
    assert sum(taken) == 4  # twice three, two of them taken
    assert all(places.take("new.example") for _ in range(4))
    assert not places.take("new.example")
    await asked_to_slow_down(one, route())
    assert Places(4, {}, one, clock()).held("d5.example") is not None
    assert Places(4, {}, one, clock()).held("new.example") is None

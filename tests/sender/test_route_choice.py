"""Which route a message takes: by what it is, by lot, by what works, by what may go today."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.reply import Reply, Stage
from analysis.store import Store
from sender.mx import Exchangers
from sender.places import Held
from sender.route_choice import DEFAULT, Chosen, Mail, Match, Next, Plan, RouteChoice
from sender.route_health import Bounds
from sender.routes import Relay, Routes
from sender.smtp import Host
from sender.sources import Source, Sources
from sender.warmup import DAY, Ladder, Warmup

pytestmark = pytest.mark.anyio

MONDAY = 20_000
ONE, TWO = Relay("one.example", 587, name="one"), Relay("two.example", 587, name="two")
REFUSED = Reply(535, "5.7.8", "bad credentials", Stage.AUTH)
LOST = Reply(None, "4.4.1", "no connection", Stage.CONNECT)
PROBE = Bounds(failures=1, first=30)


class Exchange:
    """Gmail's exchangers for gmail.com, others for the rest; a relay's own host."""

    async def route(self, domain: str) -> Exchangers | Reply:
        if domain == "nowhere.example":
            return Reply(None, "5.1.2", "no such domain", Stage.DNS)
        name = "gmail-smtp-in.l.google.com" if domain == "gmail.com" else f"mx.{domain}"
        return Exchangers(domain, (Host(name, "192.0.2.1"),), (name,))

    async def fixed(self, host: str, port: int, *, domain: str = "") -> Exchangers | Reply:
        if host.startswith("gone"):
            return Reply(None, "4.4.4", "has no address", Stage.DNS)
        return Exchangers(domain, (Host(host, "192.0.2.2", port),), (host,), static=True)


class World:
    """A choice among plans, with hands on the clock and on what addresses this machine has."""

    def __init__(self, store: Any, *plans: Plan, **defaults: Any) -> None:
        self.now = MONDAY * DAY + 60
        self.lost: set[str] = set()
        self.choice = RouteChoice(
            plans,
            Routes(Exchange(), **({"static": frozenset()} | defaults)),  # type: ignore[arg-type]
            Sources(clock=self.clock, trouble=lambda a: "gone" if a in self.lost else None),
            Warmup(store, self.clock),
            self.clock,
        )

    def clock(self) -> float:
        return self.now

    async def way(self, delivery: str = "d1", domain: str = "example.net", **more: Any) -> Any:
        fields = {"stream": "default", "class_": "transactional"} | more
        passed = fields.pop("passed", ())
        return await self.choice.way(Mail(delivery, domain, **fields), passed)  # type: ignore[arg-type]

    async def name(self, *mail: str, **more: Any) -> str:
        """The route that a message takes, and takes well."""
        with await self.way(*mail, **more) as way:
            way.heard("accepted", Reply(250, None, "fine", Stage.DOT))
            return str(way.name)

    async def fails(self, name: str, reply: Reply = REFUSED) -> Next:
        with await self.way() as way:
            assert way.name == name
            told: Next = way.heard("deferred", reply)
            return told


async def test_the_first_that_matches_takes_it() -> None:
    world = World(
        None,
        Plan("codes", ONE, Match(classes=frozenset({"otp"}))),
        Plan("news", ONE, Match(streams=frozenset({"news"}), domains=frozenset({".example.net"}))),
        Plan("google", TWO, Match(providers=frozenset({"gmail"}))),
        Plan("exact", TWO, Match(domains=frozenset({"example.net"}))),
    )
    assert await world.name(class_="otp", stream="news") == "codes"
    assert await world.name("d", "a.b.example.net", stream="news") == "news"
    assert await world.name("d", "example.net", stream="news") == "exact"
    assert await world.name("d", "gmail.com") == "google"
    assert await world.name("d", "notexample.net") == DEFAULT


async def test_direct_mail_goes_to_the_domains_own_exchangers() -> None:
    world = World(None, Plan("direct"))
    assert [host.name for host in (await world.way()).route.hosts] == ["mx.example.net"]
    assert (await world.way("d", "gmail.com")).route.provider == "gmail"
    assert (await world.way("d", "nowhere.example")).enhanced == "5.1.2"


async def test_shares_are_drawn_by_delivery_and_stay() -> None:
    world = World(None, Plan("one", ONE, share=3), Plan("two", TWO, share=1))
    first = [await world.name(f"d{n}") for n in range(400)]
    assert [await world.name(f"d{n}") for n in range(400)] == first
    assert 270 <= first.count("one") <= 330


async def test_one_that_is_out_gives_its_mail_to_the_next_and_gets_it_back() -> None:
    world = World(None, Plan("one", ONE, bounds=PROBE), Plan("two", TWO))
    assert await world.fails("one") is Next.OTHER_ROUTE
    assert world.choice.out() == {"one": True, "two": False}
    assert await world.name() == "two"
    world.now += 30
    assert await world.name() == "one"
    assert world.choice.out()["one"] is False


async def test_within_an_attempt_the_next_one_is_tried_at_once() -> None:
    """The schedule is asked only where none is left that works, and none of them is out."""
    world = World(None, Plan("one", ONE), Plan("two", TWO))
    assert await world.fails("one") is Next.OTHER_ROUTE
    assert await world.name(passed={"one"}) == "two"
    assert await world.way(passed={"one", "two"}) is None


async def test_where_all_are_out_mail_waits_for_the_first_probe() -> None:
    world = World(None, Plan("one", ONE, bounds=PROBE), Plan("two", TWO, bounds=Bounds(1, 60, 20)))
    await world.fails("one")
    await world.fails("two")
    held = await world.way(passed={"one", "two"})
    assert isinstance(held, Held)
    assert held.until == world.now + 20
    assert "the route two is out: 535 5.7.8 bad credentials" in held.verdict.evidence


async def test_without_failover_mail_waits() -> None:
    world = World(None, Plan("one", ONE, failover=False, bounds=PROBE), Plan("two", TWO))
    await world.fails("one")
    assert isinstance(await world.way(), Held)


async def test_the_last_resort_is_a_host_that_the_operator_named() -> None:
    """Never direct MX, from an address that nobody prepared for it."""
    plan = Plan("one", ONE, bounds=PROBE)
    for defaults, resort in (
        ({"relay": TWO}, True),
        ({}, False),
    ):
        world = World(None, plan, **defaults)
        await world.fails("one")
        found = await world.way()
        assert isinstance(found, Chosen if resort else Held)


async def test_a_domain_with_a_host_of_its_own_keeps_it() -> None:
    world = World(None, Plan("one", ONE), static=frozenset({"example.net"}))
    assert await world.name() == DEFAULT
    assert await world.name("d", "example.org") == "one"


async def test_a_host_for_every_domain_goes_before_every_relay() -> None:
    """A staging file says `static_mx."*"`: nothing of it may reach a relay."""
    world = World(None, Plan("one", ONE), static=frozenset("*"))
    assert await world.name() == DEFAULT


async def test_a_relay_without_an_address_is_out_too() -> None:
    gone = Relay("gone.example", 587, name="one")
    world = World(None, Plan("one", gone, bounds=PROBE), Plan("two", TWO))
    assert await world.name() == "two"
    assert world.choice.out()["one"]


async def test_what_a_relay_says_of_a_message_says_nothing_of_the_relay() -> None:
    world = World(None, Plan("one", ONE, bounds=PROBE))
    for code, stage in ((550, Stage.RCPT), (421, Stage.MAIL), (None, Stage.DOT)):
        with await world.way() as way:
            result = "refused" if code == 550 else "deferred"
            assert way.heard(result, Reply(code, None, "no", stage)) is Next.NOWHERE
    assert not world.choice.out()["one"]


async def test_a_receiver_that_is_down_is_not_our_route() -> None:
    world = World(None, Plan("direct", bounds=PROBE))
    assert await world.fails("direct", LOST) is Next.NOWHERE
    assert not world.choice.out()["direct"]


async def test_a_lost_source_address_is_stood_in_for_at_once() -> None:
    pool = (Source("192.0.2.8", "a.example.com"), Source("192.0.2.9", "b.example.com"))
    world = World(None, Plan("direct", sources=pool))
    first = await world.way()
    assert (await world.way()).route.source_address == first.route.source_address
    world.lost.add(first.route.source_address)
    assert first.heard("deferred", LOST) is Next.SAME_ROUTE
    second = (await world.way()).route
    assert {first.route.source_address, second.source_address} == {"192.0.2.8", "192.0.2.9"}
    assert second.ehlo_name != first.route.ehlo_name


async def test_warming_up_spills_over_and_climbs(store: Store) -> None:
    """Three days of ten messages to each of two providers, by a ladder of 2 and 5."""
    ladder = Ladder((2, 5), MONDAY)
    world = World(
        store, Plan("new", sources=(Source("192.0.2.8"),), ladder=ladder), Plan("esp", ONE)
    )
    for day, limit in ((0, 2), (1, 5), (2, 10)):
        world.now = (MONDAY + day) * DAY + 60
        for domain in ("gmail.com", "example.net"):
            took = [await world.name(f"{day} {n}", domain) for n in range(10)]
            assert took == ["new"] * limit + ["esp"] * (10 - limit)


async def test_only_what_was_accepted_counts_as_sent(store: Store) -> None:
    world = World(store, Plan("new", ladder=Ladder((1,), MONDAY)))
    for _ in range(5):
        with await world.way() as way:
            way.heard("deferred", Reply(451, "4.7.1", "greylisted", Stage.RCPT))
    assert await world.name() == "new"
    held = await world.way()
    assert isinstance(held, Held)
    assert held.until == (MONDAY + 1) * DAY
    assert "1 messages a day is what route new sends to other" in held.verdict.evidence


async def test_before_its_first_day_a_ladder_lets_nothing_through(store: Store) -> None:
    world = World(store, Plan("new", ladder=Ladder((1,), MONDAY + 1)), Plan("esp", ONE))
    assert await world.name() == "esp"

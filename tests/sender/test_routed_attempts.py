"""Attempts along chosen routes, over real SMTP: one try whichever way it went in the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from analysis.lifecycle import Fact
from analysis.store import Store
from sender.connections import Connections
from sender.mx import MailExchange
from sender.record import Record
from sender.route_choice import Plan, RouteChoice
from sender.route_health import Bounds
from sender.routes import Relay, Routes
from sender.smtp import TlsMode
from sender.sources import Source, Sources
from sender.warmup import DAY, Ladder, Warmup
from tests.peers.scripted_mx import Drop, Say, ScriptedMX
from tests.sender.posting import attempts, connections
from tests.storing import claimed, submission, submitted

pytestmark = pytest.mark.anyio

MONDAY = 20_000
REFUSED = {"auth": Say("535 5.7.8 bad credentials")}
AUTH = ("AUTH PLAIN",)


class Post:
    """Mail to example.net, whose exchanger is `mx`, on a day that the test sets."""

    def __init__(self, store: Store, wires: Connections, mx: ScriptedMX | None, *plans: Plan):
        self.now = MONDAY * DAY + 60
        static = {} if mx is None else {"example.net": f"127.0.0.1:{mx.port}"}
        exchange = MailExchange(None, random=lambda: 0.5, static=static)  # type: ignore[arg-type]
        self.store = store
        self.choice = RouteChoice(
            plans,
            Routes(exchange, static=frozenset()),
            Sources(clock=self.clock),
            Warmup(store, self.clock),
            self.clock,
        )
        parts = {"clock": self.clock, "choice": self.choice}
        self._attempts = attempts(store, self.choice.routes, wires, **parts)

    def clock(self) -> float:
        return self.now

    async def send(self, count: int = 1, class_: str = "transactional") -> list[Record]:
        """What came of the first try of each of so many messages."""
        letters = [submission("ann@example.net", at=self.now, class_=class_) for _ in range(count)]
        await submitted(self.store, *letters, now=self.now)
        claims = await claimed(self.store, self.now, limit=count)
        return [await self._attempts.attempt(claim) for claim in claims]

    async def facts(self, count: int = 1) -> list[Fact]:
        return [record.fact for record in await self.send(count)]


@asynccontextmanager
async def wires() -> AsyncIterator[Connections]:
    async with connections(messages=1) as made:
        yield made


def by(mx: ScriptedMX, name: str, **more: object) -> Plan:
    there = Relay("127.0.0.1", mx.port, TlsMode.NONE, username=name, password="x", name=name)
    return Plan(name, there, **more)  # type: ignore[arg-type]


async def test_a_relay_that_fails_is_stood_in_for_within_the_attempt(store: Store) -> None:
    async with (
        ScriptedMX(REFUSED, extensions=AUTH) as one,
        ScriptedMX(extensions=AUTH) as two,
        wires() as out,
    ):
        post = Post(store, out, None, by(one, "one"), by(two, "two"))
        assert await post.facts(5) == [Fact.ACCEPTED] * 5
        assert one.connections == 3, "then it is out, and asked no more"
        assert post.choice.out() == {"one": True, "two": False}
        one.play({})
        post.now += 30
        assert await post.facts(2) == [Fact.ACCEPTED] * 2
        assert len(one.received) == 2


async def test_a_sign_in_refused_is_never_a_bounce_and_soon_no_attempt(store: Store) -> None:
    async with ScriptedMX(REFUSED, extensions=AUTH) as one, wires() as out:
        post = Post(store, out, None, by(one, "one"))
        came = await post.send(5)
        facts = [record.fact for record in came]
        assert facts == [Fact.PUT_OFF] * 2 + [Fact.HELD_BACK] * 3
        assert not any(record.verdict.suppress for record in came)
        assert came[-1].verdict.rule == "routes/out"
        assert came[-1].next_at == post.now + Bounds().first


async def test_what_is_lost_after_the_dot_is_not_sent_again_by_another_route(
    store: Store,
) -> None:
    async with (
        ScriptedMX({"dot": Drop()}, extensions=AUTH) as one,
        ScriptedMX(extensions=AUTH) as two,
        wires() as out,
    ):
        [record] = await Post(store, out, None, by(one, "one"), by(two, "two")).send()
        assert (record.fact, record.result) == (Fact.PUT_OFF, "in_doubt")
        assert two.connections == 0


async def test_a_simulated_week_of_warming_up(store: Store) -> None:
    """The new address takes its step of the day, the relay what spills over."""
    ladder = Ladder((1, 2, 4), MONDAY)
    async with ScriptedMX() as mx, ScriptedMX(extensions=AUTH) as esp, wires() as out:
        new = Plan("new", sources=(Source("127.0.0.2", "new.example.com"),), ladder=ladder)
        post = Post(store, out, mx, new, by(esp, "esp"))
        for limit in (1, 2, 4, 5, 5):
            mx.received.clear()
            esp.received.clear()
            assert await post.facts(5) == [Fact.ACCEPTED] * 5
            assert (len(mx.received), len(esp.received)) == (limit, 5 - limit)
            post.now += DAY
        assert set(mx.sources) == {"127.0.0.2"}
        assert {line for line in mx.commands if line[:4] == "EHLO"} == {"EHLO new.example.com"}

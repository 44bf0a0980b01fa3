"""Receivers that want less, hang or die, over real SMTP: nobody else waits, and no try is burnt."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from analysis.lifecycle import Fact
from analysis.reply import Reply
from analysis.retry import parse
from analysis.schema import attempts as attempts_table
from analysis.schema import deliveries
from analysis.store import Store
from sender.allowances import Allowance, Allowances
from sender.pacing import Pacing
from sender.smtp import Host, Route
from tests.peers.scripted_mx import Act, Go, Say, ScriptedMX, Stall
from tests.sender.posting import attempts, connections
from tests.sender.test_worker import due, states, working
from tests.storing import kinds_of_events, rows, until

pytestmark = pytest.mark.anyio


class Busy(ScriptedMX):
    """Takes mail on `most` connections at once, and cuts off any further one."""

    most = 1_000_000
    cut = 0

    def act(self, stage: str) -> Act:
        if stage == "banner" and self.open > self.most:
            self.cut += 1
            return Say("421 4.7.0 too many connections from you", drop=True)
        return super().act(stage)


class Asking(ScriptedMX):
    """Asks everybody to come back in five minutes, until it is `free`."""

    free = False

    def act(self, stage: str) -> Act:
        if stage == "rcpt" and not self.free:
            return Say("421 4.7.0 too many messages, try again in 300 seconds", drop=True)
        return Go()


@dataclass
class ByDomain:
    """Each domain's mail goes to a host of its own; the rest to `*`."""

    hosts: Mapping[str, ScriptedMX]

    async def route(self, domain: str, *, require_tls: bool = False) -> Route | Reply:
        mx = self.hosts.get(domain) or self.hosts["*"]
        return Route(f"site {mx.port}", (Host("mx.example.net", mx.address, mx.port),))


def paced(store: Store, mx: Mapping[str, ScriptedMX], wires: Any, **other: Any) -> dict[str, Any]:
    """What a worker is made of, with pacing in both of its places."""
    clock = other.pop("clock", time.time)
    allowances = Allowances(other.pop("allowance", Allowance(10)))
    pacing = Pacing(allowances, clock=clock, chance=lambda: 0.1)
    made = attempts(store, ByDomain(mx), wires, clock=clock, pacing=pacing, **other)
    return {"made": made, "pacing": pacing, "clock": clock}


async def test_a_host_with_few_connections_gets_no_more_than_it_takes(store: Store) -> None:
    await due(store, *(f"u{n}@example.net" for n in range(120)))
    soon = (parse("0.05s*50"),) * 3
    async with Busy() as mx, connections(per_site=10) as wires:
        mx.most = 3
        parts = paced(store, {"*": mx}, wires, schedules=soon)
        async with working(store, **parts) as (_, heard):
            while Counter(r.fact for r in heard.records)[Fact.ACCEPTED] < 120:
                await heard.reaches(len(heard.records) + 1)
        assert len({m.rcpts[0] for m in mx.received}) == len(mx.received) == 120
        assert mx.cut < 40


async def test_a_suspended_site_burns_no_retries_and_is_taken_up_when_it_said(
    store: Store,
) -> None:
    now, ahead = time.time(), [0.0]
    await due(store, *(f"u{n}@example.net" for n in range(40)), at=now)
    async with Asking() as mx, connections() as wires:
        parts = paced(store, {"*": mx}, wires, clock=lambda: now + 1 + ahead[0])
        async with working(store, **parts, per_domain=20) as (_, heard):
            await heard.reaches(20)
            talked = sum(r.fact is Fact.PUT_OFF for r in heard.records)
            assert 1 <= talked <= 10
            # the other 20 never had a place: nobody claims for a suspended site
            await due(store, "later@example.net", at=now)

            async def put_off() -> list[dict[str, Any]]:
                found = await rows(store, deliveries, deliveries.c.next_at >= now + 300)
                return found if len(found) == 41 else []

            await until(put_off)
            waiting = await put_off()
            assert Counter(row["attempts"] for row in waiting) == {1: talked, 0: 41 - talked}
            tried = [r["result"] for r in await rows(store, attempts_table)]
            assert Counter(tried) == {"deferred": talked, "held": 20 - talked}
            words = {row["reply"] for row in waiting if not row["attempts"]}
            assert all(text.startswith("held back: site") and "421" in text for text in words)
            assert await kinds_of_events(store) == ["deferred"] * talked
            mx.free = True
            ahead[0] = 400.0
            while Counter(r.fact for r in heard.records)[Fact.ACCEPTED] < 41:
                await heard.reaches(len(heard.records) + 1)
    assert await states(store) == {"delivered": 41}
    assert max(row["attempts"] for row in await rows(store, deliveries)) == 2


async def test_a_deadline_ends_what_is_held_back(store: Store) -> None:
    now, ahead = time.time(), [0.0]
    await due(store, *(f"u{n}@example.net" for n in range(5)), at=now, deadline=now + 200)
    async with Asking() as mx, connections() as wires:
        parts = paced(store, {"*": mx}, wires, clock=lambda: now + 1 + ahead[0])
        async with working(store, **parts) as (_, heard):
            await heard.reaches(5)
            ahead[0] = 250.0

            async def ended() -> bool:
                return await states(store) == {"expired": 5}

            await until(ended)
    assert len(heard.late) + sum(r.fact is Fact.SPENT for r in heard.records) == 5


async def test_one_stalled_domain_of_twenty_does_not_hold_up_the_others(store: Store) -> None:
    for number in range(20):
        to = (f"u{n}@d{number}.example" for n in range(15))
        await due(store, *to, at=time.time() - 20 + number)  # the stalled one comes first
    async with (
        ScriptedMX({"banner": Stall()}) as stalled,
        ScriptedMX() as quick,
        connections() as wires,
    ):
        parts = paced(store, {"d0.example": stalled, "*": quick}, wires, allowance=Allowance(5))
        bounds = {"concurrency": 30, "per_domain": 10, "grace": 0.1}
        async with working(store, **parts, **bounds) as (_, heard):
            await heard.reaches(19 * 15)
        assert {r.claim.domain for r in heard.records} == {f"d{n}.example" for n in range(1, 20)}


async def test_a_thousand_domains_behind_one_stalled_host_leave_places_for_others(
    store: Store,
) -> None:
    now = time.time()
    await due(store, *(f"u@d{number}.example" for number in range(200)), at=now - 10)
    await due(store, *(f"u{number}@quick.example" for number in range(50)), at=now - 5)
    async with (
        ScriptedMX({"banner": Stall()}) as stalled,
        ScriptedMX() as quick,
        connections() as wires,
    ):
        parts = paced(store, {"quick.example": quick, "*": stalled}, wires, allowance=Allowance(5))
        bounds = {"concurrency": 30, "per_domain": 10, "grace": 0.1}
        async with working(store, **parts, **bounds) as (_, heard):
            await quick.until(lambda: len(quick.received) == 50)
            assert stalled.open <= 5
    held = [r for r in heard.records if r.fact is Fact.HELD_BACK]
    assert all(r.verdict.rule == "pacing/full" for r in held)


async def test_a_dead_host_is_left_alone_after_a_while(store: Store) -> None:
    """Silence three times in a row: the fourth message does not wait for a connection."""
    now = time.time()
    async with ScriptedMX() as mx:
        pass  # its port is free again: nobody answers
    async with connections() as wires:
        parts = paced(store, {"*": mx}, wires, allowance=Allowance(1))
        await due(store, *(f"u{n}@example.net" for n in range(8)), at=now)
        async with working(store, **parts):

            async def left_alone() -> bool:
                of_silence = deliveries.c.rule == "pacing/unreachable"
                return len(await rows(store, deliveries, of_silence)) == 5

            await until(left_alone)
    waiting = await rows(store, deliveries)
    assert Counter(row["attempts"] for row in waiting) == {1: 3, 0: 5}
    assert sum("does not answer" in row["reply"] for row in waiting) == 5

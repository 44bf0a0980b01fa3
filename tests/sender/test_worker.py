"""The sender's loop: everything due goes out, within the bounds, whatever fails on the way."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import structlog
from sqlalchemy import select

from analysis.lifecycle import Fact
from analysis.reply import Reply, Stage
from analysis.schema import attempts as attempts_table
from analysis.schema import deliveries
from analysis.store import Store, StoreUnavailable, open_store
from sender import unsent
from sender.delivery import SHORTLY
from sender.pacing import Pacing
from sender.queue import Claim, Prepared
from sender.record import Record
from sender.recorder import UNRECORDED
from sender.smtp import Envelope, Host, Outcome, Result, Route
from sender.unsent import Expired
from sender.worker import Pace, Worker
from tests.peers.scripted_mx import Say, ScriptedMX, Stall
from tests.sender.posting import OneWay, attempts, connections, way_to
from tests.storing import (
    LIMITS,
    Unsteady,
    claimed,
    kinds_of_events,
    rows,
    sent_to,
    until,
)

pytestmark = pytest.mark.anyio

SOMEWHERE = OneWay(Host("mx.example.net", "192.0.2.1"))
TAKEN = Outcome(Result.ACCEPTED, Reply(250, "2.0.0", "taken", Stage.DOT), "mx", "192.0.2.1")


class Heard:
    """An observer whose count of records can be waited for."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.late: list[Expired] = []

    def attempted(self, record: Record) -> None:
        self.records.append(record)

    def expired(self, delivery: Expired) -> None:
        self.late.append(delivery)

    async def reaches(self, count: int) -> list[Record]:
        async def enough() -> bool:
            return len(self.records) >= count

        await until(enough)
        return self.records


class Gate:
    """A wire that takes everything, while it is open; counts who is on it."""

    def __init__(self, *, open_: bool = True) -> None:
        self.open = asyncio.Event()
        if open_:
            self.open.set()
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.most_at_once = 0
        self.came = 0

    async def deliver(self, route: Route, envelope: Envelope) -> Outcome:
        domain = envelope.rcpt.partition("@")[2]
        self.came += 1
        self.now[domain] += 1
        self.most[domain] = max(self.most[domain], self.now[domain])
        self.most_at_once = max(self.most_at_once, self.now.total())
        await asyncio.sleep(0)
        if not domain.startswith("quick"):
            await self.open.wait()
        self.now[domain] -= 1
        return TAKEN

    async def reaches(self, count: int) -> None:
        async def enough() -> bool:
            return self.came >= count

        await until(enough)


@asynccontextmanager
async def working(
    store: Any,
    made: Any,
    *,
    node: str = "here",
    clock: Any = time.time,
    pacing: Pacing | None = None,
    **pace: Any,
) -> AsyncIterator[tuple[Worker, Heard]]:
    """A worker that runs for the length of the block, and must stop within seconds."""
    heard, stop = Heard(), asyncio.Event()
    worker = Worker(
        store,
        made,
        node=node,
        gone=lambda name: name in ("died", "here"),
        pace=Pace(**({"poll": 0.05, "housekeeping": 0.05} | pace)),
        limits=LIMITS,
        clock=clock,
        observer=heard,
        pacing=pacing,
    )
    task = asyncio.create_task(worker.serve(stop))
    try:
        yield worker, heard
    finally:
        stop.set()
        async with asyncio.timeout(60):
            await task


async def due(store: Store, *to: str, **other: Any) -> list[str]:
    return await sent_to(store, *to, **({"at": time.time()} | other))


async def states(store: Store) -> Counter[str]:
    return Counter(row["state"] for row in await rows(store, deliveries))


async def test_everything_due_is_delivered_over_real_smtp(store: Store) -> None:
    ids = await due(store, *(f"u{n}@example.net" for n in range(25)))
    async with ScriptedMX() as mx, connections() as wires:
        async with working(store, attempts(store, way_to(mx), wires)) as (_, heard):
            records = await heard.reaches(25)
        assert sorted(r.claim.delivery_id for r in records) == sorted(ids)
        assert Counter(len(m.rcpts) for m in mx.received) == {1: 25}
        assert len({m.mail_from for m in mx.received}) == 25
    assert await states(store) == {"delivered": 25}
    assert await kinds_of_events(store) == ["delivered"] * 25


async def test_a_hint_is_followed_at_once_and_not_at_the_next_poll(store: Store) -> None:
    async with working(store, attempts(store, SOMEWHERE, Gate()), poll=60.0) as (worker, heard):
        for number in range(1, 4):
            await due(store)
            worker.wake()
            await heard.reaches(number)
        worker.wake()  # the loop looks up and sees that it shall stop


async def test_without_any_hint_the_poll_finds_what_is_due(store: Store) -> None:
    async with working(store, attempts(store, SOMEWHERE, Gate())) as (_, heard):
        await due(store)
        await heard.reaches(1)


async def test_a_4xx_puts_off_and_the_next_try_delivers(store: Store) -> None:
    await due(store)
    script = {"rcpt": [Say("451 4.7.1 greylisted"), Say("451 4.7.1 greylisted")]}
    now = time.time()
    async with ScriptedMX(script) as mx, connections() as wires:
        ahead = [0.0]
        clock = lambda: now + ahead[0]  # noqa: E731
        made = attempts(store, way_to(mx), wires, clock=clock)
        async with working(store, made, clock=clock) as (_, heard):
            for number in range(1, 4):
                await heard.reaches(number)
                ahead[0] += 30.0
        assert len({command for command in mx.commands if command.startswith("MAIL")}) == 1
    assert [r.fact for r in heard.records] == [Fact.PUT_OFF, Fact.PUT_OFF, Fact.ACCEPTED]
    assert [r["result"] for r in await rows(store, attempts_table)] == [
        "deferred",
        "deferred",
        "accepted",
    ]


class Faulty:
    async def deliver(self, route: Route, envelope: Envelope) -> Outcome:
        if envelope.rcpt.startswith("bad"):
            raise RuntimeError("our own mistake")
        return TAKEN


async def test_our_own_fault_is_logged_and_puts_off_only_its_own_delivery(store: Store) -> None:
    await due(store, "bad@example.net", "good@example.net")
    with structlog.testing.capture_logs() as logs:
        async with working(store, attempts(store, SOMEWHERE, Faulty())) as (_, heard):
            await heard.reaches(2)
    assert await states(store) == {"queued": 1, "delivered": 1}
    [line] = [line for line in logs if line["log_level"] == "error"]
    assert line["exc_info"]
    assert "@" not in line["event"]


async def test_a_database_that_is_away_while_preparing_uses_up_no_step_of_the_schedule(
    store: Store,
) -> None:
    await due(store)
    made, ahead, now = attempts(store, SOMEWHERE, Gate()), [0.0], time.time()
    clock = lambda: now + ahead[0]  # noqa: E731
    prepared, away = made.prepare, iter([True, False])

    async def prepare(claim: Claim) -> Prepared:
        if next(away):
            raise StoreUnavailable("gone for a moment")
        return await prepared(claim)

    made = replace(made, prepare=prepare, clock=clock)
    async with working(store, made, clock=clock) as (_, heard):
        await heard.reaches(1)
        [row] = await rows(store, deliveries)
        assert (row["state"], row["attempts"]) == ("queued", 0)
        assert row["reply"] == "held back: our database could not be read for a moment"
        ahead[0] += SHORTLY
        await heard.reaches(2)
    [row] = await rows(store, deliveries)
    assert (row["state"], row["attempts"]) == ("delivered", 1)
    assert [r["result"] for r in await rows(store, attempts_table)] == ["held", "accepted"]


class Choosy:
    """A store that takes nothing with certain words in it, for a reason nobody thought of."""

    def __init__(self, store: Store, *bad: str) -> None:
        self._store, self._bad, self.url = store, bad, store.url

    async def write(self, work: Any) -> Any:
        def choosy(tx: Any) -> Any:
            found = work(tx)
            said = tx.execute(select(attempts_table.c.reply)).scalars().all()
            if any(bad in (reply or "") for reply in said for bad in self._bad):
                raise RuntimeError("cannot be written")
            return found

        return await self._store.write(choosy)

    async def read(self, work: Any) -> Any:
        return await self._store.read(work)

    async def close(self) -> None: ...


async def test_an_answer_that_cannot_be_stored_is_recorded_without_its_words(store: Store) -> None:
    await due(store, "a@example.net", "b@example.net")
    with structlog.testing.capture_logs() as logs:
        async with working(Choosy(store, "taken"), attempts(store, SOMEWHERE, Gate())) as (
            _,
            heard,
        ):
            await heard.reaches(2)
    found = await rows(store, attempts_table)
    assert [(r["result"], r["code"], r["reply"]) for r in found] == [
        ("accepted", 250, "the answer could not be stored")
    ] * 2
    assert await states(store) == {"delivered": 2}
    assert len([line for line in logs if line["log_level"] == "error"]) == 2


async def test_a_claim_whose_end_cannot_be_written_at_all_is_given_back(store: Store) -> None:
    await due(store)
    choosy = Choosy(store, "taken", "could not be stored")
    async with working(choosy, attempts(store, SOMEWHERE, Gate())):

        async def given_back() -> bool:
            return [r["result"] for r in await rows(store, attempts_table)] == ["lost"]

        await until(given_back)
    [row] = await rows(store, deliveries)
    assert row["state"] == "queued"
    assert row["next_at"] > time.time() + UNRECORDED


async def test_a_250_is_not_forgotten_while_the_database_is_away(store: Store) -> None:
    unsteady = Unsteady(store)

    class Unlucky(Gate):
        async def deliver(self, route: Route, envelope: Envelope) -> Outcome:
            unsteady.failing = 3  # it goes away while the message is on the wire
            return await super().deliver(route, envelope)

    await due(store)
    gate = Unlucky()
    async with working(unsteady, attempts(store, SOMEWHERE, gate)) as (_, heard):
        await heard.reaches(1)
    assert (gate.came, await states(store)) == (1, {"delivered": 1})


async def test_a_database_that_is_away_for_a_moment_stops_nothing(store: Store) -> None:
    unsteady = Unsteady(store)
    async with working(unsteady, attempts(store, SOMEWHERE, Gate())) as (_, heard):
        await due(store)
        await heard.reaches(1)
        unsteady.failing = 5
        await due(store)
        await heard.reaches(2)


async def test_no_more_are_under_way_than_there_are_places(store: Store) -> None:
    gate = Gate(open_=False)
    await due(store, *(f"u{n}@d{n % 7}.example" for n in range(50)))
    async with working(store, attempts(store, SOMEWHERE, gate), concurrency=8) as (_, heard):
        await gate.reaches(8)
        assert await states(store) == {"sending": 8, "queued": 42}
        gate.open.set()
        await heard.reaches(50)
    assert gate.most_at_once == 8


async def test_a_slow_domain_takes_only_its_own_places(store: Store) -> None:
    gate = Gate(open_=False)
    await due(store, *(f"u{n}@slow.example" for n in range(50)))
    await due(store, *(f"u{n}@quick.example" for n in range(20)), at=time.time() + 0.01)
    pace = {"concurrency": 10, "per_domain": 4}
    async with working(store, attempts(store, SOMEWHERE, gate), **pace) as (_, heard):
        await heard.reaches(20)
        assert gate.most["slow.example"] == 4
        gate.open.set()
        await heard.reaches(70)
    assert gate.most["slow.example"] == 4


async def test_an_urgent_message_passes_a_queue_of_others(store: Store) -> None:
    gate = Gate()
    await due(store, *(f"u{n}@example.net" for n in range(50)), class_="bulk")
    await due(store, "code@example.net", class_="otp")
    async with working(store, attempts(store, SOMEWHERE, gate), claim_most=5) as (_, heard):
        records = await heard.reaches(51)
    place = [r.claim.recipient for r in records].index("code@example.net")
    assert place < 5


async def test_what_is_under_way_may_finish_when_the_loop_stops(store: Store) -> None:
    gate = Gate(open_=False)
    await due(store, "a@example.net")
    async with working(store, attempts(store, SOMEWHERE, gate)):
        await gate.reaches(1)
        asyncio.get_running_loop().call_later(0.1, gate.open.set)
    assert await states(store) == {"delivered": 1}


async def test_what_does_not_finish_within_the_grace_is_taken_up_after_a_restart(
    store: Store,
) -> None:
    await due(store)
    async with (
        ScriptedMX({"rcpt": Stall()}) as mx,
        connections() as wires,
        working(store, attempts(store, way_to(mx), wires), grace=0.1),
    ):
        await mx.until(lambda: any(c.startswith("RCPT") for c in mx.commands))
    assert await states(store) == {"queued": 1}
    async with working(store, attempts(store, SOMEWHERE, Gate())) as (_, heard):
        [record] = await heard.reaches(1)
    assert record.claim.epoch == 2
    assert [r["result"] for r in await rows(store, attempts_table)] == ["lost", "accepted"]


async def test_leases_are_kept_while_work_is_under_way(store: Store) -> None:
    gate, ahead, now = Gate(open_=False), [0.0], time.time()
    clock = lambda: now + ahead[0]  # noqa: E731
    await due(store, at=now - 1)
    made = attempts(store, SOMEWHERE, gate, clock=clock)

    async def lease_is(until_: float) -> bool:
        [row] = await rows(store, deliveries)
        return bool(row["lease_until"] == until_)

    async with working(store, made, clock=clock, lease=60.0) as (_, heard):
        await gate.reaches(1)
        for ahead[0] in (50.0, 100.0, 150.0):
            await until(lambda: lease_is(now + ahead[0] + 60.0))
        gate.open.set()
        await heard.reaches(1)
    assert await states(store) == {"delivered": 1}


async def test_housekeeping_ends_what_is_late_and_frees_what_a_dead_node_held(
    store: Store,
) -> None:
    now = time.time()
    await due(store, at=now - 500)
    await claimed(store, now - 400, node="dead")
    await due(store, "late@example.net", at=now - 100, deadline=now - 1)
    async with working(store, attempts(store, SOMEWHERE, Gate())) as (_, heard):
        await heard.reaches(1)

        async def both() -> bool:
            return await states(store) == {"delivered": 1, "expired": 1}

        await until(both)
    assert [late.stream for late in heard.late] == ["default"]


async def test_a_start_takes_back_at_once_what_a_dead_process_of_its_machine_held(
    store: Store,
) -> None:
    now = time.time()
    await due(store, at=now - 5)
    await claimed(store, now, node="died")
    await due(store, "other@example.net", at=now - 5)
    await claimed(store, now, node="alive elsewhere")
    async with working(store, attempts(store, SOMEWHERE, Gate())) as (_, heard):
        await heard.reaches(1)
    assert await states(store) == {"delivered": 1, "sending": 1}


async def test_two_processes_share_the_work_and_send_nothing_twice(
    store: Store, migrated_url: str
) -> None:
    await due(store, *(f"u{n}@d{n % 5}.example" for n in range(120)))
    other = open_store(migrated_url)
    gate = Gate()
    pace = {"concurrency": 10, "claim_most": 5}
    async with (
        working(store, attempts(store, SOMEWHERE, gate), node="a", **pace) as (_, a),
        working(other, attempts(other, SOMEWHERE, gate), node="b", **pace) as (_, b),
    ):

        async def all_there() -> bool:
            return len(a.records) + len(b.records) >= 120

        await until(all_there)
    await other.close()
    assert gate.came == 120
    assert await states(store) == {"delivered": 120}


async def test_what_was_cancelled_is_not_sent(store: Store) -> None:
    await due(store, send_at=time.time() + 3600)
    [row] = await rows(store, deliveries)
    await store.write(lambda tx: unsent.cancel(tx, row["message_id"], now=time.time()))
    async with working(store, attempts(store, SOMEWHERE, Gate())) as (_, heard):
        await due(store, "other@example.net")
        [record] = await heard.reaches(1)
    assert record.claim.recipient == "other@example.net"

"""R15: the life of deliveries under a drawn fate: crashes, stale nodes, late and doubled reports.

Every step is a transaction of the real code on SQLite in memory, by a clock and a network of the
simulation.  A step may be lost whole (the process died before its COMMIT), or committed and its
answer lost (it died after); what a process knew dies with it.  One seed, one fate.

It covers submission, the queue, records, leases, cancelling, deadlines, the inbox and the ledger.
It does not cover sockets, threads and two transactions at the same instant: other tests do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

import pytest
from sqlalchemy import Connection, create_engine, func, select
from sqlalchemy.pool import StaticPool

from analysis import ledger, migrate
from analysis.facts import Arrival, Kind, Reading, ReportedRecipient
from analysis.lifecycle import Fact
from analysis.schema import attempts, deliveries, raw_inbound, reports, suppressions
from analysis.verdict import UNKNOWN, Verdict
from ingest import inbox
from ingest.inbox import Raw
from sender import leases, queue, unsent
from sender.queue import Claim
from sender.record import Record, record
from sender.submit import submit
from tests.amounts import Amount
from tests.faults.books import balanced
from tests.storing import (
    BLOCKED,
    BOX_FULL,
    LIMITS,
    NO_SUCH_USER,
    NOW,
    came_of,
    ids,
    marked,
    submission,
)

T = TypeVar("T")

LEASE = 60.0
NODES = ("one", "two")
FATES = ("before", "after", "never", "never", "never", "never", "never", "never")
"""When the process of a step dies: before its COMMIT, after it, or not at all."""
_BLAMES_US: tuple[Verdict, ...] = (BLOCKED, UNKNOWN)


class Died(Exception):
    """The process that ran a step is no more."""


@dataclass(slots=True)
class World:
    """What is true outside of the database: promises, copies on the wire, who holds what."""

    tx: Connection
    chance: Random
    now: float = NOW
    promised: set[str] = field(default_factory=set)
    held: dict[str, list[Claim]] = field(default_factory=lambda: {name: [] for name in NODES})
    talked: dict[str, list[Record]] = field(default_factory=lambda: {name: [] for name in NODES})
    taken: Counter[str] = field(default_factory=Counter)  # copies that the host accepted
    dead_mailboxes: set[str] = field(default_factory=set)  # of which the world has said so
    complained: set[str] = field(default_factory=set)
    written: Counter[str] = field(default_factory=Counter)
    deaths: int = 0
    new_id: Callable[[], str] = field(default_factory=ids)

    def commit(self, work: Callable[[Connection], T]) -> T:
        """The work in a transaction of its own, as far as fate lets it come."""
        fate = self.chance.choice(FATES)
        step = self.tx.begin_nested()
        result = work(self.tx)
        if fate == "before":
            step.rollback()
            self.deaths += 1
            raise Died
        step.commit()
        if fate == "after":
            self.deaths += 1
            raise Died
        return result


def live(world: World, node: str) -> None:
    """One step of one node; its death loses all that it knew."""
    try:
        world.chance.choice(STEPS)(world, node)
    except Died:
        world.held[node].clear()
        world.talked[node].clear()


def submits(world: World, node: str) -> None:
    person = world.chance.choice("abcdef")
    one = submission(f"{person}@example.net", at=world.now, **_key(world))
    try:
        [receipt] = world.commit(lambda tx: submit(tx, [one], world.now))
    except Died:
        return  # no answer: its client may come again, with the same key or with none
    world.promised.update(d["id"] for d in receipt.answer.get("deliveries", ()))


def _key(world: World) -> dict[str, object]:
    if world.chance.random() < 0.7:
        return {}
    key = f"key-{world.chance.randrange(3)}"
    return {"idempotency": marked(key, world.chance.choice(("one body", "one body", "another")))}


def claims(world: World, node: str) -> None:
    limit = world.chance.randrange(1, 5)
    world.held[node] += world.commit(
        lambda tx: queue.claim(tx, node=node, now=world.now, lease=LEASE, limit=limit)
    )


def talks(world: World, node: str) -> None:
    """The host answers, or falls silent after the dot; whatever it took it has."""
    while world.held[node]:
        claim = world.held[node].pop()
        [ready] = queue.prepare(world.tx, [claim], world.now)
        if ready.withheld is not None:
            world.talked[node].append(_came_of(world, claim, Fact.WITHHELD))
            continue
        answer = world.chance.choice(("taken", "taken", "silent", "later", "gone", "blocked"))
        world.taken[claim.delivery_id] += answer in ("taken", "silent")
        if answer == "gone":
            world.dead_mailboxes.add(claim.recipient)
        world.talked[node].append(_came_of(world, claim, *_ANSWERS[answer]))


_ANSWERS: dict[str, tuple[Fact, Verdict]] = {
    "taken": (Fact.ACCEPTED, UNKNOWN),
    "silent": (Fact.PUT_OFF, UNKNOWN),
    "later": (Fact.PUT_OFF, BOX_FULL),
    "gone": (Fact.REFUSED, NO_SUCH_USER),
    "blocked": (Fact.REFUSED, BLOCKED),
}


def _came_of(world: World, claim: Claim, fact: Fact, verdict: Verdict = UNKNOWN) -> Record:
    return came_of(claim, fact, at=world.now, verdict=verdict)


def records(world: World, node: str) -> None:
    done = world.talked[node]
    kept = world.commit(lambda tx: record(tx, done, now=world.now, limits=LIMITS))
    world.written.update(r.fact.value for r, ours in zip(done, kept, strict=True) if ours)
    done.clear()


def keeps_house(world: World, node: str) -> None:
    def work(tx: Connection) -> None:
        mine = [(c.delivery_id, c.epoch) for c in world.held[node]]
        leases.renew(tx, held=mine, until=world.now + LEASE)
        leases.reclaim(tx, now=world.now)
        unsent.expire(tx, now=world.now)

    world.commit(work)


def time_passes(world: World, node: str) -> None:
    """Also more than a lease, so that a slow node finds its work taken."""
    world.now += world.chance.choice((1.0, 20.0, 61.0, 300.0, 20_000.0))


def calls_back(world: World, node: str) -> None:
    known = world.tx.execute(select(deliveries.c.message_id).limit(50)).scalars().all()
    if known:
        message = world.chance.choice(known)
        world.commit(lambda tx: unsent.cancel(tx, message, now=world.now))


def reports_come(world: World, node: str) -> None:
    """About something that the host has seen, true or not; the same one may come again."""
    seen = sorted(world.taken)
    if not seen:
        return
    about = world.chance.choice(seen)
    arrived = Raw(
        world.new_id(), world.now, "192.0.2.7", "mx", "", "b", "bounce", about, b"Subject: x\r\n"
    )
    world.commit(lambda tx: inbox.keep(tx, [arrived]))


def reads(world: World, node: str) -> None:
    raws = world.commit(lambda tx: inbox.claim(tx, node=node, now=world.now, lease=LEASE, limit=5))
    arrivals = [
        Arrival(raw.id, raw.received_at, raw.purpose, raw.subject_id, _read(world, raw))
        for raw in raws
    ]
    world.commit(
        lambda tx: ledger.enter_all(tx, arrivals, now=world.now, limits=LIMITS, new_id=world.new_id)
    )


def _read(world: World, raw: Raw) -> Reading:
    """What this mail says: by its id, so that a second reader reads the same."""
    kind = Random(raw.id).choice(("dead", "full", "blocked", "complaint", "delayed"))
    about = _address(world, raw.subject_id or "")
    match kind:
        case "complaint":
            world.complained.add(about)
            return Reading(Kind.COMPLAINT, feedback_type="abuse")
        case "dead":
            world.dead_mailboxes.add(about)
            return Reading(Kind.BOUNCE, (ReportedRecipient(about, verdict=NO_SUCH_USER),))
        case "full":
            return Reading(Kind.BOUNCE, (ReportedRecipient(about, verdict=BOX_FULL),))
        case "blocked":
            return Reading(Kind.BOUNCE, (ReportedRecipient(about, verdict=BLOCKED),))
        case _:
            return Reading(Kind.DELAYED, (ReportedRecipient(about, "delayed", verdict=UNKNOWN),))


def _address(world: World, delivery_id: str) -> str:
    of = select(deliveries.c.recipient).where(deliveries.c.id == delivery_id)
    return str(world.tx.execute(of).scalar_one())


STEPS: tuple[Callable[[World, str], None], ...] = (
    *(submits, submits, claims, claims, claims, talks, talks, records, records),
    *(keeps_house, time_passes, calls_back, reports_come, reports_come, reads, reads),
)


def hold_true(world: World) -> None:
    """The invariants, after any step."""
    tx = world.tx
    balanced(tx, world.promised, settled=False)
    # one attempt is open for each delivery that is held, and none for any other
    held = set(tx.execute(select(deliveries.c.id).where(deliveries.c.state == "sending")).scalars())
    open_ = tx.execute(select(attempts.c.delivery_id).where(attempts.c.ended_at.is_(None)))
    assert sorted(open_.scalars()) == sorted(held)
    # accepted is said only of what the host took
    accepted = select(deliveries.c.id).where(deliveries.c.accepted_at.is_not(None))
    assert set(tx.execute(accepted).scalars()) <= set(+world.taken)
    # every fact once
    assert not tx.execute(
        select(reports.c.identity).group_by(reports.c.identity).having(func.count() > 1)
    ).all()
    _suppressed_with_reason(world)


def _suppressed_with_reason(world: World) -> None:
    """Only a mailbox that the world called dead, full for days, or whose owner complained."""
    for row in world.tx.execute(select(suppressions.c.address, suppressions.c.reason)):
        match row.reason:
            case "hard_bounce":
                assert row.address in world.dead_mailboxes
            case "complaint":
                assert row.address in world.complained
            case _:
                assert row.reason == "soft_bounce"


def peace(world: World) -> None:
    """No more deaths: everything comes to its end, and every raw report is read."""
    world.chance = _Kind(world.chance.random())
    for _ in range(60):
        world.now += 61.0
        for node in NODES:
            for step in (records, keeps_house, claims, talks, records, reads):
                step(world, node)
        if _quiet(world.tx):
            break
    world.now += 2 * 86_400.0
    keeps_house(world, "one")
    balanced(world.tx, world.promised)
    assert not world.tx.execute(_UNREAD).scalar_one()


_UNREAD = select(func.count()).where(raw_inbound.c.state == "new")
_PENDING = select(func.count()).where(deliveries.c.state.in_(("queued", "sending")))


def _quiet(tx: Connection) -> bool:
    return not tx.execute(_UNREAD).scalar_one() and not tx.execute(_PENDING).scalar_one()


class _Kind(Random):
    """A fate without deaths."""

    def choice(self, seq: object) -> object:  # type: ignore[override]
        return "never" if seq is FATES else super().choice(seq)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def empty() -> Iterator[Connection]:
    """A migrated SQLite database in memory, with transactions that are ours."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.connection.dbapi_connection.isolation_level = None  # type: ignore[union-attr]
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        migrate.upgrade(connection)
        yield connection
    engine.dispose()


def fate_of(empty: Connection, seed: int, steps: int) -> World:
    """One fate from the empty database to its peace; everything is undone afterwards."""
    empty.exec_driver_sql("BEGIN")
    try:
        world = World(empty, Random(seed))
        for _ in range(steps):
            live(world, world.chance.choice(NODES))
        hold_true(world)
        peace(world)
        hold_true(world)
        return world
    finally:
        empty.exec_driver_sql("ROLLBACK")


def test_whatever_dies_whenever_the_accounts_add_up(
    empty: Connection, amount: Amount, chance: Random, seen: Callable[[str], None]
) -> None:
    start, seeds = chance.randrange(10**6), amount(40, 10_000)
    promised = deaths = 0
    for seed in range(start, start + seeds):
        try:
            world = fate_of(empty, seed, steps=60)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        promised += len(world.promised)
        deaths += world.deaths
    seen(f"{seeds} seeds, {promised} promises, {deaths} deaths, broken invariants 0")

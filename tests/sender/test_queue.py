"""The queue: what is due, who holds it, and for how long."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, event, insert

from analysis.lifecycle import Fact
from analysis.schema import attempts, canaries, deliveries, metadata, placements
from analysis.store import Store, open_store
from sender import backlog, leases, queue, unsent
from tests.storing import (
    CONTENT,
    DAY,
    NOW,
    Row,
    came_of,
    claimed,
    entry,
    kinds_of_events,
    new_id,
    recorded,
    rows,
    sent_to,
    state_of,
    submission,
    submitted,
    suppressed,
)

pytestmark = pytest.mark.anyio


async def the_delivery(store: Store) -> Row:
    [row] = await rows(store, deliveries)
    return row


async def expired(store: Store, now: float) -> int:
    return len(await store.write(lambda tx: unsent.expire(tx, now=now)))


async def reclaimed(store: Store, now: float, node: str | None = None) -> int:
    nodes = None if node is None else [node]
    return await store.write(lambda tx: leases.reclaim(tx, now=now, nodes=nodes))


async def renewed(store: Store, until: float, *held: tuple[str, int]) -> None:
    await store.write(lambda tx: leases.renew(tx, held=held, until=until))


async def test_a_claim_writes_lease_epoch_node_and_an_open_attempt(store: Store) -> None:
    [delivery] = await sent_to(store)
    [claim] = await claimed(store, NOW + 5, node="mta-1")
    row = await the_delivery(store)
    held = (row["state"], row["epoch"], row["node"], row["lease_until"])
    assert held == ("sending", 1, "mta-1", NOW + 65)
    [attempt] = await rows(store, attempts)
    opened = (attempt["delivery_id"], attempt["epoch"], attempt["node"], attempt["started_at"])
    assert opened == (delivery, 1, "mta-1", NOW + 5)
    assert attempt["ended_at"] is attempt["result"] is None
    assert (claim.delivery_id, claim.epoch, claim.recipient) == (delivery, 1, "ann@example.net")
    assert (claim.from_address, claim.domain) == ("shop@example.com", "example.net")


async def test_what_is_held_is_not_claimed_again(store: Store) -> None:
    await sent_to(store)
    assert len(await claimed(store)) == 1
    assert await claimed(store, NOW + 1000) == []


async def test_nothing_is_claimed_before_its_time(store: Store) -> None:
    await sent_to(store, send_at=NOW + 100)
    assert await claimed(store, NOW + 99.9) == []
    [claim] = await claimed(store, NOW + 100)
    assert claim.promised_at == NOW + 100


async def test_nothing_is_claimed_after_its_deadline(store: Store) -> None:
    """After an outage a login code is worthless: it expires, it is not sent late."""
    await sent_to(store, class_="otp", deadline=NOW + 900)
    assert await claimed(store, NOW + 900) == []
    assert await expired(store, NOW + 900) == 1


async def test_urgent_classes_go_first_and_within_a_class_the_oldest(store: Store) -> None:
    order = [("bulk", 0), ("otp", 3), ("transactional", 1), ("otp", 2), ("bulk", -5)]
    for class_, at in order:
        await sent_to(store, f"{class_}@example.net", at=NOW + at, class_=class_)
    claims = await claimed(store, NOW + 10, limit=4)
    assert [(c.recipient.partition("@")[0], c.due_at - NOW) for c in claims] == [
        ("otp", 2),
        ("otp", 3),
        ("transactional", 1),
        ("bulk", -5),
    ]


async def test_the_less_urgent_have_a_share_and_leave_what_they_do_not_need(store: Store) -> None:
    for class_, count in (("otp", 40), ("transactional", 40), ("bulk", 1)):
        await sent_to(store, *(f"u{n}@{class_}.example" for n in range(count)), class_=class_)
    claims = await claimed(store, limit=20)
    shares = Counter(c.domain.partition(".")[0] for c in claims)
    assert shares == {"otp": 17, "transactional": 2, "bulk": 1}
    assert [c.rank for c in claims] == sorted(c.rank for c in claims)


async def test_no_more_is_claimed_than_asked_for(store: Store) -> None:
    await sent_to(store, *(f"u{n}@example.net" for n in range(10)))
    assert [len(await claimed(store, limit=4)) for _ in range(4)] == [4, 4, 2, 0]


async def test_a_domain_gets_no_more_than_its_share_and_the_others_move_up(store: Store) -> None:
    slow = [f"u{n}@slow.example" for n in range(30)]
    await sent_to(store, *slow, at=NOW - 100)
    await sent_to(store, "u@quick.example", "v@quick.example", at=NOW - 1)
    await sent_to(store, "w@other.example", class_="bulk")
    claims = await claimed(store, limit=20, per_domain=5, under_way={"slow.example": 2})
    assert Counter(c.domain for c in claims) == {
        "slow.example": 3,
        "quick.example": 2,
        "other.example": 1,
    }


async def test_a_domain_with_no_place_left_is_passed_over(store: Store) -> None:
    await sent_to(store, "a@slow.example", "b@quick.example")
    claims = await claimed(store, per_domain=1, under_way={"slow.example": 1})
    assert [c.domain for c in claims] == ["quick.example"]


async def test_claimers_at_once_never_get_the_same_row(store: Store, migrated_url: str) -> None:
    """Two processes on one database: each delivery is claimed once, and all are."""
    for _ in range(4):
        await sent_to(store, *(f"u{n}@example.net" for n in range(50)))
    other = open_store(migrated_url)
    try:
        found = await asyncio.gather(
            *(
                claimed(s, limit=7, node=n)
                for _ in range(20)
                for s, n in ((store, "a"), (other, "b"))
            )
        )
    finally:
        await other.close()
    ids = [claim.delivery_id for claims in found for claim in claims]
    assert len(ids) == len(set(ids)) == 200


async def test_a_delivery_that_was_put_off_comes_back_with_a_higher_epoch(store: Store) -> None:
    await sent_to(store)
    [first] = await claimed(store)
    await recorded(store, came_of(first, Fact.PUT_OFF, next_at=NOW + 60))
    assert await claimed(store, NOW + 59) == []
    [second] = await claimed(store, NOW + 60)
    assert (first.epoch, second.epoch, second.attempts) == (1, 2, 1)
    assert first.return_path == second.return_path


async def test_a_lease_that_ran_out_gives_the_delivery_back(store: Store) -> None:
    await sent_to(store)
    await claimed(store)
    assert await reclaimed(store, NOW + 59.9) == 0
    assert await reclaimed(store, NOW + 60) == 1
    row = await the_delivery(store)
    assert (row["state"], row["lease_until"], row["attempts"]) == ("queued", None, 0)
    [attempt] = await rows(store, attempts)
    assert (attempt["result"], attempt["ended_at"]) == ("lost", NOW + 60)
    assert len(await claimed(store, NOW + 60)) == 1


async def test_a_restarted_node_takes_back_what_it_held_and_only_that(store: Store) -> None:
    await sent_to(store, "a@example.net", "b@example.net")
    [mine] = await claimed(store, limit=1, node="mine")
    [yours] = await claimed(store, limit=1, node="yours")
    assert await reclaimed(store, NOW + 1, node="mine") == 1
    states = [await state_of(store, c.delivery_id) for c in (mine, yours)]
    assert states == ["queued", "sending"]


async def test_a_renewed_lease_is_kept(store: Store) -> None:
    await sent_to(store)
    [claim] = await claimed(store)
    await renewed(store, NOW + 500, (claim.delivery_id, claim.epoch))
    assert await reclaimed(store, NOW + 499) == 0


async def test_a_lease_that_was_lost_cannot_be_renewed(store: Store) -> None:
    await sent_to(store)
    [stale] = await claimed(store, node="slow")
    await reclaimed(store, NOW + 60)
    await renewed(store, NOW + 500, (stale.delivery_id, stale.epoch))
    assert (await the_delivery(store))["lease_until"] is None
    [fresh] = await claimed(store, NOW + 60, node="quick")
    await renewed(store, NOW + 9999, (stale.delivery_id, stale.epoch))
    row = await the_delivery(store)
    assert (row["node"], row["epoch"], row["lease_until"]) == ("quick", fresh.epoch, NOW + 120)


async def test_a_stale_worker_writes_nothing(store: Store) -> None:
    await sent_to(store)
    [stale] = await claimed(store, node="slow")
    await reclaimed(store, NOW + 60)
    assert await recorded(store, came_of(stale, Fact.ACCEPTED)) == [False]
    await claimed(store, NOW + 60, node="quick")
    assert await recorded(store, came_of(stale, Fact.REFUSED)) == [False]
    row = await the_delivery(store)
    assert (row["state"], row["node"], row["accepted_at"]) == ("sending", "quick", None)
    assert await kinds_of_events(store) == []


async def test_what_waits_past_its_deadline_expires_and_nothing_else(store: Store) -> None:
    [late] = await sent_to(store, deadline=NOW + 10)
    [early] = await sent_to(store, deadline=NOW + 11)
    [held] = await sent_to(store, deadline=NOW + 10, class_="otp")
    await claimed(store, limit=1)
    assert await expired(store, NOW + 10) == 1
    states = [await state_of(store, d) for d in (late, early, held)]
    assert states == ["expired", "queued", "sending"]
    assert await kinds_of_events(store) == ["expired"]
    assert await expired(store, NOW + 10) == 0


async def test_housekeepers_at_once_expire_each_delivery_once(store: Store) -> None:
    await sent_to(store, *(f"u{n}@example.net" for n in range(40)), deadline=NOW + 10)
    counts = await asyncio.gather(*(expired(store, NOW + 10) for _ in range(6)))
    assert sum(counts) == 40
    assert await kinds_of_events(store) == ["expired"] * 40


async def test_cancelling_calls_back_what_is_queued_and_not_what_is_on_the_wire(
    store: Store,
) -> None:
    message = submission("a@example.net", "b@example.net")
    await submitted(store, message)
    [flying] = await claimed(store, limit=1)
    cancel = await store.write(lambda tx: unsent.cancel(tx, message.id, now=NOW + 1))
    states = {r["id"]: r["state"] for r in await rows(store, deliveries)}
    assert cancel == 1
    assert states.pop(flying.delivery_id) == "sending"
    assert list(states.values()) == ["cancelled"]
    assert await kinds_of_events(store) == ["cancelled"]
    assert await claimed(store, NOW + 1000) == []


async def test_what_is_prepared_has_its_content_and_the_lists_newest_word(store: Store) -> None:
    await sent_to(store, "a@example.net", "b@example.net")
    claims = await claimed(store)
    await suppressed(store, entry("b@example.net"))
    ready = await store.read(lambda tx: queue.prepare(tx, claims, NOW))
    by_address = {c.recipient: p for c, p in zip(claims, ready, strict=True)}
    assert by_address["a@example.net"] == queue.Prepared(CONTENT, None)
    withheld = by_address["b@example.net"].withheld
    assert withheld is not None
    assert withheld.evidence == "asked for"


async def test_what_may_be_claimed_is_due_and_what_waits_or_is_too_late_is_not(
    store: Store,
) -> None:
    await sent_to(store, at=NOW, send_at=NOW + 60)
    assert not await store.read(lambda tx: queue.due(tx, NOW))
    assert await store.read(lambda tx: queue.due(tx, NOW + 60))
    assert not await store.read(lambda tx: queue.due(tx, NOW + 365 * DAY))
    assert await claimed(store, NOW + 60) != []
    assert not await store.read(lambda tx: queue.due(tx, NOW + 60))


async def test_depth_counts_every_class_and_how_long_the_oldest_waits(store: Store) -> None:
    await sent_to(store, class_="otp", at=NOW - 30)
    await sent_to(store, class_="otp", at=NOW - 10)
    await sent_to(store, class_="bulk", at=NOW, send_at=NOW + DAY)
    assert await store.read(lambda tx: backlog.depth(tx, NOW)) == {
        "otp": (2, 30.0),
        "transactional": (0, 0.0),
        "bulk": (1, 0.0),
    }


async def test_probes_of_our_own_do_not_count_as_waiting(store: Store) -> None:
    [canary] = await sent_to(store, at=NOW - 90, probe="canary")
    [probe] = await sent_to(store, at=NOW - 80, probe="placement", class_="otp")
    await sent_to(store, at=NOW - 30)
    row = {"id": new_id(), "sent_at": NOW - 90, "delivery_id": canary}
    seed = {"seed": "s", "provider": "gmail", "stream": "default", "message_id": new_id()}
    await store.write(lambda tx: tx.execute(insert(canaries).values(row)))
    await store.write(
        lambda tx: tx.execute(
            insert(placements).values(id=new_id(), sent_at=NOW - 80, delivery_id=probe, **seed)
        )
    )
    assert await store.read(lambda tx: backlog.depth(tx, NOW)) == {
        "otp": (0, 0.0),
        "transactional": (1, 30.0),
        "bulk": (0, 0.0),
    }


HOT = [
    lambda tx: queue.claim(tx, node="n", now=NOW, lease=1, limit=9, under_way={"x.example": 1}),
    lambda tx: leases.reclaim(tx, now=NOW),
    lambda tx: unsent.expire(tx, now=NOW),
    lambda tx: unsent.cancel(tx, "0" * 26, now=NOW),
    lambda tx: queue.due(tx, NOW),
    lambda tx: backlog.depth(tx, NOW),
]


@pytest.mark.parametrize("work", HOT, ids=["claim", "reclaim", "expire", "cancel", "due", "depth"])
def test_no_statement_of_the_loop_reads_the_whole_table(
    tmp_path: Path, work: Callable[[Connection], object]
) -> None:
    """Or a long history would slow down every poll."""
    assert scans(tmp_path, work) == []


def scans(folder: Path, work: Callable[[Connection], object]) -> list[str]:
    """What SQLite would read from end to end, of all that `work` asks."""
    engine = create_engine(f"sqlite:///{folder / 'plan.db'}")
    metadata.create_all(engine)
    asked: list[tuple[str, object]] = []
    event.listen(engine, "before_cursor_execute", lambda *a: asked.append((a[2], a[3])))
    with engine.begin() as tx:
        work(tx)
        plans = [
            str(row[3])
            for statement, values in list(asked)
            if statement.startswith(("SELECT", "UPDATE", "DELETE"))
            for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)  # type: ignore[arg-type]
        ]
    assert plans
    engine.dispose()
    read = [plan for plan in plans if plan.startswith("SCAN") and plan != "SCAN CONSTANT ROW"]
    return [plan for plan in read if " INDEX " not in plan]

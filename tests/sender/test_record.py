"""What came of claims is written in one go: attempt, state, event, suppression."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection

from analysis.lifecycle import Fact
from analysis.reply import Reply, Stage
from analysis.schema import attempts, deliveries, events, soft_bounces, suppressions
from analysis.store import Store
from analysis.suppression import Reason
from analysis.verdict import Category, Verdict
from sender.queue import Claim
from sender.record import record
from tests.storing import (
    BLOCKED,
    BOX_FULL,
    DAY,
    LIMITS,
    NO_SUCH_USER,
    NOW,
    Row,
    came_of,
    claimed,
    entry,
    reasons,
    recorded,
    rows,
    sent_to,
)

pytestmark = pytest.mark.anyio

NO_USER = Reply(550, "5.1.1", "no such user", Stage.RCPT, "other", "mx.example.net")
FULL = Reply(452, "4.2.2", "mailbox full", Stage.RCPT, "other", "mx.example.net")


@pytest.fixture
async def claim(store: Store) -> Claim:
    await sent_to(store)
    [claim] = await claimed(store)
    return claim


async def the_only(store: Store, table: object) -> Row:
    [row] = await rows(store, table)  # type: ignore[arg-type]
    return row


async def test_an_acceptance_settles_the_delivery(store: Store, claim: Claim) -> None:
    accepted = came_of(claim, Fact.ACCEPTED, at=NOW + 3, provider="gmail", tls="TLSv1.3")
    assert await recorded(store, accepted) == [True]
    row = await the_only(store, deliveries)
    told = (row["state"], row["accepted_at"], row["settled_at"], row["attempts"], row["provider"])
    assert told == ("delivered", NOW + 3, NOW + 3, 1, "gmail")
    assert row["node"] is row["lease_until"] is row["category"] is None
    attempt = await the_only(store, attempts)
    told = (attempt["result"], attempt["ended_at"], attempt["stage"], attempt["host"])
    assert told == ("accepted", NOW + 3, "dot", "mx.example.net")
    assert (attempt["tls"], attempt["address"], attempt["code"]) == ("TLSv1.3", "192.0.2.1", 250)
    told_to_all = await the_only(store, events)
    assert (told_to_all["kind"], told_to_all["at"]) == ("delivered", NOW + 3)


async def test_a_delivery_put_off_waits_for_its_time(store: Store, claim: Claim) -> None:
    put_off = came_of(claim, Fact.PUT_OFF, reply=FULL, verdict=BOX_FULL, next_at=NOW + 61)
    await recorded(store, put_off)
    row = await the_only(store, deliveries)
    told = (row["state"], row["next_at"], row["attempts"], row["settled_at"], row["accepted_at"])
    assert told == ("queued", NOW + 61, 1, None, None)
    assert (row["code"], row["enhanced"], row["category"]) == (452, "4.2.2", "mailbox_full")
    assert (await the_only(store, attempts))["next_at"] == NOW + 61
    event = await the_only(store, events)
    assert (event["kind"], event["data"]["next_at"]) == ("deferred", "2027-01-15T08:01:01.000Z")
    assert await rows(store, soft_bounces) == []  # not given up yet


async def test_a_refusal_of_a_dead_mailbox_suppresses_it(store: Store, claim: Claim) -> None:
    await recorded(store, came_of(claim, Fact.REFUSED, reply=NO_USER, verdict=NO_SUCH_USER))
    assert (await the_only(store, deliveries))["state"] == "bounced"
    row = await the_only(store, suppressions)
    assert (row["reason"], row["stream"], row["delivery_id"]) == (
        "hard_bounce",
        "*",
        claim.delivery_id,
    )
    assert row["evidence"] == "550 5.1.1 no such user"
    assert [e["kind"] for e in await rows(store, events)] == ["bounced", "suppressed"]


async def test_a_dead_domain_is_withheld_for_days_only(store: Store, claim: Claim) -> None:
    gone = replace(NO_SUCH_USER, category=Category.BAD_DOMAIN)
    await recorded(store, came_of(claim, Fact.REFUSED, reply=NO_USER, verdict=gone))
    assert (await the_only(store, suppressions))["until"] == NOW + 1 + 7 * DAY


@pytest.mark.parametrize("verdict", [BLOCKED, replace(NO_SUCH_USER, suppress=False)])
async def test_a_refusal_that_is_not_the_mailboxs_end_suppresses_nobody(
    store: Store, claim: Claim, verdict: Verdict
) -> None:
    await recorded(store, came_of(claim, Fact.REFUSED, reply=NO_USER, verdict=verdict))
    assert (await the_only(store, deliveries))["state"] == "bounced"
    assert await rows(store, suppressions) == []


@pytest.mark.parametrize("fact", [Fact.PUT_OFF, Fact.SPENT, Fact.ACCEPTED])
async def test_only_a_refusal_makes_a_hard_bounce(store: Store, claim: Claim, fact: Fact) -> None:
    await recorded(store, came_of(claim, fact, verdict=NO_SUCH_USER))
    assert await rows(store, suppressions) == []


async def test_giving_up_on_full_mailboxes_on_three_days_suppresses(store: Store) -> None:
    for day in range(3):
        await sent_to(store, at=NOW + day * DAY)
        [claim] = await claimed(store, NOW + day * DAY)
        at = NOW + day * DAY + 5
        spent = came_of(claim, Fact.SPENT, reply=FULL, verdict=BOX_FULL, at=at)
        await recorded(store, spent, now=at)
        assert reasons(await rows(store, suppressions)) == ["soft_bounce"] * (day == 2)


async def test_a_spent_schedule_expires_the_delivery(store: Store, claim: Claim) -> None:
    await recorded(store, came_of(claim, Fact.SPENT, reply=FULL, verdict=BOX_FULL))
    row = await the_only(store, deliveries)
    assert (row["state"], row["settled_at"], row["accepted_at"]) == ("expired", NOW + 1, None)
    assert (await the_only(store, events))["kind"] == "expired"


async def test_a_success_makes_soft_bounces_forgotten(store: Store) -> None:
    await sent_to(store)
    await sent_to(store)
    first, second = await claimed(store)
    await recorded(store, came_of(first, Fact.SPENT, reply=FULL, verdict=BOX_FULL))
    assert len(await rows(store, soft_bounces)) == 1
    await recorded(store, came_of(second, Fact.ACCEPTED))
    assert await rows(store, soft_bounces) == []


async def test_a_withheld_delivery_ends_as_suppressed(store: Store, claim: Claim) -> None:
    listed = entry("ann@example.net", Reason.COMPLAINT)
    verdict = replace(BOX_FULL, rule=f"suppressed/{listed.reason.value}")
    await recorded(store, came_of(claim, Fact.WITHHELD, verdict=verdict))
    row = await the_only(store, deliveries)
    assert (row["state"], row["rule"]) == ("suppressed", "suppressed/complaint")
    assert (await the_only(store, attempts))["result"] == "withheld"
    assert (await the_only(store, events))["kind"] == "withheld"


async def test_the_same_record_twice_is_written_once(store: Store, claim: Claim) -> None:
    accepted = came_of(claim, Fact.ACCEPTED)
    assert await recorded(store, accepted) == [True]
    assert await recorded(store, accepted) == [False]
    assert len(await rows(store, events)) == 1


async def test_a_stale_record_does_not_hold_up_its_neighbours(store: Store) -> None:
    await sent_to(store, "a@example.net", "b@example.net", "c@example.net")
    claims = await claimed(store)
    stale = replace(claims[1], epoch=0)
    wrote = await recorded(
        store, *(came_of(c, Fact.ACCEPTED) for c in (claims[0], stale, claims[2]))
    )
    assert wrote == [True, False, True]
    states = {r["recipient"][0]: r["state"] for r in await rows(store, deliveries)}
    assert states == {"a": "delivered", "b": "sending", "c": "delivered"}


async def test_many_outcomes_share_one_commit(store: Store) -> None:
    await sent_to(store, *(f"u{n}@example.net" for n in range(600)))
    claims = await claimed(store, limit=600)
    outcomes = [Fact.ACCEPTED, Fact.REFUSED, Fact.PUT_OFF]
    records = [
        came_of(c, outcomes[n % 3], reply=NO_USER, verdict=NO_SUCH_USER)
        for n, c in enumerate(claims)
    ]
    assert await recorded(store, *records) == [True] * 600
    states = [r["state"] for r in await rows(store, deliveries)]
    assert {s: states.count(s) for s in set(states)} == dict.fromkeys(
        ("delivered", "bounced", "queued"), 200
    )
    assert len(await rows(store, suppressions)) == 200


async def test_a_crash_before_the_commit_leaves_none_of_it(store: Store, claim: Claim) -> None:
    def crash(tx: Connection) -> None:
        refused = came_of(claim, Fact.REFUSED, reply=NO_USER, verdict=NO_SUCH_USER)
        record(tx, [refused], now=NOW, limits=LIMITS)
        raise RuntimeError("power is gone")

    with pytest.raises(RuntimeError):
        await store.write(crash)
    assert (await the_only(store, deliveries))["state"] == "sending"
    assert (await the_only(store, attempts))["ended_at"] is None
    assert await rows(store, events) == await rows(store, suppressions) == []

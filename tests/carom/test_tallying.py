"""What the loops report is collected, kept while the database is away, and written once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.facts import Kind
from analysis.ledger import Recorded
from analysis.lifecycle import Fact
from analysis.reply import Reply
from analysis.schema import refusals
from analysis.store import Store
from analysis.tallies import Key, Outcome, totals
from analysis.verdict import UNKNOWN, Verdict
from carom.tallying import Tallying
from sender.queue import Claim
from sender.record import Record
from tests.storing import (
    BLOCKED,
    BOX_FULL,
    NO_SUCH_USER,
    NOW,
    Unsteady,
    came_of,
    claimed,
    rows,
    sent_to,
)

pytestmark = pytest.mark.anyio

REPLY = Reply(550, "5.7.1", "not from 192.0.2.1")


@pytest.fixture
async def claim(store: Store) -> Claim:
    await sent_to(store)
    [claim] = await claimed(store)
    return claim


def refused(claim: Claim, verdict: Verdict, fact: Fact = Fact.REFUSED) -> Record:
    return came_of(claim, fact, at=NOW, verdict=verdict, reply=REPLY, provider="gmail")


async def counted(store: Store) -> dict[Key, int]:
    return dict(await store.read(lambda tx: totals(tx, NOW, 300)))


async def test_answers_are_counted_by_what_they_mean(store: Store, claim: Claim) -> None:
    tallying = Tallying(lambda: NOW)
    tallying.attempted(came_of(claim, Fact.ACCEPTED, at=NOW, provider="gmail"))
    tallying.attempted(refused(claim, BLOCKED))
    tallying.attempted(refused(claim, NO_SUCH_USER))
    tallying.attempted(refused(claim, BOX_FULL, Fact.PUT_OFF))
    tallying.attempted(came_of(claim, Fact.WITHHELD, at=NOW))
    tallying.attempted(replace(refused(claim, BLOCKED), result="held"))
    await tallying.write(store)
    assert await counted(store) == {
        Key("gmail", Outcome.ACCEPTED): 1,
        Key("gmail", Outcome.REFUSED, "sender", "reputation"): 1,
        Key("gmail", Outcome.REFUSED, "recipient", "bad_mailbox"): 1,
        Key("gmail", Outcome.CONDEMNED, "recipient", "bad_mailbox"): 1,
        Key("gmail", Outcome.DEFERRED, "recipient", "mailbox_full"): 1,
    }
    assert [r["category"] for r in await rows(store, refusals)] == ["bad_mailbox", "reputation"]


async def test_probes_of_our_own_count_for_nothing(store: Store, claim: Claim) -> None:
    tallying = Tallying(lambda: NOW)
    tallying.attempted(refused(replace(claim, probe="canary"), NO_SUCH_USER))
    await tallying.write(store)
    assert await counted(store) == {}


def reported(kind: Kind, verdict: Verdict = NO_SUCH_USER) -> Recorded:
    return Recorded(kind, "default", "gmail", verdict, None, "0" * 26, suppressed=False)


async def test_bounces_that_come_late_count_when_they_come(store: Store) -> None:
    tallying = Tallying(lambda: NOW)
    tallying.reported(reported(Kind.BOUNCE))
    tallying.reported(reported(Kind.AUTOREPLY, UNKNOWN))
    tallying.reported(replace(reported(Kind.BOUNCE), delivery_id=None))
    await tallying.write(store)
    assert await counted(store) == {
        Key("gmail", Outcome.REPORTED, "recipient", "bad_mailbox"): 1,
        Key("gmail", Outcome.CONDEMNED, "recipient", "bad_mailbox"): 1,
    }


async def test_counts_wait_while_the_database_is_away(store: Store, claim: Claim) -> None:
    tallying, away = Tallying(lambda: NOW), Unsteady(store)
    tallying.attempted(refused(claim, BLOCKED))
    away.failing = 1
    await tallying.write(away)
    assert await counted(store) == {}
    tallying.attempted(refused(claim, BLOCKED))
    await tallying.write(away)
    await tallying.write(away)
    assert await counted(store) == {Key("gmail", Outcome.REFUSED, "sender", "reputation"): 2}
    [row] = await rows(store, refusals)
    assert row["seen"] == 2

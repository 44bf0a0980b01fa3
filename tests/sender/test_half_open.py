"""A login code may probe an address that failed for a while: once in a window, and it decides."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from analysis.half_open import LONGEST, WINDOW
from analysis.lifecycle import Fact
from analysis.schema import audit, suppressions
from analysis.store import Store, open_store
from analysis.suppression import Question, Reason, ask
from tests.storing import (
    BLOCKED,
    BOX_FULL,
    DAY,
    NOW,
    came_of,
    claimed,
    entry,
    hash_of,
    recorded,
    rows,
    submission,
    submitted,
    suppressed,
)

pytestmark = pytest.mark.anyio

ANN = "ann@example.net"
SOFT = entry(ANN, Reason.SOFT_BOUNCE, until=NOW + 7 * DAY, category="mailbox_full")


async def code(store: Store, at: float = NOW, **other: Any) -> dict[str, Any]:
    """Submit a login code to ann; what its delivery was answered."""
    given = {"class_": "otp", "deadline": at + 900} | other
    [receipt] = await submitted(store, submission(ANN, at=at, **given), now=at)
    [answer] = receipt.answer["deliveries"]
    return dict(answer)


async def entry_now(store: Store) -> dict[str, Any]:
    [row] = await rows(store, suppressions)
    return row


async def probe(store: Store, at: float, fact: Fact, **other: Any) -> None:
    assert (await code(store, at))["state"] == "queued"
    [claim] = await claimed(store, at)
    assert await recorded(store, came_of(claim, fact, at=at + 1, **other), now=at + 1) == [True]


async def test_a_code_goes_out_where_only_soft_bounces_stand(store: Store) -> None:
    await suppressed(store, SOFT)
    assert (await code(store))["state"] == "queued"
    [claim] = await claimed(store)
    own = Question(claim.address_hash, claim.stream, claim.delivery_id)
    others = Question(claim.address_hash, claim.stream)
    mail, rest = await store.read(lambda tx: ask(tx, [own, others], NOW))
    assert mail is None
    assert rest is not None


@pytest.mark.parametrize("class_", ["transactional", "bulk"])
async def test_other_classes_stay_withheld(store: Store, class_: str) -> None:
    await suppressed(store, SOFT)
    assert (await code(store, class_=class_))["state"] == "suppressed"


@pytest.mark.parametrize("reason", sorted(set(Reason) - {Reason.SOFT_BOUNCE}))
async def test_any_other_reason_beside_it_withholds(store: Store, reason: Reason) -> None:
    await suppressed(store, SOFT, entry(ANN, reason))
    answer = await code(store)
    assert (answer["state"], answer["suppression"]["reason"]) == ("suppressed", reason.value)
    assert all(row["probed_by"] is None for row in await rows(store, suppressions))


async def test_of_two_codes_one_goes_in_one_batch_and_in_a_window(store: Store) -> None:
    await suppressed(store, SOFT)
    both = [submission(ANN, class_="otp"), submission(ANN, class_="otp")]
    receipts = await submitted(store, *both)
    said = [receipt.answer["deliveries"][0]["state"] for receipt in receipts]
    assert sorted(said) == ["queued", "suppressed"]
    assert (await code(store, NOW + WINDOW - 1))["state"] == "suppressed"
    assert (await code(store, NOW + WINDOW))["state"] == "queued"


async def test_of_codes_at_the_same_moment_from_two_processes_one_goes(
    store: Store, migrated_url: str
) -> None:
    await suppressed(store, SOFT)
    other = open_store(migrated_url)
    try:
        answers = await asyncio.gather(*(code(s) for _ in range(10) for s in (store, other)))
    finally:
        await other.close()
    assert sorted(answer["state"] for answer in answers) == ["queued"] + ["suppressed"] * 19


async def test_success_lifts_the_entry_and_says_why(store: Store) -> None:
    await suppressed(store, SOFT)
    await probe(store, NOW, Fact.ACCEPTED)
    assert await rows(store, suppressions) == []
    *_, last = await rows(store, audit)
    assert (last["action"], last["reason"]) == ("suppression.lift", "a login code was accepted")
    assert (await code(store, NOW + 2, class_="bulk"))["state"] == "queued"


async def test_failure_doubles_the_time_within_bounds(store: Store) -> None:
    await suppressed(store, SOFT)
    at, spans = NOW, []
    for _ in range(5):
        await probe(store, at, Fact.SPENT, verdict=BOX_FULL)
        row = await entry_now(store)
        spans.append((row["until"] - row["since"]) / DAY)
        assert row["since"] == at + 1
        at += WINDOW + 1
    assert spans == [14, 28, 56, LONGEST / DAY, LONGEST / DAY]


async def test_what_is_nobodys_fault_there_changes_nothing(store: Store) -> None:
    await suppressed(store, SOFT)
    await probe(store, NOW, Fact.SPENT, verdict=BLOCKED)
    assert (await entry_now(store))["until"] == SOFT.until


async def test_only_the_probe_decides(store: Store) -> None:
    """A delivery that was on its way before the suppression began lifts nothing."""
    await code(store)
    [claim] = await claimed(store)
    await suppressed(store, SOFT)
    await recorded(store, came_of(claim, Fact.ACCEPTED))
    assert (await entry_now(store))["address_hash"] == hash_of(ANN)

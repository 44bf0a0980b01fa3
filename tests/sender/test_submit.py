"""Submission is a promise: once made it is kept, and it is made once."""

from __future__ import annotations

import asyncio

import pytest

from analysis.schema import bodies, deliveries, events, idempotency, messages
from analysis.store import Store, open_store
from analysis.suppression import Reason
from tests.storing import (
    CONTENT,
    NOW,
    claimed,
    entry,
    kinds_of_events,
    marked,
    rows,
    submission,
    submitted,
    suppressed,
)

pytestmark = pytest.mark.anyio

ANN, BOB = "ann@example.net", "bob@example.net"


async def test_a_message_is_written_once_and_a_delivery_for_each_recipient(store: Store) -> None:
    message = submission(ANN, BOB, metadata={"order": 7}, send_at=NOW + 60)
    [receipt] = await submitted(store, message)
    assert receipt.answer == {
        "id": message.id,
        "deliveries": [
            {"id": r.delivery_id, "recipient": r.wire, "state": "queued"}
            for r in message.recipients
        ],
    }
    [row] = await rows(store, messages)
    assert (row["metadata"], row["size"], row["class"]) == (
        {"order": 7},
        len(CONTENT),
        "transactional",
    )
    [body] = await rows(store, bodies)
    assert bytes(body["content"]) == CONTENT
    written = [(r["recipient"], r["state"], r["next_at"]) for r in await rows(store, deliveries)]
    assert written == [(ANN, "queued", NOW + 60), (BOB, "queued", NOW + 60)]


async def test_a_suppressed_recipient_is_named_and_never_sent_to(store: Store) -> None:
    await suppressed(store, entry(BOB, Reason.COMPLAINT, evidence="by a loop", until=NOW + 99))
    [receipt] = await submitted(store, submission(ANN, BOB))
    ann, bob = receipt.answer["deliveries"]
    assert (ann["state"], "suppression" in ann) == ("queued", False)
    assert bob["state"] == "suppressed"
    assert bob["suppression"] == {
        "reason": "complaint",
        "stream": "*",
        "since": NOW,
        "until": NOW + 99,
        "evidence": "by a loop",
    }
    assert [c.recipient for c in await claimed(store)] == [ANN]
    assert await kinds_of_events(store) == ["suppressed", "withheld"]


async def test_an_entry_for_another_stream_withholds_nothing(store: Store) -> None:
    await suppressed(store, entry(ANN, Reason.UNSUBSCRIBE, stream="news"))
    [receipt] = await submitted(store, submission(ANN, stream="receipts"))
    assert receipt.answer["deliveries"][0]["state"] == "queued"


async def test_the_same_key_and_body_get_the_same_answer(store: Store) -> None:
    first, again = (submission(ANN, idempotency=marked("key", "body")) for _ in range(2))
    [one] = await submitted(store, first)
    [two] = await submitted(store, again)
    assert (one.replayed, two.replayed) == (False, True)
    assert two.answer == one.answer
    assert len(await rows(store, messages)) == len(await rows(store, deliveries)) == 1


async def test_a_replay_tells_what_was_answered_then(store: Store) -> None:
    await submitted(store, submission(ANN, idempotency=marked("key", "body")))
    await suppressed(store, entry(ANN))
    [two] = await submitted(store, submission(ANN, idempotency=marked("key", "body")))
    assert two.answer["deliveries"][0]["state"] == "queued"


async def test_the_same_key_with_another_body_is_a_conflict(store: Store) -> None:
    await submitted(store, submission(ANN, idempotency=marked("key", "body")))
    [two] = await submitted(store, submission(BOB, idempotency=marked("key", "other body")))
    assert (two.conflict, two.answer) == (True, {})
    assert len(await rows(store, messages)) == 1


async def test_another_key_is_another_message(store: Store) -> None:
    for key in ("one", "two"):
        await submitted(store, submission(ANN, idempotency=marked(key, "body")))
    assert len(await rows(store, messages)) == 2


async def test_twins_in_one_batch_are_one_message(store: Store) -> None:
    same = [submission(ANN, idempotency=marked("key", "body")) for _ in range(3)]
    other = submission(ANN, idempotency=marked("key", "other body"))
    free = submission(ANN)
    *receipts, conflict, alone = await submitted(store, *same, other, free)
    assert [r.replayed for r in receipts] == [False, True, True]
    assert [r.answer["id"] for r in receipts] == [same[0].id] * 3
    assert conflict.conflict
    assert alone.answer["id"] == free.id
    assert len(await rows(store, messages)) == 2


async def test_one_key_in_many_transactions_at_once_is_one_message(
    store: Store, migrated_url: str
) -> None:
    other = open_store(migrated_url)
    try:
        found = await asyncio.gather(
            *(
                submitted(s, submission(ANN, idempotency=marked("key", "body")))
                for _ in range(8)
                for s in (store, other)
            )
        )
    finally:
        await other.close()
    receipts = [receipt for [receipt] in found]
    assert sum(not r.replayed for r in receipts) == 1
    assert len({r.answer["id"] for r in receipts}) == 1
    assert len(await rows(store, messages)) == len(await rows(store, idempotency)) == 1


async def test_batches_with_the_same_keys_in_any_order_all_get_answers(store: Store) -> None:
    keys = [f"key {n}" for n in range(30)]

    def batch(order: list[str]) -> list[object]:
        return [submission(ANN, idempotency=marked(key, "body")) for key in order]

    found = await asyncio.gather(
        *(
            submitted(store, *batch(order))  # type: ignore[arg-type]
            for _ in range(4)
            for order in (keys, keys[::-1])
        )
    )
    assert sum(not r.replayed for receipts in found for r in receipts) == 30
    assert len(await rows(store, messages)) == 30


async def test_a_batch_is_durable_together_or_not_at_all(store: Store) -> None:
    good, twice = submission(ANN), submission(BOB)
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        await submitted(store, good, twice, twice)
    assert await rows(store, messages) == await rows(store, events) == []


async def test_submissions_of_two_thousand_recipients_ask_the_list_once(store: Store) -> None:
    names = [f"u{n}@example.net" for n in range(1500)]
    await suppressed(store, *(entry(name) for name in names[::2]))
    many = [submission(*names[start : start + 50]) for start in range(0, 1500, 50)]
    receipts = await submitted(store, *many)
    states = [d["state"] for r in receipts for d in r.answer["deliveries"]]
    assert states == ["suppressed", "queued"] * 750

"""Lookup: what became of a message, shaped as everybody shows it, and nothing changed by asking."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analysis import events as events_log
from analysis import lookup
from analysis.facts import Kind, Reading, ReportedRecipient
from analysis.lifecycle import Fact, State
from analysis.reply import Reply, Stage
from analysis.store import Store
from analysis.suppression import Reason, standing
from tests.analysis.test_ledger import arrive
from tests.sender.test_queue import scans
from tests.storing import (
    BOX_FULL,
    DAY,
    NO_SUCH_USER,
    NOW,
    came_of,
    claimed,
    delivered,
    entry,
    hash_of,
    recorded,
    sent_to,
    submission,
    submitted,
    suppressed,
)

pytestmark = pytest.mark.anyio

ANN = "ann@example.net"
FULL = Reply(452, "4.2.2", "mailbox full", Stage.RCPT, "other", "mx.example.net")
DEAD = ReportedRecipient(ANN, "failed", "5.1.1", "550", "no such user", verdict=NO_SUCH_USER)


async def told_of(store: Store, message_id: str) -> Any:
    return await store.read(lambda tx: lookup.message(tx, message_id))


def test_times_are_shown_in_utc_with_milliseconds() -> None:
    assert lookup.iso(NOW + 0.1234) == "2027-01-15T08:00:00.123Z"
    assert lookup.iso(None) is None


async def test_a_message_is_shown_with_its_deliveries(store: Store) -> None:
    message = submission(ANN, "bob@example.net", metadata={"order": 7}, stream="news")
    await submitted(store, message)
    told = await told_of(store, message.id)
    assert (told["id"], told["stream"], told["class"]) == (message.id, "news", "transactional")
    assert told["metadata"] == {"order": 7}
    assert [d["recipient"] for d in told["deliveries"]] == [ANN, "bob@example.net"]
    assert told["deliveries"][0]["next_at"] == "2027-01-15T08:00:00.000Z"
    assert told["deliveries"][0]["last_reply"] is None
    json.dumps(told)


async def test_what_is_not_there_is_none(store: Store) -> None:
    assert await told_of(store, "0" * 26) is None
    assert await store.read(lambda tx: lookup.timeline(tx, "0" * 26)) is None
    assert await store.read(lambda tx: lookup.newest_delivery(tx, hash_of(ANN))) is None


async def test_a_delivery_that_waits_says_for_what_and_until_when(store: Store) -> None:
    message = submission(ANN)
    await submitted(store, message)
    [claim] = await claimed(store)
    await recorded(store, came_of(claim, Fact.PUT_OFF, reply=FULL, verdict=BOX_FULL))
    [shown] = (await told_of(store, message.id))["deliveries"]
    assert (shown["state"], shown["attempts"]) == ("queued", 1)
    assert shown["next_at"] == lookup.iso(NOW + 61)
    assert shown["last_reply"] == {
        "code": 452,
        "enhanced": "4.2.2",
        "text": "mailbox full",
        "category": "mailbox_full",
        "fault": "recipient",
        "rule": "test/full",
    }


async def test_a_settled_delivery_waits_for_nothing(store: Store) -> None:
    message = submission(ANN)
    await submitted(store, message)
    [claim] = await claimed(store)
    await recorded(store, came_of(claim, Fact.ACCEPTED))
    [shown] = (await told_of(store, message.id))["deliveries"]
    assert (shown["state"], shown["next_at"]) == ("delivered", None)
    assert shown["accepted_at"] == shown["settled_at"] == lookup.iso(NOW + 1)


async def test_the_timeline_tells_every_fact_once_and_in_order(store: Store) -> None:
    message = submission(ANN)
    await submitted(store, message)
    [first] = await claimed(store)
    await recorded(store, came_of(first, Fact.PUT_OFF, reply=FULL, verdict=BOX_FULL))
    [second] = await claimed(store, NOW + 100)
    await recorded(store, came_of(second, Fact.ACCEPTED, at=NOW + 101), now=NOW + 101)
    await arrive(store, Reading(Kind.BOUNCE, (DEAD,)), second.delivery_id, at=NOW + 200)
    facts = await store.read(lambda tx: lookup.timeline(tx, message.id))
    assert facts is not None
    assert [(f["kind"], f.get("result")) for f in facts] == [
        ("accepted", None),
        ("attempt", "deferred"),
        ("attempt", "accepted"),
        ("bounce", None),
        ("suppressed", None),
    ]
    assert [f["at"] for f in facts] == sorted(f["at"] for f in facts)
    assert facts[3]["enhanced"] == "5.1.1"
    assert facts[4]["reason"] == "hard_bounce"
    json.dumps(facts)


async def test_an_attempt_under_way_is_told_as_such(store: Store) -> None:
    message = submission(ANN)
    await submitted(store, message)
    await claimed(store)
    facts = await store.read(lambda tx: lookup.timeline(tx, message.id))
    assert facts is not None
    assert [f.get("result") for f in facts] == [None, "under_way"]


async def test_search_pages_from_the_newest_without_gaps_or_doubles(store: Store) -> None:
    ids = [(await sent_to(store, ANN, stream=f"s{n % 2}"))[0] for n in range(7)]
    seen: list[str] = []
    before = None
    while page := await store.read(
        lambda tx, before=before: lookup.search(tx, before=before, limit=3)
    ):
        seen += [found["id"] for found in page]
        before = seen[-1]
    assert seen == ids[::-1]


async def test_search_finds_by_address_state_and_stream(store: Store) -> None:
    await delivered(store, ANN, stream="news")
    await sent_to(store, "bob@example.net", stream="news")
    await sent_to(store, ANN, stream="receipts")

    async def found(**by: Any) -> list[tuple[str, str]]:
        page = await store.read(lambda tx: lookup.search(tx, **by))
        return [(one["recipient"][:3], one["state"]) for one in page]

    assert await found(address_hash=hash_of("ANN@example.net")) == [
        ("ann", "queued"),
        ("ann", "delivered"),
    ]
    assert await found(state="delivered") == [("ann", "delivered")]
    assert await found(stream="news", state="queued") == [("bob", "queued")]


async def test_the_newest_delivery_to_an_address_is_found(store: Store) -> None:
    await sent_to(store, ANN, at=NOW)
    [newest] = await sent_to(store, ANN, at=NOW + 5, subject="Second")
    await sent_to(store, "bob@example.net", at=NOW + 9)
    row = await store.read(lambda tx: lookup.newest_delivery(tx, hash_of(ANN)))
    assert (row.id, row.subject) == (newest, "Second")


async def test_a_suppression_is_shown_with_its_reason_and_evidence(store: Store) -> None:
    await suppressed(store, entry(ANN, Reason.COMPLAINT, stream="news", until=NOW + DAY))
    found = (await store.read(lambda tx: standing(tx, [hash_of(ANN)], NOW)))[hash_of(ANN)]
    shown = lookup.suppression_view(found, "news")
    assert (shown["suppressed"], shown["reason"], shown["evidence"]) == (
        True,
        "complaint",
        "asked for",
    )
    assert shown["until"] == lookup.iso(NOW + DAY)
    assert lookup.suppression_view(found, "receipts")["suppressed"] is False
    assert lookup.suppression_view(found, None)["suppressed"] is True
    assert lookup.suppression_view([], None)["suppressed"] is False


async def test_the_next_try_in_an_event_is_a_time_as_all_others(store: Store) -> None:
    """Also where an older Carom wrote it, in Unix seconds."""
    old = events_log.event("deferred", at=NOW, data={"reply": "450 later", "next_at": NOW + 60})
    await store.write(lambda tx: events_log.announce(tx, [old]))
    await sent_to(store)
    [claim] = await claimed(store)
    await recorded(store, came_of(claim, Fact.PUT_OFF))
    told = await store.read(lambda tx: lookup.events_after(tx, 0, 10))
    tries = [one["data"]["next_at"] for one in told if one["type"] == "deferred"]
    assert tries == [lookup.iso(NOW + 60), lookup.iso(NOW + 61)]


async def test_events_are_paged_in_order_and_told_once(store: Store) -> None:
    await delivered(store, *(f"u{n}@example.net" for n in range(7)))
    seen: list[int] = []
    cursor = 0
    while page := await store.read(
        lambda tx, cursor=cursor: lookup.events_after(tx, cursor, limit=3)
    ):
        seen += [int(event["id"]) for event in page]
        cursor = seen[-1]
    assert len(seen) == 7
    assert seen == sorted(set(seen))


async def test_the_accounts_add_up_to_all_that_was_accepted(store: Store) -> None:
    await suppressed(store, entry("bob@example.net"))
    await delivered(store, ANN)
    await sent_to(store, "bob@example.net", "eve@example.net")
    accounts = await store.read(lookup.accounts)
    assert set(accounts) == {state.value for state in State}
    assert {s: n for s, n in accounts.items() if n} == {
        "delivered": 1,
        "suppressed": 1,
        "queued": 1,
    }


@pytest.mark.parametrize(
    "ask",
    [
        lambda tx: lookup.message(tx, "0" * 26),
        lambda tx: lookup.newest_delivery(tx, b"x" * 32),
        lambda tx: lookup.events_after(tx, 9, 9),
        lambda tx: lookup.search(tx, address_hash=b"x" * 32),
        lambda tx: standing(tx, [b"x" * 32, b"y" * 32], NOW),
    ],
    ids=["message", "newest", "events", "search", "standing"],
)
def test_no_question_reads_a_whole_table(tmp_path: Path, ask: Any) -> None:
    assert scans(tmp_path, ask) == []

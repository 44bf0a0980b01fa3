"""The suppression list: whom not to write to, why, since when, until when."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Connection

from analysis.schema import audit, events, soft_bounces, suppressions
from analysis.store import Store
from analysis.suppression import (
    EVERY_STREAM,
    Lift,
    Limits,
    Question,
    Reason,
    Suppression,
    ask,
    browse,
    count_by_reason,
    lift,
    standing,
    suppress,
)
from analysis.verdict import Category
from tests.analysis.test_soft_marks import soft
from tests.storing import DAY, NOW, entry, hash_of, reasons, rows, suppressed

pytestmark = pytest.mark.anyio

ANN, BOB = "ann@example.net", "bob@example.net"


async def answer(store: Store, address: str, stream: str = "news", now: float = NOW) -> str | None:
    question = Question(hash_of(address), stream)
    [found] = await store.read(lambda tx: ask(tx, [question], now))
    return found and found.reason.value


async def lifted(store: Store, address: str, *which: Reason, stream: str | None = None) -> int:
    order = Lift(
        hash_of(address), "ops", "asked by phone", NOW + 5, frozenset(which or Reason), stream
    )
    return len(await store.write(lambda tx: lift(tx, order)))


async def test_whoever_is_not_on_the_list_may_be_written_to(store: Store) -> None:
    await suppressed(store, entry(BOB))
    assert await answer(store, ANN) is None


async def test_an_entry_withholds_its_own_stream_only(store: Store) -> None:
    await suppressed(store, entry(ANN, Reason.UNSUBSCRIBE, stream="news"))
    assert await answer(store, ANN, "news") == "unsubscribe"
    assert await answer(store, ANN, "receipts") is None


async def test_a_star_withholds_every_stream(store: Store) -> None:
    await suppressed(store, entry(ANN, Reason.HARD_BOUNCE))
    assert await answer(store, ANN, "receipts") == "hard_bounce"


async def test_an_address_is_found_in_any_case_of_its_letters(store: Store) -> None:
    await suppressed(store, entry("Ann@EXAMPLE.net"))
    assert await answer(store, "aNN@example.NET") == "manual"
    assert await answer(store, "ann+tag@example.net") is None


async def test_of_several_reasons_the_weightiest_is_told(store: Store) -> None:
    every = [entry(ANN, reason) for reason in reversed(Reason)]
    told = []
    await suppressed(store, *every)
    while (reason := await answer(store, ANN)) is not None:
        told.append(reason)
        await lifted(store, ANN, Reason(reason))
    assert told == ["manual", "complaint", "unsubscribe", "hard_bounce", "soft_bounce"]


async def test_a_weighty_reason_elsewhere_does_not_hide_the_one_here(store: Store) -> None:
    await suppressed(
        store, entry(ANN, Reason.COMPLAINT, stream="news"), entry(ANN, Reason.SOFT_BOUNCE)
    )
    assert await answer(store, ANN, "receipts") == "soft_bounce"


async def test_lifting_one_reason_keeps_the_others(store: Store) -> None:
    await suppressed(store, entry(ANN, Reason.HARD_BOUNCE), entry(ANN, Reason.COMPLAINT))
    assert await lifted(store, ANN, Reason.HARD_BOUNCE) == 1
    assert await answer(store, ANN) == "complaint"


async def test_lifting_in_one_stream_keeps_the_others(store: Store) -> None:
    news, offers = (entry(ANN, Reason.UNSUBSCRIBE, stream=name) for name in ("news", "offers"))
    await suppressed(store, news, offers)
    await lifted(store, ANN, stream="news")
    assert await answer(store, ANN, "news") is None
    assert await answer(store, ANN, "offers") == "unsubscribe"


async def test_lifting_one_address_keeps_its_neighbours(store: Store) -> None:
    await suppressed(store, entry(ANN), entry(BOB))
    await lifted(store, ANN)
    assert await answer(store, BOB) == "manual"


async def test_lifting_what_is_not_there_changes_and_tells_nothing(store: Store) -> None:
    assert await lifted(store, ANN) == 0
    assert await rows(store, audit) == await rows(store, events) == []


async def test_an_entry_ends_at_its_time_and_not_before(store: Store) -> None:
    await suppressed(store, entry(ANN, until=NOW + 10))
    assert await answer(store, ANN, now=NOW + 9.9) == "manual"
    assert await answer(store, ANN, now=NOW + 10) is None


async def test_a_renewal_replaces_the_entry_of_the_same_reason(store: Store) -> None:
    await suppressed(store, entry(ANN, until=NOW + 10, evidence="first"))
    await suppressed(store, entry(ANN, since=NOW + 5, until=NOW + 20, evidence="again"))
    [row] = await rows(store, suppressions)
    assert (row["since"], row["until"], row["evidence"]) == (NOW + 5, NOW + 20, "again")


async def test_the_same_entry_twice_in_one_go_is_one(store: Store) -> None:
    await suppressed(store, entry(ANN), entry(ANN, evidence="the later word"))
    [row] = await rows(store, suppressions)
    assert row["evidence"] == "the later word"
    assert len(await rows(store, audit)) == 1


def test_each_reason_lasts_as_long_as_its_limit_says() -> None:
    limits = Limits(hard_bounce=100.0, soft_bounce=10.0, bad_domain=20.0)
    assert limits.until(Reason.HARD_BOUNCE, NOW) == NOW + 100
    assert limits.until(Reason.HARD_BOUNCE, NOW, Category.BAD_DOMAIN) == NOW + 20
    assert limits.until(Reason.SOFT_BOUNCE, NOW, Category.BAD_DOMAIN) == NOW + 10
    for lasting in (Reason.COMPLAINT, Reason.UNSUBSCRIBE, Reason.MANUAL):
        assert limits.until(lasting, NOW) is None


async def test_lifting_soft_bounces_starts_their_count_again(store: Store) -> None:
    for day in range(3):
        await soft(store, NOW + day * DAY)
    await lifted(store, ANN, Reason.SOFT_BOUNCE)
    assert await rows(store, soft_bounces) == []


async def test_lifting_another_reason_keeps_the_count(store: Store) -> None:
    await soft(store, NOW)
    await lifted(store, ANN, Reason.HARD_BOUNCE)
    assert len(await rows(store, soft_bounces)) == 1


async def test_every_change_is_audited_and_announced(store: Store) -> None:
    await suppressed(store, entry(ANN, Reason.COMPLAINT, actor="carom", evidence="by a loop"))
    await lifted(store, ANN)
    told = [(r["action"], r["actor"], r["reason"], r["at"]) for r in await rows(store, audit)]
    assert told == [
        ("suppression.suppress", "carom", "by a loop", NOW),
        ("suppression.lift", "ops", "asked by phone", NOW + 5),
    ]
    assert [e["kind"] for e in await rows(store, events)] == ["suppressed", "lifted"]


async def test_audit_and_events_name_nobody(store: Store) -> None:
    """Erasing a person must not mean rewriting what was written down."""
    await suppressed(store, entry(ANN))
    await lifted(store, ANN)
    told = await rows(store, audit) + await rows(store, events)
    text = repr([[v for v in row.values() if not isinstance(v, bytes)] for row in told])
    assert "@" not in text
    assert hash_of(ANN).hex() in text


async def test_a_change_that_is_rolled_back_leaves_no_trace(store: Store) -> None:
    def change(tx: Connection) -> None:
        suppress(tx, [entry(ANN)])
        raise RuntimeError("our own fault")

    with pytest.raises(RuntimeError):
        await store.write(change)
    for table in (suppressions, audit, events):
        assert await rows(store, table) == []


async def test_a_thousand_questions_are_answered_in_order(store: Store) -> None:
    names = [f"user{n}@example.net" for n in range(1200)]
    await suppressed(store, *(entry(name) for name in names[::3]))
    asked = [Question(hash_of(name), "news") for name in names]
    found = await store.read(lambda tx: ask(tx, asked, NOW))
    assert [f is not None for f in found] == [n % 3 == 0 for n in range(1200)]


async def test_standing_gives_every_reason_that_holds_now(store: Store) -> None:
    await suppressed(store, entry(ANN, Reason.HARD_BOUNCE, until=NOW - 1), entry(ANN), entry(BOB))
    found = await store.read(lambda tx: standing(tx, [hash_of(ANN)], NOW))
    assert [(e.reason, e.address) for e in found[hash_of(ANN)]] == [(Reason.MANUAL, ANN)]
    assert len(found) == 1


async def test_paging_shows_every_row_once_even_many_of_one_address(store: Store) -> None:
    entries = [
        entry(name, reason, stream=stream)
        for name in (ANN, BOB)
        for stream in (EVERY_STREAM, "news", "offers")
        for reason in Reason
    ]
    await suppressed(store, *entries)
    seen: list[Suppression] = []
    after = (b"", "", "")
    while page := await store.read(lambda tx, after=after: browse(tx, after=after, limit=4)):
        seen += page
        after = (page[-1].address_hash, page[-1].stream, page[-1].reason.value)
    keys = [(e.address_hash, e.stream, e.reason) for e in seen]
    assert len(keys) == len(set(keys)) == len(entries)


async def test_paging_can_ask_for_one_reason(store: Store) -> None:
    await suppressed(store, *(entry(ANN, reason) for reason in Reason))
    page = await store.read(lambda tx: browse(tx, reason="complaint"))
    assert [e.reason for e in page] == [Reason.COMPLAINT]


async def test_what_stands_is_counted_by_reason(store: Store) -> None:
    await suppressed(store, entry(ANN), entry(BOB), entry(ANN, Reason.COMPLAINT, until=NOW))
    counted = await store.read(lambda tx: count_by_reason(tx, NOW))
    assert counted == dict.fromkeys((r.value for r in Reason), 0) | {"manual": 2}


async def test_two_writers_in_opposite_order_both_succeed(store: Store) -> None:
    """PostgreSQL would end one of them in a deadlock, were rows not always taken in one order."""
    names = [f"user{n}@example.net" for n in range(200)]
    there, back = [entry(n) for n in names], [entry(n) for n in reversed(names)]
    await suppressed(store, *there)
    await asyncio.gather(*(suppressed(store, *order) for _ in range(5) for order in (there, back)))
    assert reasons(await rows(store, suppressions)) == ["manual"] * 200

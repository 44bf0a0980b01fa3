"""Caps: nobody gets more of a stream in its time than it says, and nobody waits in vain."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.lifecycle import Fact
from analysis.schema import deliveries
from analysis.store import Store, open_store
from sender.allowances import Rate
from sender.caps import MOST, earliest, parse_cap
from sender.submit import Submission
from tests.storing import (
    BLOCKED,
    NOW,
    came_of,
    claimed,
    entry,
    kinds_of_events,
    recorded,
    rows,
    submission,
    submitted,
    suppressed,
)

HOUR = 3_600.0
CAP = Rate(2, HOUR)
ANN = "ann@example.net"


def letter(at: float = NOW, **other: Any) -> Submission:
    return replace(submission(ANN, at=at, **other), cap=CAP)


async def answers(store: Store, *letters: Submission, now: float = NOW) -> list[dict[str, Any]]:
    receipts = await submitted(store, *letters, now=now)
    return [dict(one) for receipt in receipts for one in receipt.answer["deliveries"]]


@given(
    st.lists(st.floats(0, 10_000), max_size=20),
    st.integers(1, 4),
    st.floats(1, 4_000),
    st.floats(0, 10_000),
)
def test_one_more_never_breaks_the_cap_where_it_held(
    times: list[float], count: int, seconds: float, start: float
) -> None:
    cap = Rate(count, seconds)
    kept: list[float] = []
    for time in [*times, start]:
        at = earliest(kept, cap, time)
        assert at >= time
        kept = sorted([*kept, at])
        spans = zip(kept, kept[count:], strict=False)
        assert all(last - first >= seconds - 1e-5 for first, last in spans)


def test_a_message_in_the_far_future_keeps_nobody_waiting() -> None:
    assert earliest([NOW + 7 * HOUR], Rate(1, HOUR), NOW) == NOW
    assert earliest([NOW, NOW + 1.5 * HOUR], Rate(1, HOUR), NOW) == NOW + 2.5 * HOUR


def test_a_cap_is_a_small_number() -> None:
    assert parse_cap("3 per 1h") == Rate(3, HOUR)
    for text in ("3/h", f"{MOST + 1} per 1h"):
        with pytest.raises(ValueError, match=r"no rate|no cap"):
            parse_cap(text)


@pytest.mark.anyio
async def test_over_the_cap_a_message_waits_for_its_turn(store: Store) -> None:
    await answers(store, letter(), letter(NOW + 60), now=NOW + 60)
    [late] = await answers(store, letter(NOW + 120), now=NOW + 120)
    assert late["state"] == "queued"
    assert late["put_off"] == {
        "reason": "frequency",
        "until": NOW + HOUR,
        "evidence": "2 per 3600s is the most that a recipient gets in the stream default",
    }
    [row] = await rows(store, deliveries, deliveries.c.id == late["id"])
    assert (row["next_at"], row["rule"]) == (NOW + HOUR, "caps/frequency")
    [next_] = await answers(store, letter(NOW + 180), now=NOW + 180)
    assert next_["put_off"]["until"] == NOW + 60 + HOUR


@pytest.mark.anyio
async def test_what_would_be_too_late_is_withheld_and_said(store: Store) -> None:
    both = [letter(), letter(), letter(deadline=NOW + HOUR)]
    *_, withheld = await answers(store, *both)
    assert withheld["state"] == "suppressed"
    assert withheld["suppression"]["reason"] == "frequency"
    assert withheld["suppression"]["until"] == NOW + HOUR
    [row] = await rows(store, deliveries, deliveries.c.id == withheld["id"])
    assert (row["state"], row["rule"]) == ("suppressed", "suppressed/frequency")
    assert await kinds_of_events(store) == ["withheld"]


@pytest.mark.anyio
async def test_a_cap_holds_for_one_stream_and_one_address(store: Store) -> None:
    await answers(store, letter(), letter())
    other = replace(submission("bob@example.net"), cap=CAP)
    codes = letter(stream="codes")
    free = submission(ANN)
    for one in (other, codes, free):
        [answer] = await answers(store, one)
        assert "put_off" not in answer


@pytest.mark.anyio
async def test_what_nobody_got_does_not_count(store: Store) -> None:
    await answers(store, letter(), letter())
    one, two = await claimed(store)
    await recorded(
        store, came_of(one, Fact.REFUSED, verdict=BLOCKED), came_of(two, Fact.ACCEPTED, at=NOW + 9)
    )
    assert "put_off" not in (await answers(store, letter(NOW + 10), now=NOW + 10))[0]
    [late] = await answers(store, letter(NOW + 20), now=NOW + 20)
    assert late["put_off"]["until"] == NOW + 9 + HOUR
    await suppressed(store, entry(ANN))
    await answers(store, letter(NOW + 30), now=NOW + 30)  # withheld, and so not counted
    assert (await answers(store, replace(letter(NOW + 40), cap=Rate(4, HOUR)), now=NOW + 40))[0][
        "state"
    ] == "suppressed"


@pytest.mark.anyio
async def test_of_many_at_the_same_moment_no_more_go_at_once(
    store: Store, migrated_url: str
) -> None:
    other = open_store(migrated_url)
    try:
        found = await asyncio.gather(
            *(answers(s, letter()) for _ in range(5) for s in (store, other))
        )
    finally:
        await other.close()
    waits = sorted(one.get("put_off", {"until": NOW})["until"] for [one] in found)
    assert waits == [NOW + HOUR * (n // 2) for n in range(10)]

"""Complaints and bounces are counted from the deliveries, and judged by what receivers publish."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert
from ulid import ULID

from analysis.incident_policy import Do
from analysis.incidents import Change
from analysis.reputation import Measured, follow, limit_of, measure, newest
from analysis.schema import deliveries
from analysis.store import Store
from tests.analysis.troubles import POLICY, the_incident
from tests.storing import DAY, NOW, Row, new_id, submission, submitted

pytestmark = pytest.mark.anyio


def measured(numerator: int, denominator: int, provider: str = "gmail") -> Measured:
    return Measured(provider, "complaints", numerator, denominator, NOW - DAY, NOW)


@pytest.mark.parametrize(
    ("complaints", "accepted", "state"),
    [
        (1, 100, "too_few"),
        (2, 1_000, "ok"),  # two people are no rate
        (3, 1_000, "over"),
        (3, 3_001, "ok"),
        (4, 3_001, "warn"),
        (299, 100_000, "warn"),
        (300, 100_000, "over"),
        (0, 0, "too_few"),
    ],
)
def test_a_ratio_is_judged_by_limit_and_volume(complaints: int, accepted: int, state: str) -> None:
    assert measured(complaints, accepted).state == state


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_more_complaints_are_never_better(complaints: int, more: int) -> None:
    order = ["too_few", "ok", "warn", "over"]
    worse = measured(complaints + more, 10_000).state
    assert order.index(worse) >= order.index(measured(complaints, 10_000).state)


def test_limits_are_those_of_the_provider_with_their_source() -> None:
    assert (limit_of("gmail", "complaints").warn, limit_of("gmail", "complaints").limit) == (
        0.001,
        0.003,
    )
    assert limit_of("yahoo", "complaints").limit == 0.003
    for provider in ("gmail", "yahoo", "microsoft", "sina", "other"):
        for what in ("complaints", "bounces"):
            assert limit_of(provider, what).source.startswith("https://")


async def mail(
    store: Store, provider: str, count: int, *, at: float = NOW, **state: object
) -> None:
    """So many deliveries of one fate, made at one time."""
    one = submission(at=at)
    await submitted(store, one, now=at)
    made: list[Row] = []
    for _ in range(count):
        fields: Row = {
            "id": str(ULID.from_timestamp(at)).lower(),
            "message_id": one.id,
            "recipient": "ann@example.net",
            "address_hash": b"\0" * 32,
            "domain": "example.net",
            "stream": "default",
            "rank": 1,
            "state": "delivered",
            "created_at": at,
            "next_at": at,
            "deadline": at + DAY,
            "attempts": 1,
            "epoch": 1,
            "provider": provider,
            "return_path": "b@b.example.com",
            "accepted_at": at + 1,
        }
        made.append(fields | state)
    await store.write(lambda tx: tx.execute(insert(deliveries), made) and None)


async def ratios(store: Store, now: float = NOW + 60) -> dict[tuple[str, str], tuple[int, int]]:
    found = await store.read(lambda tx: measure(tx, now))
    return {(m.provider, m.measure): (m.numerator, m.denominator) for m in found}


async def test_what_was_accepted_within_a_day_is_counted(store: Store) -> None:
    await mail(store, "gmail", 995)
    await mail(store, "gmail", 5, state="complained")
    dead = {"state": "bounced", "category": "bad_mailbox", "fault": "recipient"}
    await mail(store, "gmail", 20, accepted_at=None, **dead)
    await mail(store, "gmail", 30, accepted_at=None, state="bounced", category="reputation")
    await mail(store, "gmail", 500, at=NOW - 2 * DAY)
    found = await ratios(store)
    assert found["gmail", "complaints"] == (5, 1_000)
    assert found["gmail", "bounces"] == (20, 1_050)


async def test_a_provider_with_little_mail_is_counted_over_a_week(store: Store) -> None:
    await mail(store, "gmail", 1_000)
    await mail(store, "gmail", 9, at=NOW - 3 * DAY)
    await mail(store, "qq", 2)
    await mail(store, "qq", 9, at=NOW - 3 * DAY)
    found = await ratios(store)
    assert found["gmail", "complaints"] == (0, 1_000)
    assert found["qq", "complaints"] == (0, 11)


async def followed(store: Store, complaints: int, now: float) -> list[Change]:
    one = Measured("gmail", "complaints", complaints, 10_000, now - DAY, now)
    return await store.write(lambda tx: follow(tx, POLICY, [one], now=now, new_id=new_id))


async def test_too_many_complaints_are_an_incident_until_below_the_warning(store: Store) -> None:
    [opened] = await followed(store, 30, NOW)
    assert opened.do is Do.OPEN
    row = await the_incident(store)
    assert (row["kind"], row["fault"], row["evidence"]["limit"]) == ("complaints", "sender", 0.003)
    assert await followed(store, 20, NOW + 600) == []
    [closed] = await followed(store, 9, NOW + 1_200)
    assert closed.do is Do.CLOSE
    [kept] = await store.read(newest)
    assert (kept.numerator, kept.at) == (9, NOW + 1_200)

"""When most addresses of a provider die at once nobody is suppressed for it yet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import held
from analysis.breaker import Deaths, Spike, judge
from analysis.held import list_or_hold
from analysis.incident_policy import ALL, Do, Last
from analysis.lifecycle import Fact
from analysis.reply import Reply, Stage
from analysis.schema import audit, held_suppressions, suppressions
from analysis.store import Store
from analysis.suppression import Reason
from tests.analysis.troubles import (
    ACCEPTED,
    DEAD,
    NO_USER,
    POLICY,
    heard,
    judged_deaths,
    the_incident,
)
from tests.storing import (
    DAY,
    NO_SUCH_USER,
    NOW,
    came_of,
    claimed,
    delivered,
    entry,
    recorded,
    rows,
    sent_to,
    state_of,
    suppressed,
)

SPIKE = Spike()
UNKNOWN = Reply(550, "5.1.1", "no such user", Stage.RCPT, "gmail", "mx.example.net")

deaths = st.builds(
    lambda answered, share: Deaths(answered, int(answered * share)),
    st.integers(0, 100_000),
    st.floats(0, 1),
)
shares = st.floats(0, 1)


@given(deaths, shares)
def test_it_freezes_only_on_volume_and_share(recent: Deaths, usual: float) -> None:
    do = judge(POLICY, SPIKE, NOW, recent, usual, None)
    too_much = recent.dead >= 50 and recent.share >= max(0.1, min(0.9, 5 * usual))
    assert (do is Do.OPEN) == too_much


@given(deaths)
def test_without_a_past_it_takes_nearly_everybody(recent: Deaths) -> None:
    """An old list that is mailed for the first time is full of deaths, and that is true."""
    do = judge(POLICY, SPIKE, NOW, recent, None, None)
    assert (do is Do.OPEN) == (recent.dead >= 200 and recent.share >= 0.8)


@given(deaths, shares)
def test_what_freezes_does_not_thaw_at_once(recent: Deaths, usual: float) -> None:
    if judge(POLICY, SPIKE, NOW, recent, usual, None) is Do.OPEN:
        assert judge(POLICY, SPIKE, NOW + 90_000, recent, usual, Last(True, NOW)) is None


@given(deaths, shares, st.booleans())
def test_what_a_person_decided_stands(recent: Deaths, usual: float, closed: bool) -> None:
    muted = Last(False, NOW - 5, NOW - 4 if closed else None, muted_until=NOW + 1)
    assert judge(POLICY, SPIKE, NOW, recent, usual, muted) is None


@given(st.integers(0, 49), shares)
def test_a_small_list_may_have_a_bad_day(dead: int, usual: float) -> None:
    assert judge(POLICY, SPIKE, NOW, Deaths(dead, dead), usual, None) is None


@pytest.fixture
async def frozen(store: Store) -> str:
    """An incident at gmail: everybody is unknown there."""
    await past(store)
    await spike(store)
    [change] = await judged_deaths(store)
    return change.incident_id


async def past(store: Store, *providers: str) -> None:
    """An ordinary day before."""
    for provider in providers or ("gmail",):
        await heard(store, provider, ACCEPTED, 1_000, at=NOW - 7_200)


async def spike(store: Store, provider: str = "gmail", at: float = NOW, count: int = 60) -> None:
    await heard(store, provider, NO_USER, count, at=at, reply=UNKNOWN)
    await heard(store, provider, DEAD, count, at=at, reply=UNKNOWN)


async def refused(store: Store, to: str, *, provider: str = "gmail", at: float = NOW + 1) -> str:
    """Send to an address, and be told that there is no such user; the delivery."""
    [delivery] = await sent_to(store, to, at=at - 1)
    [claim] = [c for c in await claimed(store, at) if c.delivery_id == delivery]
    verdict = {"reply": UNKNOWN, "verdict": NO_SUCH_USER, "provider": provider}
    await recorded(store, came_of(claim, Fact.REFUSED, at=at, **verdict), now=at)
    return delivery


pytestmark = pytest.mark.anyio


async def listed(store: Store) -> list[str]:
    return sorted(row["address"] for row in await rows(store, suppressions))


async def kept(store: Store) -> list[str]:
    return sorted(row["address"] for row in await rows(store, held_suppressions))


async def test_what_dies_in_a_spike_is_held(store: Store, frozen: str) -> None:
    delivery = await refused(store, "ann@example.net")
    assert await state_of(store, delivery) == "bounced"
    assert await listed(store) == []
    assert await kept(store) == ["ann@example.net"]
    assert await store.read(lambda tx: held.count(tx, frozen)) == 1


async def test_other_providers_and_other_reasons_are_not_held(store: Store, frozen: str) -> None:
    await refused(store, "ann@example.net", provider="yahoo")
    complaint = entry("bob@example.net", Reason.COMPLAINT)
    await store.write(lambda tx: list_or_hold(tx, [complaint]))
    assert await listed(store) == ["ann@example.net", "bob@example.net"]
    assert frozen


async def test_what_the_spike_had_done_before_it_was_seen_is_taken_back(store: Store) -> None:
    await refused(store, "ann@example.net", at=NOW - 30)
    await refused(store, "old@example.net", at=NOW - 3_600)
    await suppressed(store, entry("bob@example.net", Reason.HARD_BOUNCE))
    await past(store)
    await spike(store)
    await judged_deaths(store)
    assert await listed(store) == ["bob@example.net", "old@example.net"]
    assert await kept(store) == ["ann@example.net"]
    reasons = [row["reason"] for row in await rows(store, audit) if "lift" in row["action"]]
    assert len(reasons) == 1
    assert "died at once" in reasons[0]


async def test_an_address_that_is_refused_on_another_day_is_suppressed(
    store: Store, frozen: str
) -> None:
    await refused(store, "ann@example.net")
    await refused(store, "ann@example.net", at=NOW + 3_600)
    assert await listed(store) == []
    await refused(store, "ann@example.net", at=NOW + DAY)
    assert await listed(store) == ["ann@example.net"]
    assert await kept(store) == []
    assert frozen


async def test_it_thaws_by_itself_and_then_suppresses_again(store: Store, frozen: str) -> None:
    await refused(store, "ann@example.net")
    await heard(store, "gmail", ACCEPTED, 500, at=NOW + 1_200)
    [change] = await judged_deaths(store, NOW + 1_200)
    assert (change.do, change.incident_id) == (Do.CLOSE, frozen)
    await refused(store, "bob@example.net", at=NOW + 1_300)
    assert await listed(store) == ["bob@example.net"]
    assert await kept(store) == ["ann@example.net"]


async def test_a_person_releases_what_is_held_but_not_who_is_alive(
    store: Store, frozen: str
) -> None:
    await refused(store, "ann@example.net")
    await refused(store, "bob@example.net")
    [alive] = await sent_to(store, "bob@example.net", at=NOW + 100)
    [claim] = [c for c in await claimed(store, NOW + 100) if c.delivery_id == alive]
    await recorded(store, came_of(claim, Fact.ACCEPTED, at=NOW + 101), now=NOW + 101)
    found = await store.write(lambda tx: held.release(tx, frozen, actor="olga", now=NOW + 200))
    assert found == (2, 1)
    [row] = await rows(store, suppressions)
    assert (row["address"], row["actor"], row["reason"]) == (
        "ann@example.net",
        "olga",
        "hard_bounce",
    )
    assert await kept(store) == []


async def test_a_person_drops_them(store: Store, frozen: str) -> None:
    await refused(store, "ann@example.net")
    assert await store.write(lambda tx: held.drop(tx, frozen)) == 1
    assert await kept(store) == await listed(store) == []


async def test_what_is_usual_is_no_spike(store: Store) -> None:
    for hour in range(1, 20):
        await heard(store, "gmail", ACCEPTED, 60, at=NOW - 3_600 * hour)
        await spike(store, at=NOW - 3_600 * hour, count=40)
    await heard(store, "gmail", ACCEPTED, 90)
    await spike(store)
    assert await judged_deaths(store) == []


async def test_deaths_everywhere_freeze_everything(store: Store) -> None:
    await past(store, "gmail", "yahoo")
    for provider in ("gmail", "yahoo", "qq"):
        await spike(store, provider, count=40)
    [change] = await judged_deaths(store)
    assert change.place.provider == ALL
    await refused(store, "ann@example.net", provider="apple")
    assert await listed(store) == []


async def test_an_incident_says_what_was_said(store: Store, frozen: str) -> None:
    row = await the_incident(store)
    assert (row["id"], row["kind"], row["fault"]) == (frozen, "suppressions", "recipient")
    assert row["evidence"]["replies"][0]["text"] == "550 5.1.1 no such user"
    assert row["evidence"]["windows"][0] == {
        "seconds": 600.0,
        "answered": 60,
        "dead": 60,
        "share": 1.0,
    }


async def test_mail_that_is_delivered_is_none_of_its_business(store: Store, frozen: str) -> None:
    await delivered(store, "ann@example.net")
    assert await kept(store) == []
    assert frozen

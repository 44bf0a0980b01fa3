"""One incident opens with its evidence, stays one, and closes by itself; nobody is suppressed."""

from __future__ import annotations

import asyncio

import pytest

from analysis import incidents as book
from analysis.incident_policy import ALL, Do
from analysis.incident_view import told, view, words
from analysis.incidents import Place, factors
from analysis.schema import events, suppressions
from analysis.store import Store
from tests.analysis.troubles import (
    ACCEPTED,
    BLOCKED,
    DOWN,
    FULL,
    NO_USER,
    POLICY,
    RESOLVER,
    heard,
    incidents_of,
    judged,
    the_incident,
)
from tests.storing import NOW, kinds_of_events, new_id, rows, sent_to

pytestmark = pytest.mark.anyio


async def test_one_incident_opens_with_its_evidence(store: Store) -> None:
    [delivery] = await sent_to(store, stream="receipts")
    await heard(store, "gmail", ACCEPTED, 60)
    await heard(store, "gmail", BLOCKED, 40, delivery_id=delivery)
    [change] = await judged(store)
    assert (change.do, change.place) == (Do.OPEN, Place("reputation", "gmail"))
    assert await judged(store, NOW + 10) == []
    row = await the_incident(store)
    assert (row["state"], row["fault"], row["opened_at"]) == ("open", "sender", NOW)
    proof = row["evidence"]
    quick = proof["windows"][0]
    assert quick == {
        "seconds": 300.0,
        "answered": 100,
        "accepted": 60,
        "against": 40,
        "share": 0.4,
    }
    [reply] = proof["replies"]
    assert reply["text"] == "550 5.7.1 mail from 192.0.2.1 is not wanted here, ask (address)"
    assert (proof["first_delivery"], proof["newest_delivery"]) == (delivery, delivery)
    assert proof["streams"] == ["receipts"]
    assert await kinds_of_events(store) == ["incident.opened"]
    assert await rows(store, suppressions) == []


async def test_an_outage_is_clearly_not_ours(store: Store) -> None:
    await heard(store, "yahoo", DOWN, 100)
    [change] = await judged(store)
    row = await the_incident(store)
    assert (change.place.kind, row["fault"]) == ("outage", "receiver")


async def test_our_own_resolver_is_one_trouble_of_ours_and_no_providers(store: Store) -> None:
    await heard(store, "other", RESOLVER, 30)
    await heard(store, "gmail", RESOLVER, 10)
    await heard(store, "gmail", ACCEPTED, 20)  # the DNS was remembered
    [change] = await judged(store)
    assert change.place == Place("resolver", ALL)
    row = await the_incident(store)
    assert row["fault"] == "sender"
    window = row["evidence"]["windows"][0]
    assert (window["answered"], window["accepted"], window["against"]) == (60, 20, 40)
    assert row["evidence"]["replies"]
    await heard(store, "gmail", ACCEPTED, 50, at=NOW + 1_200)
    [closed] = await judged(store, NOW + 1_200)
    assert (closed.do, closed.place) == (Do.CLOSE, change.place)


async def test_a_few_questions_that_nobody_answered_are_no_incident(store: Store) -> None:
    await heard(store, "other", RESOLVER, 12)
    await heard(store, "gmail", ACCEPTED, 500)
    assert await judged(store) == []


async def test_recipients_faults_are_no_incident(store: Store) -> None:
    await heard(store, "gmail", NO_USER, 500)
    await heard(store, "gmail", FULL, 500)
    assert await judged(store) == []


async def test_providers_and_kinds_are_told_apart(store: Store) -> None:
    await heard(store, "gmail", BLOCKED, 50)
    await heard(store, "yahoo", BLOCKED, 50)
    await heard(store, "qq", ACCEPTED, 50)
    assert {c.place.provider for c in await judged(store)} == {"gmail", "yahoo"}


async def test_many_nodes_open_one(store: Store) -> None:
    await heard(store, "gmail", BLOCKED, 50)
    changes = await asyncio.gather(*(judged(store) for _ in range(4)))
    assert sum(map(len, changes)) == 1
    assert len(await incidents_of(store)) == 1


async def test_it_closes_when_the_receiver_accepts_again_and_comes_back_as_itself(
    store: Store,
) -> None:
    await heard(store, "gmail", BLOCKED, 50)
    [opened] = await judged(store)
    await heard(store, "gmail", ACCEPTED, 100, at=NOW + 1_200)
    [closed] = await judged(store, NOW + 1_200)
    assert (closed.do, closed.incident_id) == (Do.CLOSE, opened.incident_id)
    await heard(store, "gmail", BLOCKED, 100, at=NOW + 3_000)
    [again] = await judged(store, NOW + 3_000)
    assert (again.do, again.incident_id) == (Do.REOPEN, opened.incident_id)
    row = await the_incident(store)
    assert (row["state"], row["reopened"], row["opened_at"]) == ("open", 1, NOW)
    assert row["since"] == NOW + 3_000
    told = await rows(store, events)
    kinds = [one["kind"] for one in told]
    assert kinds == ["incident.opened", "incident.closed", "incident.opened"]
    assert told[2]["data"]["again"] is True


async def test_evidence_is_brought_up_to_date_while_it_goes_on(store: Store) -> None:
    await heard(store, "gmail", BLOCKED, 50)
    await judged(store)
    await heard(store, "gmail", BLOCKED, 50, at=NOW + 60)
    await judged(store, NOW + 61)
    row = await the_incident(store)
    assert row["evidence"]["windows"][0]["against"] == 100
    assert row["looked_at"] == NOW + 61


async def test_pacing_is_told_whom_to_go_easy_on(store: Store) -> None:
    await heard(store, "gmail", BLOCKED, 50)
    await heard(store, "other", BLOCKED, 50)
    await judged(store)

    async def told_at(now: float) -> dict[str, float]:
        return await store.read(lambda tx: factors(tx, POLICY, now))

    assert await told_at(NOW) == {"gmail": 0.25}
    await heard(store, "gmail", ACCEPTED, 100, at=NOW + 1_200)
    await judged(store, NOW + 1_200)
    stages = [await told_at(NOW + 1_200 + later) for later in (0, 600, 1_200)]
    assert stages == [{"gmail": 0.5}, {"gmail": 0.75}, {}]


async def test_listing_finding_and_forgetting(store: Store) -> None:
    await heard(store, "gmail", BLOCKED, 50)
    await heard(store, "yahoo", BLOCKED, 50)
    changes = await judged(store)
    newest, oldest = sorted((c.incident_id for c in changes), reverse=True)
    page = await store.read(lambda tx: book.browse(tx, limit=1))
    rest = await store.read(lambda tx: book.browse(tx, before=page[0].id))
    assert [page[0].id, rest[0].id] == [newest, oldest]
    await store.write(
        lambda tx: book.close(tx, Place("reputation", rest[0].provider), oldest, "x", now=NOW)
    )
    assert [r.id for r in await store.read(lambda tx: book.browse(tx, state="closed"))] == [oldest]
    assert await store.write(lambda tx: book.forget(tx, NOW + 1, NOW)) == 1
    assert [r["id"] for r in await incidents_of(store)] == [newest]


async def test_it_is_told_in_words(store: Store) -> None:
    await heard(store, "gmail", BLOCKED, 50)
    await judged(store)
    row = await store.read(lambda tx: book.about(tx, "gmail"))
    shown = view(row)
    assert shown["title"]["en"] == "Gmail refuses our mail for our reputation"
    assert "Gmail" in shown["advice"]["zh"]
    sentence = told(row)
    assert sentence is not None
    assert sentence["text"] == (
        "Gmail refuses our mail for our reputation, since 2027-01-15 08:00 UTC."
    )
    assert told(None) is None


async def test_every_kind_has_its_words_in_both_languages(store: Store) -> None:
    for kind in POLICY.kinds.values():
        place = Place(kind.name, "gmail", "192.0.2.1 is listed by spamcop")
        await store.write(
            lambda tx, place=place, kind=kind: book.open_(  # type: ignore[misc]
                tx, place, kind.fault, {}, now=NOW, new_id=new_id
            )
        )
    for row in await store.read(lambda tx: book.browse(tx)):
        for part in ("title", "mend"):
            for lang in ("en", "zh"):
                text = words(row, part, lang)  # type: ignore[arg-type]
                assert text
                assert "{" not in text

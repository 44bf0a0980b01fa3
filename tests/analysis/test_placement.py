"""Probes settle once, whatever is found in whatever order, and rates follow them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from analysis import placement
from analysis.placement import Place, Probe, Sighting, Tally
from analysis.schema import deliveries, events, messages, placements
from analysis.store import Store

pytestmark = pytest.mark.anyio

NOW = 1_795_000_000.0
HOUR = 3_600.0
LATE = 2 * HOUR


def ulid(n: int) -> str:
    return f"01kas{n:021d}"


def probe(n: int, seed: str = "ann", stream: str = "news") -> Probe:
    return Probe(ulid(n), ulid(1_000 + n), ulid(2_000 + n), seed, "gmail", stream, NOW)


def sighting(n: int, place: Place = Place.INBOX) -> Sighting:
    return Sighting(ulid(n), place, place.value.title(), NOW + 5, "pass", "pass", None)


def send(tx: Connection, *probes: Probe, state: str = "delivered", accepted: bool = True) -> None:
    placement.remember(tx, probes)
    for one in probes:
        tx.execute(insert(messages), _message(one))
        tx.execute(
            insert(deliveries),
            _delivery(one) | {"state": state, "accepted_at": NOW + 1 if accepted else None},
        )


def _message(one: Probe) -> dict[str, Any]:
    told = {"class": "bulk", "from_address": "a@example.com", "subject": "", "size": 1}
    return {
        **told,
        "id": one.message_id,
        "created_at": NOW,
        "stream": one.stream,
        "header_message_id": f"<{one.message_id}@example.com>",
        "deadline": NOW + HOUR,
        "metadata": {},
    }


def _delivery(one: Probe) -> dict[str, Any]:
    return {
        "id": one.delivery_id,
        "message_id": one.message_id,
        "recipient": "ann@seed.example",
        "address_hash": b"a" * 32,
        "domain": "seed.example",
        "stream": one.stream,
        "rank": 2,
        "created_at": NOW,
        "next_at": NOW,
        "deadline": NOW + HOUR,
        "attempts": 1,
        "epoch": 1,
        "provider": "gmail",
        "return_path": "b@bounces.example.com",
        "probe": "placement",
    }


def look(tx: Connection, *found: Sighting, after: float = 60.0) -> list[placement.Settled]:
    return placement.record(tx, "ann", found, looked_at=NOW + after, missing_after=LATE)


def places(tx: Connection) -> dict[str, str | None]:
    rows = tx.execute(select(placements.c.id, placements.c.placement))
    return {row.id: row.placement for row in rows}


async def test_a_sighting_settles_once_however_often_it_is_entered(store: Store) -> None:
    await store.write(lambda tx: send(tx, probe(1)))
    first = await store.write(lambda tx: look(tx, sighting(1)))
    assert [(one.place, one.seconds) for one in first] == [(Place.INBOX, 5.0)]
    assert await store.write(lambda tx: look(tx, sighting(1), sighting(1, Place.JUNK))) == []
    assert await store.read(places) == {ulid(1): "inbox"}
    told = await store.read(lambda tx: list(tx.execute(select(events.c.kind)).scalars()))
    assert told == ["placement"]


async def test_it_is_missing_only_when_it_was_accepted_long_enough_ago(store: Store) -> None:
    await store.write(lambda tx: send(tx, probe(1)))
    await store.write(lambda tx: look(tx, after=LATE))  # accepted a second after NOW
    assert await store.read(places) == {ulid(1): None}
    await store.write(lambda tx: look(tx, after=LATE + 1))
    assert await store.read(places) == {ulid(1): "missing"}
    assert await store.write(lambda tx: look(tx, after=LATE + 2)) == []


async def test_what_turns_up_late_is_missing_no_more(store: Store) -> None:
    await store.write(lambda tx: send(tx, probe(1)))
    await store.write(lambda tx: look(tx, after=LATE + 1))
    late = replace(sighting(1), arrived_at=NOW + 3 * HOUR)
    [one] = await store.write(lambda tx: look(tx, late, after=4 * HOUR))
    assert (one.place, one.seconds) == (Place.INBOX, 3 * HOUR)
    tallies = await store.read(lambda tx: placement.tally(tx, NOW - 1))
    assert tallies == {"gmail": Tally(inbox=1)}


async def test_what_never_was_accepted_is_not_called_missing(store: Store) -> None:
    await store.write(lambda tx: send(tx, probe(1), state="queued", accepted=False))
    await store.write(lambda tx: send(tx, probe(2), state="bounced", accepted=False))
    await store.write(lambda tx: look(tx, after=10 * HOUR))
    assert await store.read(places) == {ulid(1): None, ulid(2): "undelivered"}
    tallies = await store.read(lambda tx: placement.tally(tx, NOW - 1))
    assert tallies["gmail"].samples == 0
    assert tallies["gmail"].ratio is None


async def test_a_look_at_one_seed_settles_nothing_of_another(store: Store) -> None:
    await store.write(lambda tx: send(tx, probe(1), probe(2, seed="jon")))
    await store.write(lambda tx: look(tx, sighting(2), after=10 * HOUR))
    assert await store.read(places) == {ulid(1): "missing", ulid(2): None}


async def test_errands_end_when_everything_was_found_and_taken_out(store: Store) -> None:
    def errand(tx: Connection, after: float = 60.0) -> placement.Errand | None:
        return placement.errand(tx, "ann", NOW + after)

    assert await store.read(errand) is None
    await store.write(lambda tx: send(tx, probe(1), probe(2)))
    first = await store.read(errand)
    assert first is not None
    assert (first.oldest, first.wanted, first.done) == (NOW, {ulid(1), ulid(2)}, frozenset())
    await store.write(lambda tx: look(tx, sighting(1)))
    second = await store.read(errand)
    assert second is not None
    assert (second.wanted, second.done) == ({ulid(2)}, {ulid(1)})
    await store.write(
        lambda tx: placement.record(
            tx, "ann", [], looked_at=NOW + LATE + 9, missing_after=LATE, removed=second.done
        )
    )
    third = await store.read(errand)
    assert third is not None, "it may still turn up"
    assert (third.wanted, third.done) == ({ulid(2)}, frozenset())
    assert await store.read(lambda tx: errand(tx, placement.WATCHED + 1)) is None


async def test_tallies_tell_streams_and_spans_apart(store: Store) -> None:
    await store.write(lambda tx: send(tx, probe(1), probe(2, stream="codes"), probe(3)))
    await store.write(lambda tx: look(tx, sighting(1), sighting(2, Place.JUNK)))
    by_stream = await store.read(lambda tx: placement.tally_by_stream(tx, NOW - 1))
    assert by_stream == {
        ("news", "gmail"): Tally(inbox=1, waiting=1),
        ("codes", "gmail"): Tally(junk=1),
    }
    assert placement.total(list(by_stream.values())) == Tally(inbox=1, junk=1, waiting=1)
    assert await store.read(lambda tx: placement.tally(tx, NOW + 1)) == {}
    assert await store.read(lambda tx: placement.tally(tx, NOW - 1, "qq")) == {}
    newest = await store.read(lambda tx: placement.newest_by_seed(tx, ["ann", "jon"]))
    assert list(newest) == ["ann"]


async def test_old_probes_are_forgotten_a_few_at_a_time(store: Store) -> None:
    await store.write(lambda tx: send(tx, probe(1), probe(2), probe(3)))
    assert await store.write(lambda tx: placement.forget(tx, NOW, 10)) == 0
    assert await store.write(lambda tx: placement.forget(tx, NOW + 1, 2)) == 2
    assert await store.write(lambda tx: placement.forget(tx, NOW + 1, 2)) == 1

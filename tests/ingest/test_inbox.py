"""The inbox: what was stored is read, however readers die; what kills readers is put aside."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import update

from analysis.schema import raw_inbound
from analysis.store import Store, open_store
from ingest import inbox
from ingest.inbox import MOST_TRIES, Raw
from tests.sender.test_queue import scans
from tests.storing import NOW, new_id, rows

pytestmark = pytest.mark.anyio


def raw(content: bytes = b"hello", **other: object) -> Raw:
    given = {
        "id": new_id(),
        "received_at": NOW,
        "peer": "192.0.2.7",
        "helo": "mx.example.net",
        "mail_from": "",
        "recipient": "b+token@bounces.example.com",
        "purpose": "bounce",
        "subject_id": None,
        "content": content,
    }
    return Raw(**(given | other))  # type: ignore[arg-type]


async def kept(store: Store, *raws: Raw) -> None:
    await store.write(lambda tx: inbox.keep(tx, raws))


async def claimed(
    store: Store, now: float = NOW, *, limit: int = 100, node: str = "here"
) -> list[Raw]:
    return await store.write(
        lambda tx: inbox.claim(tx, node=node, now=now, lease=60.0, limit=limit)
    )


async def given_back(store: Store, node: str) -> None:
    await store.write(lambda tx: inbox.give_back(tx, [node]))


async def read(store: Store, raws: list[Raw]) -> None:
    ids = [one.id for one in raws]
    done = update(raw_inbound).where(raw_inbound.c.id.in_(ids)).values(state="read")
    await store.write(lambda tx: tx.execute(done) and None)


async def test_what_was_kept_is_claimed_octet_for_octet(store: Store) -> None:
    every = raw(bytes(range(256)) * 10, subject_id="0" * 26)
    await kept(store, every)
    assert await claimed(store) == [every]


async def test_a_reader_holds_its_mail_until_the_lease_ends(store: Store) -> None:
    await kept(store, raw())
    assert len(await claimed(store)) == 1
    assert await claimed(store, NOW + 59.9) == []
    assert len(await claimed(store, NOW + 60)) == 1


async def test_no_more_is_claimed_than_asked_for(store: Store) -> None:
    await kept(store, *(raw() for _ in range(10)))
    assert [len(await claimed(store, limit=4)) for _ in range(4)] == [4, 4, 2, 0]


async def test_readers_at_once_never_get_the_same_mail(store: Store, migrated_url: str) -> None:
    await kept(store, *(raw() for _ in range(100)))
    other = open_store(migrated_url)
    try:
        found = await asyncio.gather(
            *(claimed(s, limit=7) for _ in range(12) for s in (store, other))
        )
    finally:
        await other.close()
    ids = [one.id for batch in found for one in batch]
    assert len(ids) == len(set(ids)) == 100


async def test_a_reader_that_starts_again_gets_what_it_was_reading_and_no_more(
    store: Store,
) -> None:
    mine, others, fresh = raw(), raw(), raw()
    await kept(store, mine)
    assert await claimed(store, node="here") == [mine]
    await kept(store, others)
    assert await claimed(store, node="there") == [others]
    await kept(store, fresh)
    await given_back(store, "here")
    assert await claimed(store) == [mine], "first, and alone"
    assert await claimed(store) == [fresh]


async def test_a_mail_that_readers_die_of_takes_no_neighbour_with_it(store: Store) -> None:
    mail = [raw(b"poison" if n == 2 else b"fine") for n in range(4)]
    await kept(store, *mail)
    for _ in range(20):
        await given_back(store, "here")
        while batch := await claimed(store):
            if mail[2] in batch:
                break  # and with it the reader
            await read(store, batch)
    states = {bytes(row["content"]): row["state"] for row in await rows(store, raw_inbound)}
    assert states == {b"fine": "read", b"poison": "aside"}


async def test_what_several_readers_died_of_is_put_aside_and_kept(store: Store) -> None:
    await kept(store, raw(b"poison"))
    for number in range(MOST_TRIES):
        assert len(await claimed(store, NOW + 60 * number)) == 1
    assert await claimed(store, NOW + 60 * MOST_TRIES) == []
    [poison] = await rows(store, raw_inbound)
    assert (poison["state"], bytes(poison["content"])) == ("aside", b"poison")
    assert str(MOST_TRIES) in poison["error"]


async def test_what_was_read_or_put_aside_is_not_claimed_again(store: Store) -> None:
    aside, done = raw(), raw()
    await kept(store, aside, done)
    await store.write(lambda tx: inbox.put_aside(tx, aside.id, "ValueError: " + "x" * 1000))
    await read(store, [done])
    assert await claimed(store) == []
    row = (await rows(store, raw_inbound, raw_inbound.c.id == aside.id))[0]
    assert (row["understood"], len(row["error"])) == (False, 500)


async def test_unread_counts_what_waits_and_what_is_being_read(store: Store) -> None:
    await kept(store, raw(), raw(), raw())
    await claimed(store, limit=1)
    aside = (await rows(store, raw_inbound))[-1]["id"]
    await store.write(lambda tx: inbox.put_aside(tx, aside, "no"))
    assert await store.read(inbox.unread) == 2


def test_claiming_does_not_read_the_whole_history(tmp_path: Path) -> None:
    assert scans(tmp_path, lambda tx: inbox.claim(tx, node="n", now=NOW, lease=1, limit=9)) == []


def test_giving_back_does_not_read_the_whole_history(tmp_path: Path) -> None:
    assert scans(tmp_path, lambda tx: inbox.give_back(tx, ["n"])) == []


def test_counting_the_unread_does_not_read_the_whole_history(tmp_path: Path) -> None:
    assert scans(tmp_path, inbox.unread) == []

"""Back-pressure at the listener: what nobody reads is let grow so far, and no further."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from analysis.store import Store, StoreUnavailable
from ingest import inbox
from ingest.backlog import Backlog
from ingest.recipients import Accepted
from sender.tokens import Purpose, Token
from tests.ingest.test_inbox import claimed, kept, raw, read

pytestmark = pytest.mark.anyio

OURS = Accepted("b+token@bounces.example.com", "bounce", Token(Purpose.BOUNCE, "0" * 26, 0.0, "1"))
ANYBODY = Accepted("postmaster@bounces.example.com", "postmaster", None)


def unheard() -> None:
    """Nobody counts."""


async def test_reports_that_nobody_reads_put_off_more_of_them_and_room_comes_back(
    store: Store,
) -> None:
    told = Counter[str]()
    backlog = Backlog(store, 3, lambda: told.update(["put off"]))
    await kept(store, raw(), raw())
    await backlog.look()
    assert backlog.has_room(OURS)
    await kept(store, raw())
    await backlog.look()
    assert not backlog.has_room(OURS)
    assert told.total() == 1
    await read(store, await claimed(store, limit=1))
    await backlog.look()
    assert backlog.has_room(OURS)


async def test_what_was_stored_since_the_last_look_counts(store: Store) -> None:
    backlog = Backlog(store, 5, unheard)
    await backlog.look()
    backlog.came(4)
    assert backlog.has_room(OURS)
    backlog.came(1)
    assert not backlog.has_room(OURS)


async def test_what_comes_while_looking_is_not_forgotten(store: Store) -> None:
    backlog = Backlog(store, 1, unheard)
    look = asyncio.create_task(backlog.look())
    await asyncio.sleep(0)
    backlog.came(1)
    await look
    assert not backlog.has_room(OURS)


async def test_mail_that_anybody_may_send_leaves_half_of_the_room_to_what_proves_itself(
    store: Store,
) -> None:
    backlog = Backlog(store, 4, unheard)
    backlog.came(1)
    assert backlog.has_room(ANYBODY)
    backlog.came(1)
    assert not backlog.has_room(ANYBODY)
    assert backlog.has_room(OURS)


@pytest.mark.parametrize("accepted", [OURS, ANYBODY])
async def test_room_for_one_is_room_for_any(store: Store, accepted: Accepted) -> None:
    assert Backlog(store, 1, unheard).has_room(accepted)


async def test_without_a_limit_there_is_always_room(store: Store) -> None:
    backlog = Backlog(store, 0, unheard)
    backlog.came(10_000_000)
    assert backlog.has_room(ANYBODY)


async def test_the_unread_are_counted_no_further_than_the_limit(store: Store) -> None:
    await kept(store, *(raw() for _ in range(9)))
    assert await store.read(lambda tx: inbox.unread(tx, 5)) == 5
    assert await store.read(inbox.unread) == 9


async def test_what_was_seen_stands_while_the_database_is_away(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    backlog, stop = Backlog(store, 1, unheard), asyncio.Event()
    await kept(store, raw())
    await backlog.look()

    async def away(_work: object) -> None:
        stop.set()
        raise StoreUnavailable("gone")

    monkeypatch.setattr(store, "read", away)
    await backlog.serve(stop)
    assert not backlog.has_room(OURS)

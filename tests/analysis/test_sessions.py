"""Sessions end when they should, links let one in, and the database proves nobody."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from analysis import sessions
from analysis.schema import console_links, console_sessions
from analysis.sessions import Guest, Lasting, Session
from analysis.store import Store
from tests.storing import NOW

pytestmark = pytest.mark.anyio

TOKEN = sessions.new_token(lambda octets: b"\x07" * octets)
LASTING = Lasting(idle=600.0, life=3_600.0)
GUEST = Guest("link of ada", frozenset({"read", "suppress"}))


async def begun(store: Store, token: str = TOKEN) -> None:
    await store.write(
        lambda tx: sessions.begin(
            tx, token, actor="ada", key_id="k1", scopes=["read"], now=NOW, lasting=LASTING
        )
    )


async def found(store: Store, at: float, token: str = TOKEN) -> Session | None:
    return await store.read(lambda tx: sessions.find(tx, token, now=at, lasting=LASTING))


async def test_a_session_stands_until_it_was_idle_too_long(store: Store) -> None:
    await begun(store)
    assert await found(store, NOW + 599) == Session(
        "ada", "k1", frozenset({"read"}), NOW, NOW, NOW + 3_600
    )
    assert await found(store, NOW + 600) is None


async def test_however_busy_it_ends_when_its_time_is_up(store: Store) -> None:
    await begun(store)
    for at in range(300, 3_600, 300):
        assert await found(store, NOW + at) is not None
        await store.write(lambda tx, at=at: sessions.note_seen(tx, TOKEN, now=NOW + at))  # type: ignore[misc]
    assert await found(store, NOW + 3_600) is None


async def test_neither_a_token_nor_a_link_is_kept(store: Store) -> None:
    await begun(store)
    await store.write(lambda tx: sessions.make_link(tx, TOKEN, GUEST, now=NOW))
    rows = await store.read(
        lambda tx: [*tx.execute(select(console_sessions)), *tx.execute(select(console_links))]
    )
    assert len(rows) == 2
    assert TOKEN not in repr(rows)
    assert sessions.csrf(TOKEN) not in repr(rows)


@pytest.mark.parametrize("token", ["", "x", "x" * 200, "\ud800", "'; DROP TABLE", TOKEN + "A"])
async def test_any_other_token_finds_nothing(store: Store, token: str) -> None:
    await begun(store)
    assert await found(store, NOW, token) is None
    assert await store.write(lambda tx: sessions.redeem(tx, token, now=NOW)) is None


async def test_ending_a_session_ends_it(store: Store) -> None:
    await begun(store)
    await store.write(lambda tx: sessions.end(tx, TOKEN))
    assert await found(store, NOW) is None


async def test_of_ten_who_follow_a_link_at_once_one_gets_in(store: Store) -> None:
    await store.write(lambda tx: sessions.make_link(tx, TOKEN, GUEST, now=NOW))
    guests = await asyncio.gather(
        *(store.write(lambda tx: sessions.redeem(tx, TOKEN, now=NOW + 1)) for _ in range(10))
    )
    assert [guest for guest in guests if guest is not None] == [GUEST]


async def test_a_link_runs_out_and_is_gone_by_the_attempt(store: Store) -> None:
    await store.write(lambda tx: sessions.make_link(tx, TOKEN, GUEST, now=NOW))
    late = NOW + sessions.LINK_LASTS
    assert await store.write(lambda tx: sessions.redeem(tx, TOKEN, now=late)) is None
    assert await store.write(lambda tx: sessions.redeem(tx, TOKEN, now=NOW)) is None


async def test_a_link_with_a_scope_that_does_not_exist_is_not_made(store: Store) -> None:
    guest = Guest("x", frozenset({"rule"}))
    with pytest.raises(ValueError, match="no scope rule"):
        await store.write(lambda tx: sessions.make_link(tx, TOKEN, guest, now=NOW))


async def test_what_has_ended_is_forgotten_and_nothing_else(store: Store) -> None:
    await begun(store)
    await store.write(lambda tx: sessions.make_link(tx, TOKEN, GUEST, now=NOW))
    for at, gone in ((NOW + 599, 0), (NOW + 600, 1), (NOW + 3_599, 0), (NOW + 3_600, 1)):
        assert await store.write(lambda tx, at=at: sessions.forget_ended(tx, at)) == gone  # type: ignore[misc]


def test_a_form_token_belongs_to_one_session() -> None:
    assert sessions.csrf(TOKEN) != sessions.csrf(TOKEN[:-1] + "B")
    assert sessions.same(sessions.csrf(TOKEN), sessions.csrf(TOKEN))
    assert not sessions.same("\udcff é", sessions.csrf(TOKEN))

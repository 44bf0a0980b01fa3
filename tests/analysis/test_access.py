"""Access: keys of both places, asked for rarely, refused soon after they are revoked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from analysis import keys, migrate
from analysis.access import Access
from analysis.problem import Problem
from analysis.store import Store, open_store

pytestmark = pytest.mark.anyio


class Counted:
    """A store that counts how often it is read."""

    def __init__(self, store: Store) -> None:
        self.url = store.url
        self.reads = 0
        self._store = store
        self.write = store.write
        self.close = store.close

    async def read(self, work: Callable[[Connection], Any]) -> Any:
        self.reads += 1
        return await self._store.read(work)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def made(name: str, seed: int) -> keys.NewKey:
    return keys.make(name, ["read"], lambda n: bytes([seed]) * n)


async def refused(access: Access, authorization: str) -> int:
    with pytest.raises(Problem) as caught:
        await access.caller(authorization)
    return caught.value.status


async def test_keys_of_both_places(tmp_path: Path) -> None:
    store = Counted(open_store(f"sqlite:///{tmp_path / 'a.db'}"))
    clock = Clock()
    try:
        await store.write(migrate.upgrade)
        ours, theirs, later = made("ours", 1), made("theirs", 2), made("later", 3)
        await store.write(lambda tx: keys.add(tx, theirs.key, now=0.0))
        access = Access(store, {ours.key.id: ours.key}, monotonic=clock, fresh=5.0)

        assert (await access.caller(f"Bearer {ours.text}")).name == "ours"
        assert store.reads == 0  # a key of the settings needs no database
        assert (await access.caller(f"bearer  {theirs.text} ")).name == "theirs"
        for _ in range(3):
            assert await refused(access, f"Bearer {later.text}") == 401
        assert store.reads == 1  # invented keys cost nothing

        await store.write(lambda tx: keys.add(tx, later.key, now=0.0))
        await store.write(lambda tx: keys.revoke(tx, theirs.key.id, now=0.0))
        clock.now = 5.0
        assert (await access.caller(f"Bearer {later.text}")).name == "later"
        assert await refused(access, f"Bearer {theirs.text}") == 401
        assert store.reads == 2
    finally:
        await store.close()


async def test_a_right_id_with_a_wrong_secret_is_refused(tmp_path: Path) -> None:
    ours = made("ours", 1)
    store = open_store(f"sqlite:///{tmp_path / 'a.db'}")
    access = Access(store, {ours.key.id: ours.key}, monotonic=Clock())
    try:
        wrong = f"carom_{ours.key.id}_{'0' * 64}"
        for text in (wrong, ours.text[:-1], ours.text + "0", "é", "carom__", ""):
            assert await refused(access, f"Bearer {text}") == 401
        assert await refused(access, ours.text) == 401
    finally:
        await store.close()

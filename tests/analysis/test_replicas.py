"""A standby answers while it is fresh; else, and for what decides on sending, the primary does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from analysis import migrate
from analysis.replicas import Replicas
from analysis.store import Store, StoreUnavailable, open_store
from analysis.suppression import standing, suppress
from tests.servers.postgres import Postgres, Standby
from tests.storing import NOW, entry, hash_of

pytestmark = pytest.mark.anyio

LAG = 5.0
SYSTEM = 7
URL = make_url("postgresql://carom:secret@standby.example/carom")


class Fake:
    """A database that says how far it is, and its name to everybody else."""

    url = URL

    def __init__(self, name: str, lsn: int | None, system: int = SYSTEM) -> None:
        self.name, self.lsn, self.system = name, lsn, system
        self.broken = False

    async def read(self, work: Callable[[Any], Any]) -> Any:
        if self.broken:
            raise StoreUnavailable("gone")
        return work(self)

    write = read

    async def close(self) -> None:
        pass

    def execute(self, statement: object) -> Fake:
        return self

    def one(self) -> tuple[int, int | None]:
        return self.system, self.lsn


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def _asked(replicas: Replicas) -> str:
    name: str = await replicas.read(lambda tx: tx.name)  # type: ignore[attr-defined]
    return name


@pytest.fixture
def primary() -> Fake:
    return Fake("primary", 100)


@pytest.fixture
def standby() -> Fake:
    return Fake("standby", 100)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def replicas(primary: Fake, standby: Fake, clock: Clock) -> Replicas:
    return Replicas(primary, [standby], lag=LAG, monotonic=clock)


async def test_nobody_is_asked_who_was_not_looked_at(replicas: Replicas) -> None:
    assert await _asked(replicas) == "primary"
    await replicas.look()
    assert await _asked(replicas) == "standby"


async def test_without_replicas_the_primary_answers(primary: Fake, clock: Clock) -> None:
    assert await _asked(Replicas(primary, [], lag=LAG, monotonic=clock)) == "primary"


async def test_one_of_an_idle_primary_stays_fresh(replicas: Replicas, clock: Clock) -> None:
    for _ in range(20):
        clock.now += LAG / 4
        await replicas.look()
        assert await _asked(replicas) == "standby"


async def test_one_that_is_behind_by_no_more_than_the_bound_answers(
    replicas: Replicas, primary: Fake, standby: Fake, clock: Clock
) -> None:
    await replicas.look()
    primary.lsn = 200
    clock.now += LAG
    await replicas.look()
    assert await _asked(replicas) == "standby", "it knows all until a bound ago"
    clock.now += 0.1
    assert await _asked(replicas) == "primary"
    await replicas.look()
    assert await _asked(replicas) == "primary"
    standby.lsn = 200
    await replicas.look()
    assert await _asked(replicas) == "standby", "it has caught up"


async def test_one_that_nobody_looked_at_for_long_is_left_alone(
    replicas: Replicas, primary: Fake, clock: Clock
) -> None:
    await replicas.look()
    primary.broken = True
    clock.now += LAG + 0.1
    await replicas.look()
    with pytest.raises(StoreUnavailable):
        await _asked(replicas)


async def test_one_that_fails_is_left_alone_until_the_next_look(
    replicas: Replicas, standby: Fake
) -> None:
    await replicas.look()
    standby.broken = True
    assert await _asked(replicas) == "primary"
    standby.broken = False
    assert await _asked(replicas) == "primary"
    await replicas.look()
    assert await _asked(replicas) == "standby"


@pytest.mark.parametrize(
    "other",
    [Fake("promoted", None), Fake("of another primary", 900, system=8)],
    ids=lambda other: other.name,
)
async def test_one_that_is_no_standby_of_this_primary_is_never_asked(
    other: Fake, primary: Fake, clock: Clock
) -> None:
    replicas = Replicas(primary, [other], lag=LAG, monotonic=clock)
    await replicas.look()
    assert await _asked(replicas) == "primary"


async def test_fresh_ones_take_turns(primary: Fake, clock: Clock) -> None:
    standbys = [Fake(name, 100) for name in "ab"] + [Fake("behind", 99)]
    replicas = Replicas(primary, standbys, lag=LAG, monotonic=clock)
    await replicas.look()
    assert {await _asked(replicas) for _ in range(4)} == {"a", "b"}


@pytest.fixture(scope="module")
def standby_server(postgres_server: Postgres) -> Any:
    with postgres_server.standby() as server:
        yield server


@pytest.fixture
async def pair(postgres_url: str, standby_server: Standby) -> AsyncIterator[tuple[Store, Store]]:
    """A migrated database, and the same on the standby."""
    name = make_url(postgres_url).database or ""
    stores = open_store(postgres_url), open_store(standby_server.url(name))
    await stores[0].write(migrate.upgrade)
    yield stores
    for store in stores:
        await store.close()


@pytest.mark.postgres
async def test_a_real_standby_answers_until_it_falls_behind(pair: tuple[Store, Store]) -> None:
    primary, standby = pair
    replicas = Replicas(primary, [standby], lag=60.0, monotonic=asyncio.get_running_loop().time)
    await _until(lambda: _answers(replicas, recovering=True))
    ann, bob = hash_of("ann@example.net"), hash_of("bob@example.net")
    await primary.write(lambda tx: suppress(tx, [entry("ann@example.net")]))
    await _until(lambda: replicas.read(lambda tx: bool(standing(tx, [ann], NOW))))
    with pytest.raises(Exception, match="read-only"):
        await standby.write(lambda tx: suppress(tx, [entry("bob@example.net")]))

    # Replay is held up: what is committed from now on is not seen there.
    await standby.read(lambda tx: tx.execute(text("SELECT pg_wal_replay_pause()")) and None)
    paused = text("SELECT pg_get_wal_replay_pause_state() = 'paused'")
    await _until(lambda: standby.read(lambda tx: tx.execute(paused).scalar_one()))
    try:
        await primary.write(lambda tx: suppress(tx, [entry("bob@example.net")]))
        now = Replicas(primary, [standby], lag=60.0, monotonic=Clock())
        assert not await _answers(now, recovering=True)
        assert await now.read(lambda tx: bool(standing(tx, [bob], NOW)))
        assert not await standby.read(lambda tx: bool(standing(tx, [bob], NOW)))
    finally:
        await standby.read(lambda tx: tx.execute(text("SELECT pg_wal_replay_resume()")) and None)
    await _until(lambda: standby.read(lambda tx: bool(standing(tx, [bob], NOW))))


async def _answers(replicas: Replicas, *, recovering: bool) -> bool:
    """Whether a standby answers."""
    await replicas.look()
    recovery = text("SELECT pg_is_in_recovery()")
    found: bool = await replicas.read(lambda tx: tx.execute(recovery).scalar_one())
    return found is recovering


async def _until(happened: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                if await happened():
                    return
            except StoreUnavailable:
                pass  # the database has not come over yet
            await asyncio.sleep(0.05)

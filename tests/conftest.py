"""Fixtures of every test: the two databases, the real mail servers, free ports.

A test names the server it needs by a marker (`postgres`, `postfix`, `exim`, `dovecot`); asking for
one of the fixtures below sets the marker by itself.  Where the server is missing the test is
skipped with the reason; with CI=true it fails instead.  Tests that start a mail
server share one xdist worker, so that two cores never run several of them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest
from fastapi.dependencies import models
from hypothesis import HealthCheck, settings

from analysis.store import Store, open_store
from tests import moulds, servers
from tests.amounts import Amount
from tests.servers import chromium, dovecot, exim, postfix, postgres, signed_dns

_S = TypeVar("_S", bound=servers.Server)

# Each run on a desk draws new examples; a CI run draws the same ones each time, so that it judges
# the change and not the draw.  How long an example takes says how busy the machine is.
_PATIENT: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow],
}
settings.register_profile("desk", **_PATIENT)
settings.register_profile("ci", derandomize=True, **_PATIENT)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "desk")

_MISSING: dict[str, Callable[[], str | None]] = {
    "postgres": postgres.missing,
    "postfix": postfix.missing,
    "exim": exim.missing,
    "dovecot": dovecot.missing,
    "dnssec": signed_dns.missing,
    "chromium": chromium.missing,
}
_FIXTURE_NEEDS = {
    "postgres_server": "postgres",
    "durable_postgres_server": "postgres",
    "start_postfix": "postfix",
    "start_exim": "exim",
    "start_dovecot": "dovecot",
    "start_signed_dns": "dnssec",
    "browser": "chromium",
}
_SHARE_A_WORKER = ("postfix", "exim", "dovecot")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full", action="store_true", help="run the stories of crashes in full size: minutes"
    )
    parser.addoption(
        "--part", type=float, default=1.0, help="so much of the full form (default: 1.0)"
    )
    parser.addoption(
        "--seed", type=int, default=2, help="draws the moments of crashes (default: 2)"
    )


@pytest.hookimpl(tryfirst=True)  # xdist's own hook reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if config.getoption("--full"):  # it takes what it takes
            item.add_marker(pytest.mark.timeout(config.getoption("timeout") or 0), append=False)
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in _FIXTURE_NEEDS:
                item.add_marker(_FIXTURE_NEEDS[fixture])
        if any(item.get_closest_marker(name) for name in _SHARE_A_WORKER):
            item.add_marker(pytest.mark.xdist_group("mail servers"))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """FastAPI keeps callables by the thousand, and with the `self` of each an engine:
    3 MB for every test that builds one."""
    for remembering in vars(models).values():
        if hasattr(remembering, "cache_clear"):
            remembering.cache_clear()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name, missing in _MISSING.items():
        if item.get_closest_marker(name) and (reason := missing()):
            _refuse(reason)


def _refuse(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have every server: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture
def anyio_backend() -> str:
    """Carom runs on asyncio only."""
    return "asyncio"


@pytest.fixture
def amount(request: pytest.FixtureRequest) -> Amount:
    """`amount(20, 10_000)`: 20 in the short form, 10,000 with `--full`."""
    options = request.config
    return Amount(bool(options.getoption("--full")), float(options.getoption("--part")))


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> Random:
    """Drawn anew by `--seed`, the same for the same seed."""
    return Random(int(request.config.getoption("--seed")))


@pytest.fixture
def seen(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """`seen("200 cuts, 0 missing")`: what the table of docs/torture.md says of this run."""

    def note(figures: str) -> None:
        record_property("seen", figures)
        print(figures)

    return note


@pytest.fixture
def free_port() -> int:
    """A loopback port on which nothing listens."""
    return servers.free_port()


@pytest.fixture
def swaks() -> str:
    """The program swaks, an SMTP client for everything that one should not do."""
    found = shutil.which("swaks")
    if found is None:
        _refuse("swaks is not installed: run .ci/servers as root on Debian")
    return found or ""


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Postgres]:
    """One PostgreSQL for this worker's session, quick and without fsync."""
    with postgres.Postgres() as server:
        yield server


@pytest.fixture(scope="module")
def durable_postgres_server() -> Iterator[postgres.Postgres]:
    """A PostgreSQL with fsync, for tests that crash it or anything that writes to it."""
    with postgres.Postgres(durable=True) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: postgres.Postgres) -> Iterator[str]:
    """A database of this test's own: `postgresql+asyncpg://...`, dropped afterwards."""
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)],
)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database; the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'carom.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with our tables and nothing in them, to be copied."""
    return Path(shutil.copy(moulds.sqlite(), tmp_path_factory.mktemp("migrated")))


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: postgres.Postgres) -> str:
    """The name of a PostgreSQL database with our tables and nothing in them, to be copied."""
    name = postgres_server.create_database()
    moulds.upgrade(postgres_server.url(name))
    return name


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of this test's own with our tables; once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        file = tmp_path / "carom.db"
        shutil.copy(moulds.sqlite(), file)
        yield f"sqlite:///{file}"
        return
    template: str = request.getfixturevalue("migrated_postgres")
    server: postgres.Postgres = request.getfixturevalue("postgres_server")
    name = server.create_database(template)
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def database_url(migrated_url: str) -> str:
    """A database for a story, with our tables: who starts on it finds nothing to migrate."""
    return migrated_url


@pytest.fixture
async def store(migrated_url: str) -> AsyncIterator[Store]:
    """The store behind `migrated_url`, open."""
    store = open_store(migrated_url, keys=(b"a key that tests erase with" * 2,))
    yield store
    await store.close()


@pytest.fixture
def start_postfix(request: pytest.FixtureRequest) -> Iterator[Callable[..., postfix.Postfix]]:
    """`start_postfix(users=[...], ...)`: a started Postfix; arguments are the class's own."""
    yield from _starter(request, postfix.Postfix)


@pytest.fixture
def start_exim(request: pytest.FixtureRequest) -> Iterator[Callable[..., exim.Exim]]:
    """`start_exim(accept_then_bounce={...}, ...)`: a started Exim."""
    yield from _starter(request, exim.Exim)


@pytest.fixture
def start_dovecot(request: pytest.FixtureRequest) -> Iterator[Callable[..., dovecot.Dovecot]]:
    """`start_dovecot(users={"ann@seed.example": SIEVE}, ...)`: a started Dovecot."""
    yield from _starter(request, dovecot.Dovecot)


@pytest.fixture
def start_signed_dns(
    request: pytest.FixtureRequest,
) -> Iterator[Callable[..., signed_dns.SignedDns]]:
    """`start_signed_dns(signed={...}, ...)`: nsd and unbound; arguments are the class's own."""
    yield from _starter(request, signed_dns.SignedDns)


def _starter(request: pytest.FixtureRequest, make: type[_S]) -> Iterator[Callable[..., _S]]:
    with ExitStack() as stack:
        started: list[_S] = []

        def start(**arguments: Any) -> _S:
            server = make(**arguments)
            stack.enter_context(server)
            started.append(server)
            return server

        yield start
        for server in started:
            request.node.add_report_section("teardown", f"{make.__name__} log", server.log())

"""Kill -9, again and again: what was promised is kept, and nothing is written twice.

A message answered 202 and a report answered 250 are promises.  The service dies at drawn moments,
each one at which a death makes a difference: while it submits, before and after the final dot,
between COMMIT and answer.  Clients do what clients do: ask again, with the same Idempotency-Key
or the same mail.

R1 and R2 of docs/torture.md: the short form runs in `make test`; the full one has 20,000 of each
and 50 deaths.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2 as httpx
import pytest
from sqlalchemy import Connection, func, select

from analysis.lookup import accounts
from analysis.schema import attempts, audit, deliveries, events, messages, raw_inbound, reports
from analysis.store import Store, open_store
from tests.amounts import Amount
from tests.flows.house import BOUNCES, SHOP, environment, set_up, suppressed_addresses, until
from tests.flows.mortal import Fate, deaths, mortal
from tests.ingest.letters import group, report
from tests.peers.counting_sink import Copy, CountingSink
from tests.peers.smtp_client import Wire, dial
from tests.servers import LOOPBACK, free_port
from tests.servers.postgres import Postgres

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]

CONCURRENCY = 8
"""Attempts under way at once: each death can double so many copies and no more."""
CLIENTS = 16
"""Submitters, and remote hosts with reports, at once."""
PATIENCE = 600.0

_SETTINGS = {
    "CAROM_SENDER__CONCURRENCY": str(CONCURRENCY),
    "CAROM_SENDER__SITE_CONNECTIONS": str(CONCURRENCY),
    "CAROM_INGEST__LIMITS__CONNECTIONS_PER_MINUTE": "1000000",
    "CAROM_SUPPRESSION__BREAKER": "false",  # half of a provider's mailboxes die here, and may
}


@dataclass(frozen=True, slots=True)
class Size:
    count: int
    kills: int
    seed: int


@pytest.fixture
def size(request: pytest.FixtureRequest, amount: Amount) -> Size:
    return Size(amount(150, 20_000), amount(3, 50), request.config.getoption("--seed"))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def durable_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database that waits for the disk."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'carom.db'}"
    server: Postgres = request.getfixturevalue("durable_postgres_server")
    return server.url(server.create_database())


@dataclass(frozen=True, slots=True)
class Scene:
    """A mortal Carom, the host it sends to, and a look into its database that survives it."""

    sink: CountingSink
    fate: Fate
    store: Store
    client: httpx.AsyncClient
    listener: int
    cut_off: list[str] = field(default_factory=list)  # reports whose session a death ended

    async def submit(self, recipient: str) -> str:
        """The id in the 202, however often it takes to get one."""
        body = {"from": SHOP, "to": [recipient], "subject": "Your order", "text": "Hello.\n"}
        headers = {"Idempotency-Key": recipient}

        async def once() -> str | None:
            try:
                answer = await self.client.post("/v1/messages", json=body, headers=headers)
            except httpx.TransportError:
                return None
            assert answer.status_code in (202, 503), answer.text
            self.fate.tick()
            return str(answer.json()["id"]) if answer.status_code == 202 else None

        return await until(once, PATIENCE) or ""

    async def hand_in(self, to: str, letter: bytes) -> None:
        """Give a report to the listener, however often it takes until it says 250."""

        async def once() -> bool:
            with contextlib.suppress(ConnectionError):
                async with dial(self.listener, greet=False) as wire:
                    answer = await self._converse(wire, to, letter)
                    assert not answer or answer.startswith("250 "), answer
                    if not answer:
                        self.cut_off.append(to)
                    return bool(answer)
            return False

        await until(once, PATIENCE)

    async def _converse(self, wire: Wire, to: str, letter: bytes) -> str:
        """The answer to the letter, or nothing if the line went dead before it."""
        lines = ("EHLO mx.example.org", "MAIL FROM:<>", f"RCPT TO:<{to}>", "DATA")
        with contextlib.suppress(ConnectionError):
            greeting = await wire.reply()
            for line in lines if greeting else ():
                if not await wire.say(line):
                    return ""
                self.fate.tick()
            wire.write(letter + b"\r\n.\r\n")
            self.fate.tick()
            answer = await wire.reply()
            self.fate.tick()
            return answer
        return ""

    async def settled(self) -> dict[str, int]:
        """Wait until nothing is queued, under way or unread; the accounts then."""

        async def is_quiet() -> dict[str, int] | None:
            states, unread = await self.store.read(lambda tx: (accounts(tx), _unread(tx)))
            return None if states["queued"] or states["sending"] or unread else states

        return await until(is_quiet, PATIENCE) or {}


@asynccontextmanager
async def scene(folder: Path, database_url: str, doom: Fate) -> AsyncIterator[Scene]:
    config, key = set_up(folder)
    api, listener = free_port(), free_port()
    store = open_store(database_url)
    client = httpx.AsyncClient(
        base_url=f"http://{LOOPBACK}:{api}",
        headers={"Authorization": f"Bearer {key}"},
        trust_env=False,
        timeout=60,
    )
    async with CountingSink(doom.tick) as sink, client, contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        ports = environment(database_url, mx=sink.port, ingest=listener, api=api)
        await stack.enter_async_context(mortal(folder, config, {**ports, **_SETTINGS}, doom))
        yield Scene(sink, doom, store, client, listener)


async def test_no_death_loses_a_message_or_sends_more_than_it_must(
    durable_url: str, tmp_path: Path, size: Size, seen: Callable[[str], None]
) -> None:
    to = [recipient(number) for number in range(size.count)]
    doom = Fate(deaths(size.seed, count=size.kills, ticks=4 * size.count))
    async with scene(tmp_path, durable_url, doom) as carom:
        ids = await in_turns(to, carom.submit)
        books = await carom.settled()
        assert doom.kills == size.kills

        # Every 202 is one message, and every message had its 202.
        assert await carom.store.read(message_ids) == sorted(ids)
        gone = [one for one in to if one.startswith("gone")]
        assert books["bounced"] == len(gone)
        assert books["delivered"] == len(to) - len(gone)
        assert sum(books.values()) == len(to)

        # Copies: each message at least once, few of them twice, all copies the same.
        copies = carom.sink.copies
        assert {c.recipient for c in copies} == set(to) - set(gone)
        extra = len(copies) - len({c.recipient for c in copies})
        lost = await carom.store.read(lost_attempts)
        assert 0 < lost <= CONCURRENCY * size.kills
        assert extra <= lost, "each second copy is owed to an attempt that died"
        assert len(set(copies)) == len({c.recipient for c in copies})
        assert set(copies) == await carom.store.read(deliverable)

        # No outcome was written twice.
        told = await carom.store.read(outcomes)
        assert told.pop("delivered") == Counter({1: books["delivered"]})
        assert told.pop("bounced") == Counter({1: books["bounced"]})
        assert told.pop("suppressed") == Counter({1: books["bounced"]})
        assert told.pop("deferred", Counter()).keys() <= {1}
        assert not told
        assert await carom.store.read(final_attempts) == Counter({1: len(to)})
        assert await carom.store.read(suppressed_addresses) == sorted(gone)
        assert await carom.store.read(audited) == Counter({1: len(gone)})
    seen(
        f"{_database(durable_url)}: {len(to)} sends, {doom.kills} kills: lost 0, "
        f"{extra} copies twice for {lost} attempts cut off, Message-IDs identical"
    )


async def test_no_death_loses_a_report_or_records_one_twice(
    durable_url: str, tmp_path: Path, size: Size, seen: Callable[[str], None]
) -> None:
    """A third of the deaths while it takes messages, the others while it takes reports of them."""
    to = [f"user{number}@known.example" for number in range(size.count)]
    early = size.kills // 3
    doom = Fate(deaths(size.seed, count=early, ticks=4 * size.count))
    async with scene(tmp_path, durable_url, doom) as carom:
        ids = await in_turns(to, carom.submit)
        await carom.settled()
        assert doom.kills == early
        assert await carom.store.read(message_ids) == sorted(ids), "one for each key"
        copies = set(carom.sink.copies)
        assert sorted(copy.recipient for copy in copies) == sorted(to)

        doom.ticks = 0
        doom.deaths += deaths(size.seed, count=size.kills - early, ticks=5 * size.count)
        in_order = sorted(copies, key=lambda copy: copy.recipient)
        await in_turns(in_order, lambda copy: carom.hand_in(copy.return_path, dsn(copy)))
        books = await carom.settled()
        assert doom.kills == size.kills

        assert carom.cut_off, "the deaths came while somebody was talking to us"

        # Every 250 was kept; a report whose 250 was lost on the way came again.
        kept = await carom.store.read(raw_by_recipient)
        assert kept.keys() == {copy.return_path for copy in copies}
        again = kept.total() - len(kept)
        assert again <= len(carom.cut_off) <= CLIENTS * size.kills
        begun_twice = await carom.store.read(reread)
        assert await carom.store.read(set_aside) == 0

        # Recorded once each, whoever died over it, and acted on once.
        assert await carom.store.read(reported) == Counter({1: len(to)})
        assert books["bounced"] == len(to)
        told = await carom.store.read(outcomes)
        gone = sorted(copy.recipient for copy in copies if is_gone(copy))
        assert told.pop("delivered") == Counter({1: len(to)})
        assert told.pop("bounced") == Counter({1: len(to)})
        assert told.pop("suppressed") == Counter({1: len(gone)})
        assert not told
        assert await carom.store.read(suppressed_addresses) == gone
        assert await carom.store.read(audited) == Counter({1: len(gone)})
    cut = f"{len(carom.cut_off)} cut off, {again} of them kept"
    seen(
        f"{_database(durable_url)}: {len(to)} by the API and as many reports by SMTP, {doom.kills} "
        f"kills: acknowledged and missing 0, two for one key 0 ({cut}, {begun_twice} begun twice)"
    )


def recipient(number: int) -> str:
    """Most are delivered; one in ten is refused, one in fifteen put off once."""
    role = "gone" if number % 10 == 0 else "later" if number % 15 == 1 else "user"
    return f"{role}{number}@known.example"


def is_gone(copy: Copy) -> bool:
    """Of two users one is gone, the other's mailbox is full."""
    return int(copy.recipient.partition("@")[0].removeprefix("user")) % 2 == 0


def dsn(copy: Copy) -> bytes:
    """What a receiving host writes back about a copy it had taken."""
    status, words = ("5.1.1", "550 5.1.1 No such user here")
    if not is_gone(copy):
        status, words = ("5.2.2", "552 5.2.2 Mailbox full")
    about = group(
        final_recipient=f"rfc822; {copy.recipient}",
        action="failed",
        status=status,
        diagnostic_code=f"smtp; {words}",
    )
    returned = f"Message-ID: {copy.message_id}\nFrom: {SHOP}\nTo: {copy.recipient}\n\nHello."
    letter = report(about, returned=returned)
    assert copy.return_path.endswith(f"@{BOUNCES}")
    return letter


Work = Callable[..., Awaitable[str | None]]


async def in_turns(items: Sequence[object], work: Work) -> list[str | None]:
    """The work on each item, CLIENTS at once, in the order of the items."""
    turns = asyncio.Semaphore(CLIENTS)

    async def one(item: object) -> str | None:
        async with turns:
            return await work(item)

    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(one(item)) for item in items]
    return [task.result() for task in started]


def message_ids(tx: Connection) -> list[str]:
    return list(tx.execute(select(messages.c.id).order_by(messages.c.id)).scalars())


def deliverable(tx: Connection) -> set[Copy]:
    """The one copy that there may be of each delivered delivery."""
    rows = tx.execute(
        select(messages.c.header_message_id, deliveries.c.return_path, deliveries.c.recipient)
        .join(messages, messages.c.id == deliveries.c.message_id)
        .where(deliveries.c.state == "delivered")
    )
    return {Copy(*row) for row in rows}


def outcomes(tx: Connection) -> dict[str, Counter[int]]:
    """By kind of event: how many deliveries have so many of it."""
    told = Counter(
        (row.kind, row.delivery_id)
        for row in tx.execute(select(events.c.kind, events.c.delivery_id))
    )
    found: dict[str, Counter[int]] = {}
    for (kind, _), count in told.items():
        found.setdefault(kind, Counter())[count] += 1
    return found


def final_attempts(tx: Connection) -> Counter[int]:
    """How many deliveries have so many attempts that ended them."""
    ended = attempts.c.result.in_(("accepted", "refused"))
    return _grouped(tx, attempts.c.delivery_id, ended)


def lost_attempts(tx: Connection) -> int:
    return _count(tx, attempts, attempts.c.result == "lost")


def reported(tx: Connection) -> Counter[int]:
    """How many deliveries have so many reports."""
    return _grouped(tx, reports.c.delivery_id, reports.c.delivery_id.is_not(None))


def audited(tx: Connection) -> Counter[int]:
    """How many addresses were put on the list so often."""
    return _grouped(tx, audit.c.subject, audit.c.action == "suppression.suppress")


def raw_by_recipient(tx: Connection) -> Counter[str]:
    return Counter(tx.execute(select(raw_inbound.c.recipient)).scalars())


def reread(tx: Connection) -> int:
    """How many messages a dead reader had begun to read."""
    return _count(tx, raw_inbound, raw_inbound.c.tries > 1)


def set_aside(tx: Connection) -> int:
    return _count(tx, raw_inbound, raw_inbound.c.state == "aside")


def _unread(tx: Connection) -> int:
    return _count(tx, raw_inbound, raw_inbound.c.state == "new")


def _count(tx: Connection, table: object, condition: object) -> int:
    counted = select(func.count()).select_from(table).where(condition)  # type: ignore[arg-type]
    return int(tx.execute(counted).scalar_one())


def _grouped(tx: Connection, column: object, condition: object) -> Counter[int]:
    rows = tx.execute(select(func.count()).where(condition).group_by(column))  # type: ignore[arg-type]
    return Counter(int(count) for count in rows.scalars())


def _database(url: str) -> str:
    return "SQLite" if url.startswith("sqlite") else "PostgreSQL"

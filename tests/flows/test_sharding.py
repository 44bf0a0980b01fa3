"""Past one server: which statements of mail's life name the key that their rows would be spread by.

Every statement of a real run is heard, from the submission to the report that came back.  One that
touches a table of mail or of people names the key of its rows, or is on the list of those that ask
everywhere, which docs/scale.md tells of.  Such a one may be asked now and then for many messages,
never for each.

Then the same run is played again over several databases that stand for servers, each statement only
where its keys lie: in the end they hold together what the one server held.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Connection, Engine, event

from analysis import cohorts, days, reputation
from analysis.ids import mark
from analysis.retention import Keep, drop_day, sweep
from analysis.schema import raw_inbound
from sender import leases, unsent
from tests.flows.house import House, Sent, carom_house
from tests.flows.replay import Replay, connected, contents, strangers
from tests.flows.spread import KEYS, Spread, by_key, tables
from tests.flows.trace import Row, Transaction, recorded
from tests.ingest.letters import group, report
from tests.peers.counting_sink import CountingSink
from tests.peers.smtp_client import dial
from tests.servers.postgres import Postgres

pytestmark = pytest.mark.anyio

MESSAGES = 40
MONTH = 30 * 86_400.0
PAGE = Path(__file__).parents[2] / "docs" / "scale.md"

EVERYWHERE = {
    "SELECT deliveries by rank, state": "what is due",
    "SELECT deliveries by state": "leases that ran out",
    "SELECT deliveries, messages by state": "deadlines that passed",
    "SELECT raw_inbound by state": "reports that nobody has read",
    "DELETE cohort_changes by ": "counts that nobody has added up",
}
"""What asks every shard, in the words of docs/scale.md."""

_NAMED = re.compile(r"\b([a-z_]+)\.([a-z_]+) (?:= (?![a-z_]+\.)|IN \((?!SELECT))")


class Said(NamedTuple):
    """A statement by its verb, its tables that grow, and the columns that it gives values for."""

    verb: str
    tables: tuple[str, ...]
    named: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, text: str) -> Said:
        named = tuple(sorted(set(_NAMED.findall(text))))
        return cls(text.split(maxsplit=1)[0], tables(text), named)

    @property
    def keyed(self) -> bool:
        return self.verb == "INSERT" or any(name in KEYS.get(t, ()) for t, name in self.named)

    def __str__(self) -> str:
        names = sorted({name for _, name in self.named})
        return f"{self.verb} {', '.join(self.tables)} by {', '.join(names)}"


@contextmanager
def statements() -> Iterator[Counter[Said]]:
    """Every statement about tables that grow, of all engines, while the block lasts."""
    heard: Counter[Said] = Counter()

    def hear(_conn: Any, _cursor: Any, text: str, *_others: Any) -> None:
        if tables(text):
            heard[Said.of(text)] += 1

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


async def test_what_is_asked_for_each_message_names_the_key_of_its_rows(
    tmp_path: Path, database_url: str
) -> None:
    async with CountingSink() as sink, carom_house(tmp_path, database_url, mx=sink.port) as carom:
        await carom.client.put("/v1/suppressions/withheld@known.example", json={})
        with statements() as heard:
            await _lives(carom)
            await carom.engine.store.write(_keeps_house)
        with statements() as tidying:  # now and then, by age: part of it may fall into the run
            await carom.engine.store.write(_tidies)
    everywhere = {str(said) for said in heard if not said.keyed}
    assert everywhere - {str(said) for said in tidying} <= set(EVERYWHERE)
    assert everywhere >= set(EVERYWHERE), "told of, but not asked any more"
    assert {said.tables for said in heard} >= {(table,) for table in _OF_EACH}


_OF_EACH = ("bodies", "attempts", "suppressions", "idempotency", "raw_inbound", "events")


def _keeps_house(tx: Connection) -> None:
    leases.reclaim(tx, now=time.time())
    unsent.expire(tx, now=time.time())
    cohorts.fold(tx)


def _tidies(tx: Connection) -> None:
    now = time.time()
    drop_day(tx, keep=Keep(), now=now)
    sweep(tx, keep=Keep(), now=now)
    reputation.measure(tx, now)
    for key in days.CUT:
        days.make(tx, key=key, now=now + MONTH)  # those of today are there


async def test_several_servers_hold_together_what_one_does(
    tmp_path: Path, postgres_server: Postgres, migrated_postgres: str
) -> None:
    def database() -> str:
        return postgres_server.url(postgres_server.create_database(migrated_postgres))

    url = await asyncio.to_thread(database)
    with recorded() as trace:
        async with CountingSink() as sink, carom_house(tmp_path, url, mx=sink.port) as carom:
            await carom.client.put("/v1/suppressions/withheld@known.example", json={})
            begin = len(trace)
            await _lives(carom)
            alone = await carom.submit("alone@known.example")
            await carom.becomes(alone, "delivered")
            await carom.engine.store.write(_keeps_house)
            end = len(trace)
            await carom.engine.store.write(_tidies)
    async with connected([url]) as [server]:
        whole = await contents(server)
    assert _apart(whole) == []
    for servers in (1, 4):
        urls = [await asyncio.to_thread(database) for _ in range(servers)]
        async with connected(urls) as several:
            replay = Replay(several, Spread(servers))
            early, life, late = [
                await replay.play(trace[part])
                for part in (slice(begin), slice(begin, end), slice(end, None))
            ]
            parts = [await contents(server) for server in several]
        assert _together(parts) == whole
        place = by_key(servers)
        assert [s for n, some in enumerate(parts) for s in strangers(some, n, place)] == []
        assert [*early.astray, *life.astray, *late.astray] == []
        everywhere = {str(Said.of(said.text)) for said in life.everywhere}
        tidying = {str(Said.of(said.text)) for said in early.everywhere + late.everywhere}
        assert everywhere - tidying <= set(EVERYWHERE)
        assert [one for one in life.two_phase if _names(one, alone)] == []
        assert bool(life.two_phase) == (servers > 1)


def _together(parts: Sequence[dict[str, Counter[Row]]]) -> dict[str, Counter[Row]]:
    return {table: sum((part[table] for part in parts), Counter()) for table in parts[0]}


def _apart(found: dict[str, Counter[Row]]) -> list[str]:
    """Ids of deliveries, and of raw reports about them, whose mark is not the message's."""
    message = {row[0]: row[1] for row in found["deliveries"]}
    subject = list(raw_inbound.columns).index(raw_inbound.c.subject_id)
    about = {row[0]: message[row[subject]] for row in found["raw_inbound"] if row[subject]}
    return [id_ for id_, other in (message | about).items() if mark(id_) != mark(other)]


def _names(transaction: Transaction, sent: Sent) -> bool:
    ids = {sent.message_id, sent.delivery_id}
    return any(ids & {v for v in row if isinstance(v, str)} for s in transaction for row in s.rows)


async def _lives(carom: House) -> None:
    """Mail that is taken, put off, refused, withheld, and comes back."""
    letter = {"from": "shop@example.com", "subject": "Your order", "text": "Hello.\n"}
    for to in ("gone", "later", "withheld"):
        body = {**letter, "to": [f"{to}@known.example"]}
        mark = {"Idempotency-Key": to}
        assert (await carom.client.post("/v1/messages", json=body, headers=mark)).is_success
    sent = await carom.submit_each([f"user{n}@known.example" for n in range(MESSAGES)])
    for one in sent:
        await carom.becomes(one, "delivered")
    about = group(final_recipient=f"rfc822; {sent[0].recipient}", action="failed", status="5.1.1")
    path = await carom.return_path(sent[0])
    assert carom.bound.ingest is not None
    async with dial(carom.bound.ingest) as wire:
        await wire.say("MAIL FROM:<>")
        await wire.say(f"RCPT TO:<{path}>")
        await wire.say("DATA")
        wire.write(report(about) + b"\r\n.\r\n")
        assert (await wire.reply()).startswith("250 ")
    await carom.becomes(sent[0], "bounced")


def test_the_page_tells_of_everything_that_asks_everywhere() -> None:
    page = " ".join(PAGE.read_text().split())
    assert [words for words in EVERYWHERE.values() if words not in page] == []

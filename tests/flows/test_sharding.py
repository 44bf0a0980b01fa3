"""Past one server: which statements of mail's life name the key that their rows would be spread by.

Every statement of a real run is heard, from the submission to the report that came back.  One that
touches a table of mail or of people names the key of its rows, or is on the list of those that ask
everywhere, which docs/scale.md tells of.  Such a one may be asked now and then for many messages,
never for each.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Connection, Engine, event

from analysis import days
from analysis.retention import Keep, drop_day, sweep
from sender import leases, unsent
from tests.flows.house import House, carom_house
from tests.ingest.letters import group, report
from tests.peers.counting_sink import CountingSink
from tests.peers.smtp_client import dial

pytestmark = pytest.mark.anyio

MESSAGES = 40
MONTH = 30 * 86_400.0
PAGE = Path(__file__).parents[2] / "docs" / "scale.md"

KEYS = {
    "messages": {"id"},
    "bodies": {"message_id"},
    "deliveries": {"id", "message_id"},
    "attempts": {"delivery_id"},
    "events": {"message_id"},
    "reports": {"delivery_id", "identity"},
    "raw_inbound": {"id"},
    "idempotency": {"key_hash"},
    "suppressions": {"address_hash"},
    "soft_bounces": {"address_hash"},
    "held_suppressions": {"address_hash"},
}
"""By table that grows with mail or with people, what its rows would be spread by."""

EVERYWHERE = {
    "SELECT deliveries by rank, state": "what is due",
    "SELECT deliveries by state": "leases that ran out",
    "SELECT deliveries, messages by state": "deadlines that passed",
    "SELECT raw_inbound by state": "reports that nobody has read",
}
"""What asks every shard, in the words of docs/scale.md."""

_TABLES = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE) ([a-z_]+)")
_NAMED = re.compile(r"\b([a-z_]+)\.([a-z_]+) (?:= (?![a-z_]+\.)|IN \((?!SELECT))")


class Said(NamedTuple):
    """A statement by its verb, its tables that grow, and the columns that it gives values for."""

    verb: str
    tables: tuple[str, ...]
    named: tuple[tuple[str, str], ...]

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
        if tables := tuple(sorted(KEYS.keys() & set(_TABLES.findall(text)))):
            named = tuple(sorted(set(_NAMED.findall(text))))
            heard[Said(text.split(maxsplit=1)[0], tables, named)] += 1

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


def _tidies(tx: Connection) -> None:
    now = time.time()
    drop_day(tx, keep=Keep(), now=now)
    sweep(tx, keep=Keep(), now=now)
    for key in days.CUT:
        days.make(tx, key=key, now=now + MONTH)  # those of today are there


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

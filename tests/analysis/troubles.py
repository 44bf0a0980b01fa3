"""Answers of providers put into the tallies, and the judgements that follow, for tests.

await heard(store, "gmail", BLOCKED, 50)
[change] = await judged(store, NOW + 60)
"""

from __future__ import annotations

from typing import Any

from analysis import incident_judging, tallies
from analysis.breaker import Spike, look
from analysis.breaker import judge_all as judge_deaths
from analysis.incident_policy import shipped
from analysis.incidents import Change
from analysis.reply import Reply
from analysis.schema import incidents as table
from analysis.store import Store
from analysis.tallies import Collected, Key, Outcome
from tests.storing import NOW, Row, new_id, rows

POLICY = shipped()
SPIKE = Spike()

ACCEPTED = (Outcome.ACCEPTED, "", "")
BLOCKED = (Outcome.REFUSED, "sender", "reputation")
DOWN = (Outcome.DEFERRED, "receiver", "system")
RESOLVER = (Outcome.DEFERRED, "sender", "network")
NO_USER = (Outcome.REFUSED, "recipient", "bad_mailbox")
DEAD = (Outcome.CONDEMNED, "recipient", "bad_mailbox")
FULL = (Outcome.DEFERRED, "recipient", "mailbox_full")

WORDS = Reply(550, "5.7.1", "mail from 192.0.2.1 is not wanted here, ask abuse@example.net")


async def heard(
    store: Store,
    provider: str,
    what: tuple[Outcome, str, str],
    count: int,
    *,
    at: float = NOW,
    reply: Reply = WORDS,
    delivery_id: str | None = None,
) -> None:
    """So many answers of one kind at one moment."""
    collected, key = Collected(), Key(provider, *what)
    for _ in range(count):
        collected.count(at, key)
    if what[1]:
        collected.heard(at, key, reply, delivery_id)
    await store.write(lambda tx: tallies.add(tx, collected))


async def judged(store: Store, now: float = NOW) -> list[Change]:
    seen = await store.read(lambda tx: incident_judging.look(tx, POLICY, now))
    return await store.write(
        lambda tx: incident_judging.judge_all(tx, POLICY, seen, now=now, new_id=new_id)
    )


async def judged_deaths(store: Store, now: float = NOW, spike: Spike = SPIKE) -> list[Change]:
    seen = await store.read(lambda tx: look(tx, spike, now))
    return await store.write(
        lambda tx: judge_deaths(tx, POLICY, spike, seen, now=now, new_id=new_id)
    )


async def the_incident(store: Store, *where: Any) -> Row:
    [row] = await rows(store, table, *where)
    return row


async def incidents_of(store: Store) -> list[Row]:
    return await rows(store, table)

"""Duties: regular work that one node of many does at a time, without a leader.

A duty has a name and is due every so often.  Whoever finds it due and takes it first does it; the
others find it not due.  A node that dies over a duty leaves it to the next one, once the time until
it is due again has passed: so a duty must be harmless when done twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection, or_, update

from analysis.pause import pause
from analysis.schema import duties
from analysis.store import Store, StoreUnavailable, insert_once

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Duty:
    """`do` is given the time it was taken at, in Unix seconds; it reports its own troubles."""

    name: str
    every: float  # seconds
    do: Callable[[float], Awaitable[None]]


def take(tx: Connection, name: str, *, node: str, now: float, every: float) -> bool:
    """Whether this node is to do it now; it is due again after `every` seconds.

    A time that lies further ahead was written by a clock that has been set back since.
    """
    insert_once(tx, duties, [{"name": name, "next_at": now, "node": None}])
    taken = tx.execute(
        update(duties)
        .where(
            duties.c.name == name,
            or_(duties.c.next_at <= now, duties.c.next_at > now + every),
        )
        .values(next_at=now + every, node=node)
    )
    return taken.rowcount == 1


async def serve(
    duty: Duty, store: Store, stop: asyncio.Event, *, node: str, clock: Callable[[], float]
) -> None:
    """Do it whenever it is due, until `stop`.  Looks four times as often as it is due."""
    while not stop.is_set():
        now = clock()
        try:
            if await store.write(
                lambda tx, now=now: take(tx, duty.name, node=node, now=now, every=duty.every)  # type: ignore[misc]
            ):
                await duty.do(now)
        except StoreUnavailable as error:
            log.warning(
                "a duty waits: the database is unavailable", duty=duty.name, error=str(error)
            )
        await pause(stop, duty.every / 4)

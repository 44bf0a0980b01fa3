"""Soft bounces: a mark on an address and a day, until there are enough to withhold mail.

However many there are in a day they are one mark, or a burst would look like lasting trouble.  A
mark is `late` where it was said in a bounce, after the next host had accepted.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, func, select

from analysis.schema import soft_bounces
from analysis.store import IN_LIMIT, chunks, insert_once

DAY = 86_400.0


def mark(
    tx: Connection, hashes: Iterable[bytes], at: float, *, late: bool, enough: int, window: float
) -> set[bytes]:
    """Mark each address on the day of `at`; those that have `enough` days within the `window`."""
    today = int(at // DAY)
    addresses = sorted(set(hashes))
    rows = [{"address_hash": h, "day": today, "late": late} for h in addresses]
    insert_once(tx, soft_bounces, rows)
    repeated: set[bytes] = set()
    for chunk in chunks(addresses, IN_LIMIT):
        repeated.update(
            tx.execute(
                select(soft_bounces.c.address_hash)
                .where(
                    soft_bounces.c.address_hash.in_(chunk),
                    soft_bounces.c.day > today - int(window // DAY),
                )
                .group_by(soft_bounces.c.address_hash)
                .having(func.count(soft_bounces.c.day.distinct()) >= enough)
            ).scalars()
        )
    return repeated


def forget(tx: Connection, hashes: Iterable[bytes], *, late: bool = False) -> None:
    """An acceptance: what was refused in a session has passed.

    Bounces that follow acceptances are forgotten only with `late`, and otherwise by their age: a
    gateway accepts every day for a mailbox behind it that is full.
    """
    for chunk in chunks(sorted(set(hashes)), IN_LIMIT):
        of_these = soft_bounces.c.address_hash.in_(chunk)
        tx.execute(delete(soft_bounces).where(of_these, *([] if late else [~soft_bounces.c.late])))


def take_back(tx: Connection, address: bytes, day: int, *, late: bool) -> None:
    """Remove one mark, which nothing of that day makes any more."""
    tx.execute(
        delete(soft_bounces).where(
            soft_bounces.c.address_hash == address,
            soft_bounces.c.day == day,
            soft_bounces.c.late == late,
        )
    )

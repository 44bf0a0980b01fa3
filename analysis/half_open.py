"""Half-open suppression: a login code may probe an address that failed only for a while.

Somebody who waits for a code has just given the address, which is the best sign there is that the
mailbox works again.  So one delivery of class otp in a window is let through to an address that
nothing but soft bounces stands against.  Accepted: the entry is lifted.  Failed for the mailbox's
sake: it stands twice as long, within bounds.  Anything else (our fault, the network, a deadline)
proves nothing and changes nothing; the next window has its own probe.

The window is taken by an UPDATE that names it, in the transaction of the submit: of two codes at
the same moment one goes and the other is told why not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from sqlalchemy import Connection, or_, update

from analysis.schema import suppressions
from analysis.suppression import (
    DAY,
    EVERY_STREAM,
    Lift,
    Question,
    Reason,
    Suppression,
    ask,
    let_through,
    lift,
    suppress,
)

WINDOW = DAY
"""Seconds in which one probe goes out."""
LONGEST = 60 * DAY
"""Seconds that doubling leads to at most."""


def admit(tx: Connection, wishes: Iterable[Question], now: float) -> set[str]:
    """The deliveries, of those a suppression withholds, that may go as a probe.

    Wishes name their delivery.  In the order of addresses: two batches never form a ring.
    """
    return {
        wish.delivery_id
        for wish in sorted(wishes, key=lambda wish: wish.address_hash)
        if wish.delivery_id is not None and _take(tx, wish, now)
    }


def _take(tx: Connection, wish: Question, now: float) -> bool:
    taken = tx.execute(
        update(suppressions)
        .where(
            suppressions.c.address_hash == wish.address_hash,
            suppressions.c.stream.in_((EVERY_STREAM, wish.stream)),
            suppressions.c.reason == Reason.SOFT_BOUNCE.value,
            or_(suppressions.c.probed_at.is_(None), suppressions.c.probed_at <= now - WINDOW),
        )
        .values(probed_at=now, probed_by=wish.delivery_id)
    )
    return taken.rowcount > 0 and ask(tx, [wish], now) == [None]


def settle(
    tx: Connection, accepted: Mapping[str, bytes], failed: Mapping[str, bytes], now: float
) -> set[bytes]:
    """What came of deliveries (id to address) that may have been probes.

    `failed`: given up for the mailbox's sake.  Returns the addresses that now stand for longer.
    """
    if not accepted and not failed:
        return set()
    ends = {**accepted, **failed}
    entries = let_through(tx, ends.values(), ends)
    for entry in entries:
        if entry.probed_by in accepted:
            lift(tx, _lifting(entry, now))
    longer = [_longer(entry, now) for entry in entries if entry.probed_by in failed]
    suppress(tx, longer)
    return {entry.address_hash for entry in longer}


def _lifting(entry: Suppression, now: float) -> Lift:
    why = "a login code was accepted"
    return Lift(entry.address_hash, "carom", why, now, frozenset({Reason.SOFT_BOUNCE}))


def _longer(entry: Suppression, now: float) -> Suppression:
    if entry.until is None:
        return replace(entry, since=now)
    return replace(
        entry, since=now, until=now + min(2 * (entry.until - entry.since), LONGEST), actor="carom"
    )

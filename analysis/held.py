"""Held suppressions: hard bounces that nobody is suppressed for until a spike is understood.

While an incident of kind `suppressions` is open at a provider (`analysis.breaker` opens it), what
would have been put on the list is kept in a table of its own; what the spike had put there before
it was seen is taken back.  A held one becomes an entry when the same address is refused again on
another day, or when a person releases it; a person may also drop them.

Only automatic hard bounces are ever held: complaints, unsubscribes, people's own entries and soft
bounces over several days are no sudden matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, exists, func, select

from analysis import audit, suppression
from analysis import incidents as book
from analysis.incident_policy import ALL
from analysis.incidents import Place
from analysis.lifecycle import State
from analysis.schema import deliveries, held_suppressions, incidents, suppressions
from analysis.store import IN_LIMIT, chunks, insert_once
from analysis.suppression import DAY, EVERY_STREAM, Reason, Suppression

KIND = "suppressions"
ACTOR = "carom"

AT_ONCE = 2_000
"""Entries moved in one transaction; others may write in between."""
LATE = 60.0
"""Seconds in which another node may still have written what it began before the incident."""


def frozen(tx: Connection) -> dict[str, str]:
    """Providers whose hard bounces are held, with the incident they are held for."""
    i = incidents.c
    rows = tx.execute(select(i.provider, i.id).where(i.state == "open", i.kind == KIND))
    return {str(provider): str(incident_id) for provider, incident_id in rows}


def list_or_hold(tx: Connection, entries: Sequence[Suppression]) -> list[Suppression]:
    """`suppression.suppress`, except for what is held; returns what is on the list now."""
    dead = [e for e in entries if e.reason is Reason.HARD_BOUNCE and e.delivery_id is not None]
    held = _to_hold(tx, dead) if dead else {}
    kept = {id(entry) for entry, _ in held.values()}
    listed = [entry for entry in entries if id(entry) not in kept]
    suppression.suppress(tx, listed)
    _forget(tx, {e.address_hash for e in dead if id(e) not in kept})
    insert_once(tx, held_suppressions, [_held_row(e, why) for e, why in held.values()])
    return listed


def _to_hold(
    tx: Connection, dead: Sequence[Suppression]
) -> dict[tuple[bytes, str | None], tuple[Suppression, str]]:
    """Which of these are held, and for which incident."""
    closed = frozen(tx)
    if not closed:
        return {}
    of = _providers(tx, [e.delivery_id for e in dead if e.delivery_id])
    again_dead = _dead_before(tx, dead)
    found = {}
    for entry in dead:
        incident = closed.get(of.get(entry.delivery_id or "", "")) or closed.get(ALL)
        if incident is not None and entry.address_hash not in again_dead:
            found[entry.address_hash, entry.delivery_id] = (entry, incident)
    return found


def _providers(tx: Connection, ids: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for chunk in chunks(sorted(set(ids)), IN_LIMIT):
        rows = tx.execute(
            select(deliveries.c.id, deliveries.c.provider).where(deliveries.c.id.in_(chunk))
        )
        found.update({str(delivery_id): str(provider) for delivery_id, provider in rows})
    return found


def _dead_before(tx: Connection, dead: Sequence[Suppression]) -> set[bytes]:
    """Addresses that were held on an earlier day: two days agree, which is no spike."""
    found: set[bytes] = set()
    today = {e.address_hash: e.since // DAY * DAY for e in dead}
    for chunk in chunks(sorted(today), IN_LIMIT):
        rows = tx.execute(
            select(held_suppressions.c.address_hash, func.min(held_suppressions.c.held_at))
            .where(held_suppressions.c.address_hash.in_(chunk))
            .group_by(held_suppressions.c.address_hash)
        )
        found.update(bytes(hashed) for hashed, at in rows if at < today[bytes(hashed)])
    return found


def _held_row(entry: Suppression, incident_id: str) -> dict[str, Any]:
    return {
        "address_hash": entry.address_hash,
        "delivery_id": entry.delivery_id,
        "incident_id": incident_id,
        "held_at": entry.since,
        "address": entry.address,
        "until": entry.until,
        "evidence": entry.evidence,
        "category": entry.category,
        "rule": entry.rule,
    }


def _forget(tx: Connection, hashes: set[bytes]) -> None:
    for chunk in chunks(sorted(hashes), IN_LIMIT):
        of_these = held_suppressions.c.address_hash.in_(chunk)
        tx.execute(delete(held_suppressions).where(of_these))


def take_back(tx: Connection, provider: str, incident_id: str, window: float) -> int:
    """Hold what was put on the list in the `window` seconds before the spike was seen.

    How many, `AT_ONCE` at most: to be done again until nothing is left.
    """
    seen_at = book.find(tx, incident_id).since
    s = suppressions.c
    query = (
        select(s.address_hash, s.delivery_id, s.address, s.since, s.until)
        .add_columns(s.evidence, s.category, s.rule)
        .join(deliveries, deliveries.c.id == s.delivery_id)
        .where(
            s.since.between(seen_at - window, seen_at + LATE),
            s.actor == ACTOR,
            s.reason == Reason.HARD_BOUNCE.value,
            s.stream == EVERY_STREAM,
        )
        .limit(AT_ONCE)
    )
    if provider != ALL:
        query = query.where(deliveries.c.provider == provider)
    entries = [_entry(row, since=row.since, actor=ACTOR) for row in tx.execute(query)]
    why = f"too many addresses of {provider} died at once: held, incident {incident_id}"
    suppression.take_off(tx, entries, actor=ACTOR, why=why, at=seen_at)
    insert_once(tx, held_suppressions, [_held_row(entry, incident_id) for entry in entries])
    return len(entries)


def _entry(row: Any, *, since: float, actor: str) -> Suppression:
    return Suppression(
        bytes(row.address_hash),
        EVERY_STREAM,
        Reason.HARD_BOUNCE,
        row.address,
        since,
        row.until,
        row.evidence,
        actor,
        row.category,
        row.rule,
        row.delivery_id,
    )


def count(tx: Connection, incident_id: str) -> int:
    """How many are held for an incident."""
    counted = select(func.count()).where(held_suppressions.c.incident_id == incident_id)
    return int(tx.execute(counted).scalar_one())


def release(tx: Connection, incident_id: str, *, actor: str, now: float) -> tuple[int, int]:
    """Put held ones on the list after all, `AT_ONCE` at most: how many were looked at, and put.

    One that mail was delivered to since is dropped: it is alive.
    """
    rows = _some(tx, incident_id)
    alive = _alive(tx, incident_id)
    entries = [
        _entry(row, since=now, actor=actor)
        for row in rows
        if bytes(row.address_hash) not in alive and (row.until is None or row.until > now)
    ]
    suppression.suppress(tx, entries)
    _forget(tx, {bytes(row.address_hash) for row in rows})
    return len(rows), len(entries)


def drop(tx: Connection, incident_id: str) -> int:
    """Forget held ones, `AT_ONCE` at most; how many."""
    rows = _some(tx, incident_id)
    _forget(tx, {bytes(row.address_hash) for row in rows})
    return len(rows)


def decided(
    tx: Connection, row: Any, what: str, *, actor: str, why: str, now: float, mute: float
) -> None:
    """Note a person's decision in the audit; the incident is over and not opened again for long."""
    audit.note(
        tx,
        [
            {
                "at": now,
                "actor": actor,
                "action": f"incident.{what}",
                "subject": row.id,
                "reason": why,
                "data": {"kind": row.kind, "provider": row.provider, "held": count(tx, row.id)},
            }
        ],
    )
    place = Place(row.kind, row.provider, row.subject)
    book.close(
        tx, place, row.id, f"{_DONE[what]} by {actor}: {why}", now=now, muted_until=now + mute
    )


_DONE = {"release": "released", "drop": "dropped", "close": "closed"}


def _some(tx: Connection, incident_id: str) -> list[Any]:
    h = held_suppressions
    query = select(h).where(h.c.incident_id == incident_id).order_by(h.c.address_hash)
    return list(tx.execute(query.limit(AT_ONCE)))


def _alive(tx: Connection, incident_id: str) -> set[bytes]:
    h = held_suppressions.c
    since = exists().where(
        deliveries.c.address_hash == h.address_hash,
        deliveries.c.accepted_at > h.held_at,
        deliveries.c.state == State.DELIVERED.value,
    )
    found = tx.execute(select(h.address_hash).where(h.incident_id == incident_id, since))
    return {bytes(hashed) for hashed in found.scalars()}

"""Placement: where seed mailboxes filed our probes, and what that says of all our mail.

A probe is one message to one seed mailbox.  It settles when it is found (inbox, junk or another
folder) or, once a seed was looked through after `missing_after` since its receiver had accepted it,
as missing; what was never accepted is `undelivered` and says nothing of folders.  A missing probe
that turns up later, within `WATCHED`, becomes what it was found as: rates follow the probe to the
time it was sent in.  Settling twice, or in any order, ends the same.

Found probes are taken out of the mailbox by the look after the one that recorded them, so that a
crash in between loses no result.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, func, or_, select, update

from analysis.events import announce, event
from analysis.interval import Interval, wilson
from analysis.lifecycle import PENDING
from analysis.schema import deliveries, placements
from analysis.store import IN_LIMIT, chunks, insert_once

TAG = "X-Carom-Probe"
"""The header that carries a probe's proof of being ours."""

WATCHED = 3 * 86_400.0
"""Seconds after which a probe that was never seen is not looked for any more."""


class Place(StrEnum):
    INBOX = "inbox"
    JUNK = "junk"
    OTHER = "other"
    MISSING = "missing"
    UNDELIVERED = "undelivered"


FOUND = frozenset({Place.INBOX, Place.JUNK, Place.OTHER})
COUNTED = (*sorted(FOUND), Place.MISSING)
"""What a ratio is of: `undelivered` never came to a folder, and is told beside it."""

_WAITS = {state.value for state in PENDING}


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe that was handed in."""

    id: str
    message_id: str
    delivery_id: str
    seed: str
    provider: str
    stream: str
    sent_at: float


@dataclass(frozen=True, slots=True)
class Sighting:
    """A probe seen in a folder; times in Unix seconds."""

    probe_id: str
    place: Place
    folder: str
    arrived_at: float | None  # by the receiver's clock, to the second
    spf: str | None = None  # as the receiver saw it; None: it said nothing
    dkim: str | None = None
    dmarc: str | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What a look has newly established of one probe, for metrics."""

    provider: str
    place: Place
    seconds: float | None  # from our handing in to its folder; None unless found
    authentication: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Tally:
    """Probes of a span, by where they were filed."""

    inbox: int = 0
    junk: int = 0
    other: int = 0
    missing: int = 0
    undelivered: int = 0
    waiting: int = 0

    @property
    def samples(self) -> int:
        return self.inbox + self.junk + self.other + self.missing

    @property
    def ratio(self) -> float | None:
        """The share in the inbox; None of nothing."""
        return self.inbox / self.samples if self.samples else None

    @property
    def interval(self) -> Interval:
        return wilson(self.inbox, self.samples)


def remember(tx: Connection, probes: Sequence[Probe]) -> None:
    """Note probes that were handed in."""
    insert_once(
        tx, placements, [{name: getattr(p, name) for name in Probe.__slots__} for p in probes]
    )


@dataclass(frozen=True, slots=True)
class Errand:
    """What a look at a seed is for."""

    oldest: float  # when the oldest probe concerned was sent
    wanted: frozenset[str]  # looked for
    done: frozenset[str]  # recorded: may be taken out of the mailbox


def errand(tx: Connection, seed: str, now: float) -> Errand | None:
    """What there is to look for or to tidy up at a seed, if anything."""
    open_ = placements.c.removed_at.is_(None), placements.c.sent_at > now - WATCHED
    rows = tx.execute(
        select(placements.c.id, placements.c.placement, placements.c.sent_at)
        .where(placements.c.seed == seed, *open_)
        .order_by(placements.c.sent_at)
    ).all()
    ours = [row for row in rows if row.placement != Place.UNDELIVERED.value]
    if not ours:
        return None
    done = frozenset(row.id for row in ours if row.placement in FOUND)
    return Errand(ours[0].sent_at, frozenset(row.id for row in ours) - done, done)


def record(
    tx: Connection,
    seed: str,
    sightings: Sequence[Sighting],
    *,
    looked_at: float,
    missing_after: float,
    removed: Collection[str] = (),
) -> list[Settled]:
    """Enter what a whole look at a seed, begun at `looked_at`, has found; what of it is new.

    `removed`: recorded probes that are no longer in the mailbox.
    """
    seen = {sighting.probe_id: sighting for sighting in reversed(sightings)}
    settled = []
    for row in _unsettled(tx, seed, looked_at):
        sighting = seen.get(row.id)
        place = _unseen(row, looked_at, missing_after) if sighting is None else sighting.place
        if place is not None and place != row.placement:
            settled.append(_settle(tx, row, place, sighting, looked_at))
    for chunk in chunks(sorted(removed), IN_LIMIT):
        tx.execute(
            update(placements)
            .where(placements.c.id.in_(chunk), placements.c.placement.in_(sorted(FOUND)))
            .values(removed_at=looked_at)
        )
    return settled


def _unsettled(tx: Connection, seed: str, now: float) -> Sequence[Row[Any]]:
    """Probes not found so far, each with what became of its delivery."""
    unfound = or_(placements.c.placement.is_(None), placements.c.placement == Place.MISSING.value)
    return tx.execute(
        select(placements, deliveries.c.state, deliveries.c.accepted_at)
        .outerjoin(deliveries, deliveries.c.id == placements.c.delivery_id)
        .where(placements.c.seed == seed, placements.c.sent_at > now - WATCHED, unfound)
        .with_for_update(of=placements)
    ).all()


def _unseen(row: Row[Any], looked_at: float, missing_after: float) -> Place | None:
    """What a probe is that a look did not find; None: it may still come."""
    if row.state in _WAITS:
        return None
    if row.accepted_at is None:
        return Place.UNDELIVERED
    return Place.MISSING if row.accepted_at + missing_after <= looked_at else None


def _settle(
    tx: Connection, row: Row[Any], place: Place, sighting: Sighting | None, now: float
) -> Settled:
    values: dict[str, Any] = {"placement": place.value, "settled_at": now}
    if sighting is not None:
        values |= {
            "folder": sighting.folder[:500],
            "arrived_at": sighting.arrived_at,
            "spf": sighting.spf,
            "dkim": sighting.dkim,
            "dmarc": sighting.dmarc,
        }
    tx.execute(update(placements).where(placements.c.id == row.id).values(**values))
    told = {"seed": row.seed, "provider": row.provider, "stream": row.stream}
    announce(
        tx,
        [
            event(
                "placement",
                at=now,
                message_id=row.message_id,
                delivery_id=row.delivery_id,
                data={**told, "placement": place.value},
            )
        ],
    )
    if sighting is None:
        return Settled(row.provider, place, None)
    arrived = now if sighting.arrived_at is None else sighting.arrived_at
    said = (("spf", sighting.spf), ("dkim", sighting.dkim), ("dmarc", sighting.dmarc))
    return Settled(row.provider, place, max(0.0, arrived - row.sent_at), said)


def tally(tx: Connection, since: float, provider: str | None = None) -> dict[str, Tally]:
    """Provider -> its probes sent since then."""
    return {
        key[0]: found
        for key, found in _counted(tx, (placements.c.provider,), since, provider).items()
    }


def tally_by_stream(
    tx: Connection, since: float, provider: str | None = None
) -> dict[tuple[str, str], Tally]:
    """Stream and provider -> the probes of it sent since then."""
    by = (placements.c.stream, placements.c.provider)
    return {(key[0], key[1]): found for key, found in _counted(tx, by, since, provider).items()}


def _counted(
    tx: Connection, by: Sequence[Any], since: float, provider: str | None
) -> dict[tuple[str, ...], Tally]:
    counts: dict[tuple[str, ...], dict[str, int]] = {}
    query = select(*by, placements.c.placement, func.count()).where(placements.c.sent_at >= since)
    if provider is not None:
        query = query.where(placements.c.provider == provider)
    for *key, place, count in tx.execute(query.group_by(*by, placements.c.placement)):
        counts.setdefault(tuple(key), {})[place or "waiting"] = int(count)
    return {key: Tally(**found) for key, found in sorted(counts.items())}


def recent(tx: Connection, limit: int, provider: str | None = None) -> Sequence[Row[Any]]:
    """The newest probes, newest first."""
    query = select(placements).order_by(placements.c.sent_at.desc(), placements.c.id).limit(limit)
    if provider is not None:
        query = query.where(placements.c.provider == provider)
    return tx.execute(query).all()


def newest_by_seed(tx: Connection, seeds: Sequence[str]) -> dict[str, Row[Any]]:
    """Seed -> its newest settled probe."""
    found = {}
    for seed in seeds:
        row = tx.execute(
            select(placements)
            .where(placements.c.seed == seed, placements.c.placement.is_not(None))
            .order_by(placements.c.sent_at.desc())
            .limit(1)
        ).one_or_none()
        if row is not None:
            found[seed] = row
    return found


def forget(tx: Connection, before: float, most: int) -> int:
    """Forget at most `most` probes sent before a time; how many."""
    old = select(placements.c.id).where(placements.c.sent_at < before).limit(most)
    return tx.execute(delete(placements).where(placements.c.id.in_(old))).rowcount


def total(tallies: Collection[Tally]) -> Tally:
    """The sum of tallies."""
    fields = Tally.__slots__
    return Tally(**{name: sum(getattr(one, name) for one in tallies) for name in fields})

"""Incidents: trouble with a provider as one thing with a beginning, evidence and an end.

Owns the table `incidents`: opening, opening again, closing, each with an event, and looking up.
At most one incident of a kind, provider and subject is open, on any number of nodes: the database
holds that.  Nothing here suppresses anybody: a fault of ours is never the recipient's.  Who opens
and closes: `analysis.incident_judging` by answers, `analysis.breaker`, `analysis.reputation` and
`analysis.blocklisted` by what they know.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, delete, or_, select, update

from analysis.events import announce, event
from analysis.incident_policy import (
    ALL,
    Do,
    Last,
    Policy,
    again,
    allowance_factor,
    recovery_time,
)
from analysis.lifecycle import PENDING, State
from analysis.providers import OTHER
from analysis.schema import held_suppressions, incidents
from analysis.store import insert_once

Json = dict[str, Any]

MOST_REPLIES = 8
"""Wordings that the evidence quotes."""


@dataclass(frozen=True, slots=True)
class Place:
    """What an incident is about; one of each may be open."""

    kind: str
    provider: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What a judgement did, for logs."""

    do: Do
    place: Place
    incident_id: str


def last_of(tx: Connection, place: Place) -> tuple[str, Last] | None:
    """The newest incident of a place, with its id."""
    row = tx.execute(
        select(incidents)
        .where(
            incidents.c.kind == place.kind,
            incidents.c.provider == place.provider,
            incidents.c.subject == place.subject,
        )
        .order_by(incidents.c.state.desc(), incidents.c.id.desc())  # `open` before `closed`
        .limit(1)
    ).one_or_none()
    return None if row is None else (row.id, last(row))


def last(row: Any) -> Last:
    """A row as judgements see it."""
    return Last(row.state == "open", row.since, row.closed_at, row.reopened, row.muted_until)


def open_(
    tx: Connection,
    place: Place,
    fault: str,
    proof: Json,
    *,
    now: float,
    new_id: Callable[[], str],
    old: str | None = None,
) -> list[Change]:
    """Open an incident, or the `old` one once more; nothing where one is open already."""
    if old is not None:
        reopened = tx.execute(
            update(incidents)
            .where(incidents.c.id == old, incidents.c.state == "closed")
            .values(
                state="open",
                since=now,
                looked_at=now,
                closed_at=None,
                closed_why=None,
                muted_until=None,
                reopened=incidents.c.reopened + 1,
                evidence=proof,
            )
        )
        if not reopened.rowcount:
            return []
        _announce(tx, "incident.opened", old, place, now, {"fault": fault, "again": True})
        return [Change(Do.REOPEN, place, old)]
    incident_id = new_id()
    row = {
        "id": incident_id,
        "kind": place.kind,
        "provider": place.provider,
        "subject": place.subject,
        "fault": fault,
        "state": "open",
        "opened_at": now,
        "since": now,
        "looked_at": now,
        "reopened": 0,
        "evidence": proof,
    }
    inserted = insert_once(tx, incidents, [row], returning="id")
    if not inserted:
        return []
    _announce(tx, "incident.opened", incident_id, place, now, {"fault": fault, "again": False})
    return [Change(Do.OPEN, place, incident_id)]


def begin(
    tx: Connection,
    policy: Policy,
    place: Place,
    proof: Json,
    *,
    now: float,
    new_id: Callable[[], str],
) -> list[Change]:
    """Open what was found by other means than shares of answers; the last one, if it ended lately.

    Nothing where it is open, or where a person has muted it.
    """
    known = last_of(tx, place)
    if known is not None and (known[1].open or now < (known[1].muted_until or now)):
        return []
    once_more = known is not None and again(policy, now, known[1]) is Do.REOPEN
    fault = policy.kinds[place.kind].fault
    old = known[0] if known is not None and once_more else None
    return open_(tx, place, fault, proof, now=now, new_id=new_id, old=old)


def close(
    tx: Connection,
    place: Place,
    incident_id: str,
    why: str,
    *,
    now: float,
    muted_until: float | None = None,
) -> list[Change]:
    """Close an open incident; nothing where it is closed already."""
    closed = tx.execute(
        update(incidents)
        .where(incidents.c.id == incident_id, incidents.c.state == "open")
        .values(state="closed", closed_at=now, closed_why=why, muted_until=muted_until)
    )
    if not closed.rowcount:
        return []
    _announce(tx, "incident.closed", incident_id, place, now, {"why": why})
    return [Change(Do.CLOSE, place, incident_id)]


def _announce(
    tx: Connection, what: str, incident_id: str, place: Place, now: float, more: Json
) -> None:
    data = {
        "incident": incident_id,
        "kind": place.kind,
        "provider": place.provider,
        "subject": place.subject,
        **more,
    }
    announce(tx, [event(what, at=now, data=data)])


def browse(
    tx: Connection, *, state: str | None = "open", before: str | None = None, limit: int = 100
) -> list[Any]:
    """Rows, the newest opened first; `before` is the id that the last page ended with."""
    query = select(incidents).order_by(incidents.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(incidents.c.state == state)
    if before is not None:
        query = query.where(incidents.c.id < before)
    return list(tx.execute(query))


def find(tx: Connection, incident_id: str) -> Any:
    """The row of an incident, or None."""
    return tx.execute(select(incidents).where(incidents.c.id == incident_id)).one_or_none()


def about(tx: Connection, provider: str) -> Any:
    """The open incident that mail to this provider waits for, or None; the oldest one.  Without a
    resolver all mail waits."""
    return tx.execute(
        select(incidents)
        .where(
            incidents.c.state == "open",
            or_(
                and_(incidents.c.provider == provider, incidents.c.kind.in_(_DELAYING)),
                incidents.c.kind == "resolver",
            ),
        )
        .order_by(incidents.c.since)
        .limit(1)
    ).one_or_none()


_DELAYING = ("reputation", "content", "authentication", "rate", "access", "outage")


def awaited(tx: Connection, delivery: Any) -> Any:
    """The open incident that a delivery waits for; None where it waits for none, or not at all."""
    if delivery is None or State(delivery.state) not in PENDING:
        return None
    return about(tx, delivery.provider)


def forget(tx: Connection, closed: float, held: float) -> int:
    """Drop incidents closed before `closed`, and what was held before `held`; how many."""
    old = delete(incidents).where(incidents.c.closed_at < closed, incidents.c.state == "closed")
    stale = delete(held_suppressions).where(held_suppressions.c.held_at < held)
    return max(0, tx.execute(old).rowcount) + max(0, tx.execute(stale).rowcount)


def factors(tx: Connection, policy: Policy, now: float) -> dict[str, float]:
    """By provider, what is left of its allowance now; those that have all of it are left out."""
    recent = incidents.c.closed_at > now - recovery_time(policy)
    found: dict[str, float] = {}
    for row in tx.execute(select(incidents).where((incidents.c.state == "open") | recent)):
        if row.provider in (ALL, OTHER):
            continue  # nobody in particular: a site that refuses is paced for itself
        factor = allowance_factor(policy, row.kind, now, last(row))
        if factor < found.get(row.provider, 1.0):
            found[row.provider] = factor
    return found

"""The judging of incidents: what providers answered, put before the policy, and what follows.

A duty does it every few seconds: `look` reads the tallies, `judge_all` lets the policy decide
(`analysis.incident_policy`) and writes what changes.  Done twice it changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from sqlalchemy import Connection, select, update

from analysis import incidents as book
from analysis import tallies
from analysis.incident_policy import Do, IncidentKind, Policy, Seen, Window, judge, windows_of
from analysis.incidents import MOST_REPLIES, Change, Json, Place
from analysis.schema import deliveries, incidents
from analysis.tallies import Key

LOOK_AGAIN = 60.0
"""Seconds after which the evidence of an open incident is gathered anew."""
EVIDENCE_WINDOW = 3_600.0


Totals = Mapping[float, Counter[Key]]
"""By the length of the window in seconds, how often each answer was heard."""


def look(tx: Connection, policy: Policy, now: float) -> Totals:
    """What `judge_all` goes by.  Asked for apart: it reads much, and must not keep writers off."""
    return {window: tallies.totals(tx, now, window) for window in policy.windows}


def judge_all(
    tx: Connection,
    policy: Policy,
    totals: Totals,
    *,
    now: float,
    new_id: Callable[[], str],
) -> list[Change]:
    """Judge every provider by how it answered; what was opened, opened again or closed."""
    changes: list[Change] = []
    for kind in policy.judged:
        seen = windows_of(kind, totals)
        for place in _places(tx, kind, seen):
            windows = seen.get(place.provider) or _nothing(policy)
            changes += _judge(tx, policy, kind, place, windows, now, new_id)
    return changes


def _nothing(policy: Policy) -> Seen:
    return {window: Window() for window in policy.windows}


def _places(tx: Connection, kind: IncidentKind, seen: Mapping[str, Seen]) -> list[Place]:
    """Providers with anything against them, and those with an open incident."""
    against = {p for p, windows in seen.items() if any(w.against for w in windows.values())}
    still = tx.execute(
        select(incidents.c.provider).where(
            incidents.c.state == "open", incidents.c.kind == kind.name
        )
    ).scalars()
    return [Place(kind.name, provider) for provider in sorted(against | set(still))]


def _judge(
    tx: Connection,
    policy: Policy,
    kind: IncidentKind,
    place: Place,
    seen: Seen,
    now: float,
    new_id: Callable[[], str],
) -> list[Change]:
    known = book.last_of(tx, place)
    do = judge(policy, kind, now, seen, known and known[1])
    match do:
        case Do.CLOSE if known is not None:
            return book.close(tx, place, known[0], "the receiver accepts again", now=now)
        case Do.OPEN | Do.REOPEN:
            proof = evidence(tx, kind, place.provider, seen, now)
            old = known[0] if known is not None and do is Do.REOPEN else None
            return book.open_(tx, place, kind.fault, proof, now=now, new_id=new_id, old=old)
        case _:
            if known is not None and known[1].open:
                _look_again(tx, kind, place.provider, known[0], seen, now)
            return []


def _look_again(
    tx: Connection, kind: IncidentKind, provider: str, incident_id: str, seen: Seen, now: float
) -> None:
    """Bring the evidence of an open incident up to date, while there is anything new."""
    looked = select(incidents.c.looked_at).where(incidents.c.id == incident_id)
    if now - tx.execute(looked).scalar_one() < LOOK_AGAIN or not seen[min(seen)].against:
        return
    proof = evidence(tx, kind, provider, seen, now)
    tx.execute(
        update(incidents)
        .where(incidents.c.id == incident_id, incidents.c.state == "open")
        .values(looked_at=now, evidence=proof)
    )


def evidence(tx: Connection, kind: IncidentKind, provider: str, seen: Seen, now: float) -> Json:
    """What an incident rests on: counts, the remote's own words, the deliveries concerned."""
    since = now - EVIDENCE_WINDOW
    by = "" if kind.everywhere else provider
    found = tallies.wordings(tx, by, kind.categories, since=since, most=4 * MOST_REPLIES)
    words = [(category, one) for category, one in found if one.fault in kind.faults][:MOST_REPLIES]
    first = min((w for _, w in words), key=lambda w: w.first_at, default=None)
    newest = max((w for _, w in words), key=lambda w: w.last_at, default=None)
    return {
        "windows": [
            {
                "seconds": length,
                "answered": window.answered,
                "accepted": window.accepted,
                "against": window.against,
                "share": round(window.share, 4),
            }
            for length, window in sorted(seen.items())
            if window.answered or window.against
        ],
        "replies": [
            {
                "text": w.example,
                "category": category,
                "seen": w.seen,
                "delivery_id": w.last_delivery,
            }
            for category, w in words
        ],
        "first_delivery": first and first.first_delivery,
        "newest_delivery": newest and newest.last_delivery,
        "streams": _streams(tx, {w.last_delivery for _, w in words if w.last_delivery}),
    }


def _streams(tx: Connection, ids: set[str]) -> list[str]:
    """The streams that these deliveries are of."""
    if not ids:
        return []
    query = select(deliveries.c.stream).where(deliveries.c.id.in_(sorted(ids))).distinct()
    return sorted(tx.execute(query).scalars())

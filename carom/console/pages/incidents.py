"""Incidents: trouble with a provider as one thing, with its evidence; open ones first.

A person may note what they know or do, end an incident, and decide about the suppressions that it
holds back; each needs a reason, which is audited with who gave it and shown beside the evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from sqlalchemy import Connection
from starlette.responses import Response

from analysis import audit, browsing, held, incident_api, incidents
from analysis.incident_view import words as incident_words
from analysis.problem import Problem, not_found
from carom import plots
from carom.console.visit import Visit, id_in

CLOSED = 25
NOTE, CLOSE = "note", "close"
DONE = {NOTE: "noted", CLOSE: "closed", "release": "released", "drop": "dropped"}


@dataclass(frozen=True, slots=True)
class Shown:
    """An incident, how many suppressions it holds, and what people did and said about it."""

    row: Any
    held: int
    notes: Sequence[Any]


async def show(visit: Visit) -> Response:
    opened, closed = await visit.desk.store.read(
        lambda tx: (
            _shown(tx, incidents.browse(tx, state="open")),
            _shown(tx, incidents.browse(tx, state="closed", limit=CLOSED)),
        )
    )
    words = partial(incident_words, lang=visit.lang)
    return visit.page(
        "incidents.html", opened=opened, closed=closed, percent=plots.percent, words=words
    )


def _shown(tx: Connection, rows: Sequence[Any]) -> list[Shown]:
    notes = browsing.audit_of(tx, [row.id for row in rows])
    return [Shown(row, held.count(tx, row.id), notes.get(row.id, ())) for row in rows]


async def decide(visit: Visit) -> Response:
    """Do what the button says about one incident: note, close, release, drop."""
    incident_id, what, why = id_in(visit.request), visit.given("do", 10), visit.given("why")
    if not why or what not in DONE:
        raise Problem(422, "invalid", visit.words("trouble.why"), field="why")
    store, who, now = visit.desk.store, visit.actor, visit.now
    if what == NOTE:
        await store.write(lambda tx: _note(tx, incident_id, who, why, now))
    elif what == CLOSE:
        await store.write(
            lambda tx: incident_api.close(tx, incident_id, actor=who, why=why, now=now)
        )
    else:
        way: Literal["release", "drop"] = "release" if what == "release" else "drop"
        await incident_api.decide(store, incident_id, way, actor=who, why=why, now=now)
    return visit.go(f"/incidents?done={DONE[what]}#{incident_id}")


def _note(tx: Connection, incident_id: str, who: str, why: str, now: float) -> None:
    row = incidents.find(tx, incident_id)
    if row is None:
        raise not_found("incident")
    told = {"kind": row.kind, "provider": row.provider}
    entry = {"at": now, "actor": who, "action": "incident.note", "subject": incident_id}
    audit.note(tx, [{**entry, "reason": why, "data": told}])

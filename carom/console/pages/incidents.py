"""Incidents: trouble with a provider as one thing, with its evidence; open ones first."""

from __future__ import annotations

from functools import partial

from starlette.responses import Response

from analysis import incidents
from analysis.incident_view import words as incident_words
from carom import plots
from carom.console.visit import Visit

CLOSED = 25


async def show(visit: Visit) -> Response:
    opened, closed = await visit.desk.store.read(
        lambda tx: (
            incidents.browse(tx, state="open"),
            incidents.browse(tx, state="closed", limit=CLOSED),
        )
    )
    words = partial(incident_words, lang=visit.lang)
    return visit.page(
        "incidents.html", opened=opened, closed=closed, percent=plots.percent, words=words
    )

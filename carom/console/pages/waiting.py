"""The queue: how much waits in each class, and for each provider why."""

from __future__ import annotations

from starlette.responses import Response

from analysis import browsing, incidents
from carom.console.visit import Visit
from sender import backlog


async def show(visit: Visit) -> Response:
    now = visit.now
    depth, waiting, opened = await visit.desk.store.read(
        lambda tx: (backlog.depth(tx, now), browsing.waiting(tx), incidents.browse(tx, limit=50))
    )
    return visit.page(
        "queue.html",
        depth=depth,
        total=sum(count for count, _ in depth.values()),
        waiting=waiting,
        looked_at=sum(one.count for one in waiting),
        held=dict(visit.desk.held_sites()),
        incidents={one.provider: one for one in opened},
    )

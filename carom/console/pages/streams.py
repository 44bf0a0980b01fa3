"""The streams of the settings, to read: they are changed in the file."""

from __future__ import annotations

from starlette.responses import Response

from carom.console.visit import Visit


async def show(visit: Visit) -> Response:
    return visit.page("streams.html", streams=dict(sorted(visit.desk.streams.items())))

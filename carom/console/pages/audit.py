"""The audit: who changed what and why, newest first, page by page."""

from __future__ import annotations

from starlette.responses import Response

from analysis import browsing
from analysis.body import read_cursor, write_cursor
from carom.console.visit import Visit

PAGE = 50


async def show(visit: Visit) -> Response:
    (before,) = read_cursor(visit.ask("cursor"), int) or (None,)
    subject = visit.ask("subject", 100) or None
    rows = await visit.desk.store.read(
        lambda tx: browsing.audit_before(tx, before=before, subject=subject, limit=PAGE)
    )
    more = write_cursor(rows[-1].seq) if len(rows) == PAGE else None
    return visit.page("audit.html", rows=rows, more=more, subject=subject)

"""The audit: who changed what and why, newest first, page by page."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from analysis import browsing
from analysis.body import read_cursor, write_cursor
from carom.console.visit import Visit

PAGE = 50


async def show(visit: Visit) -> Response:
    (before,) = read_cursor(visit.ask("cursor"), int) or (None,)
    subject = visit.ask("subject", 100) or None
    rows, names = await visit.desk.store.read(lambda tx: _read(tx, before, subject))
    more = write_cursor(rows[-1].seq) if len(rows) == PAGE else None
    return visit.page("audit.html", rows=rows, names=names, more=more, subject=subject)


def _read(
    tx: Connection, before: int | None, subject: str | None
) -> tuple[list[Any], dict[str, str]]:
    """Entries, and the names of those subjects that people have a name for."""
    rows = browsing.audit_before(tx, before=before, subject=subject, limit=PAGE)
    return rows, browsing.names_of(tx, {row.subject for row in rows})

"""The suppression list, newest first, by reason, page by page."""

from __future__ import annotations

from starlette.responses import Response

from analysis import browsing
from analysis.body import read_cursor, write_cursor
from analysis.suppression import Reason
from carom.console.visit import Visit

PAGE = 50


async def show(visit: Visit) -> Response:
    asked = visit.ask("reason", 16)
    reason = asked if asked in set(Reason) else None
    cursor = read_cursor(visit.ask("cursor"), float, str)
    before = None if cursor is None else (cursor[0], _octets(cursor[1]))
    rows = await visit.desk.store.read(
        lambda tx: browsing.suppressions_before(tx, before=before, reason=reason, limit=PAGE)
    )
    more = None
    if len(rows) == PAGE:
        more = write_cursor(rows[-1].since, bytes(rows[-1].address_hash).hex())
    return visit.page(
        "suppressions.html", rows=rows, reason=reason, reasons=list(Reason), more=more
    )


def _octets(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""

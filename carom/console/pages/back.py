"""What came back and could not be read: the list, and one mail as it came, as text."""

from __future__ import annotations

from starlette.responses import Response

from analysis import browsing
from analysis.problem import Problem
from analysis.reply import clean
from carom.console.visit import Visit, id_in

PAGE = 25
MOST_SHOWN = 64_000
"""Octets of a raw mail that are shown."""


async def show(visit: Visit) -> Response:
    before = visit.ask("before", 26) or None
    rows = await visit.desk.store.read(
        lambda tx: browsing.not_understood(tx, before=before, limit=PAGE)
    )
    more = rows[-1].id if len(rows) == PAGE else None
    return visit.page("inbound.html", rows=rows, more=more)


async def show_raw(visit: Visit) -> Response:
    """The octets as text: what is no UTF-8 and what does not print is replaced, and it is cut."""
    raw_id = id_in(visit.request)
    row = await visit.desk.store.read(lambda tx: browsing.raw(tx, raw_id, MOST_SHOWN))
    if row is None:
        raise Problem(404, "not-found", visit.words("trouble.no_raw"))
    text = clean(bytes(row.start).decode("utf-8", "replace"), MOST_SHOWN)
    return visit.page("raw.html", raw=row, text=text, cut=row.size > MOST_SHOWN)

"""The HTTP API of aggregate reports: how our domains fare by DMARC, and our listener's TLS.

Scope `read`.  Listings are paged by an opaque cursor; the summaries stand on every page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from analysis.access import Access
from analysis.aggregate_lookup import (
    Span,
    dmarc_sources_page,
    dmarc_summary,
    reports_page,
    tls_summary,
    unknown_senders,
)
from analysis.alignment import AHEAD, DAY
from analysis.body import answer, read_cursor, read_moment, write_cursor
from analysis.facts import Kind
from analysis.lookup import iso
from analysis.problem import invalid
from analysis.store import Store

WIDEST = 400 * DAY
"""Of the span that is added up."""
DEFAULT = 7 * DAY

Limit = Annotated[int, Query(ge=1, le=1_000)]
Name = Annotated[str, Query(max_length=253, pattern=r"^[A-Za-z0-9_.-]+$")]


class Aggregates:
    def __init__(self, store: Store, access: Access, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._access = access
        self._clock = clock

    def router(self) -> APIRouter:
        api = APIRouter(prefix="/v1", tags=["reports"])
        read = [Depends(self._access.require("read"))]
        api.get("/dmarc", dependencies=read)(self.dmarc)
        api.get("/tls-reports", dependencies=read)(self.tls_reports)
        return api

    async def dmarc(
        self,
        since: str | None = None,
        until: str | None = None,
        domain: Name | None = None,
        cursor: str | None = None,
        limit: Limit = 100,
    ) -> Response:
        """Alignment of mail under our domains as receivers report it: in all, by source, and who
        uses our domains without being us.  By default of the last week."""
        span = self._span(since, until, domain)
        after = read_cursor(cursor, int, str)
        summary, sources, unknown = await self._store.read(
            lambda tx: (
                dmarc_summary(tx, span),
                dmarc_sources_page(tx, span, after and (after[0], after[1]), limit),
                unknown_senders(tx, span),
            )
        )
        more = len(sources) == limit
        last = (sources[-1]["messages"], sources[-1]["source"]) if more else None
        return answer(
            {
                **_shown(span),
                **summary,
                "unknown_senders": unknown,
                "sources": sources,
                "cursor": last and write_cursor(*last),
            }
        )

    async def tls_reports(
        self,
        since: str | None = None,
        until: str | None = None,
        domain: Name | None = None,
        cursor: str | None = None,
        limit: Limit = 100,
    ) -> Response:
        """What others report of TLS with our listener (RFC 8460): in all, by policy, what failed
        where, and the reports themselves, the newest first.  By default of the last week."""
        span = self._span(since, until, domain)
        (after,) = read_cursor(cursor, str) or (None,)
        summary, reports = await self._store.read(
            lambda tx: (
                tls_summary(tx, span),
                reports_page(tx, Kind.TLS_RPT, span, after, limit),
            )
        )
        last = reports[-1]["id"] if len(reports) == limit else None
        return answer(
            {
                **_shown(span),
                **summary,
                "reports": reports,
                "cursor": last and write_cursor(last),
            }
        )

    def _span(self, since: str | None, until: str | None, domain: str | None) -> Span:
        """Reports may end a little ahead of our clock, so the default end is open."""
        now = self._clock()
        end = read_moment(until, "until")
        end = now + AHEAD if end is None else end
        start = read_moment(since, "since")
        start = min(now, end) - DEFAULT if start is None else start
        if not 0 < end - start <= WIDEST + AHEAD:
            raise invalid("since", "expected a time before `until`, by 400 days at most")
        return Span(start, end, domain and domain.lower().strip("."))


def _shown(span: Span) -> dict[str, str | None]:
    return {"since": iso(span.since), "until": iso(span.until), "domain": span.domain}

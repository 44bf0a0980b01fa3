"""What the HTTP API tells and changes of the record: explanations, events, rates, erasure.

Routes that only read need the scope `read`; erasing a person needs `admin`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from analysis.access import Access, Caller, actor
from analysis.address import address_hash
from analysis.body import answer, read_address, read_cursor, read_moment, write_cursor
from analysis.cohorts import Span
from analysis.erase import erase
from analysis.explain import Language, explain
from analysis.incident_view import told as incident_told
from analysis.incidents import awaited
from analysis.lookup import events_after, iso, newest_delivery
from analysis.problem import invalid
from analysis.providers import PROVIDERS
from analysis.replicas import Reads
from analysis.reply import clean
from analysis.stats import By, cohort
from analysis.store import Store
from analysis.suppression import EVERY_STREAM, standing
from analysis.suppression_api import StreamName

DAY = 86_400.0
HOUR = 3_600.0
LONGEST = 400 * DAY
"""Of the span that rates are counted over ..."""
WIDEST = 92 * DAY
"""... and where they are told hour by hour."""
LAST_SEQ = 2**53

Limit = Annotated[int, Query(ge=1, le=1_000)]


class Insight:
    def __init__(
        self, store: Store, replicas: Reads, access: Access, *, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._replicas = replicas
        self._access = access
        self._clock = clock

    def router(self) -> APIRouter:
        api = APIRouter(prefix="/v1", tags=["insight"])
        read = [Depends(self._access.require("read"))]
        admin = [Depends(self._access.require("admin"))]
        api.get("/explain", dependencies=read)(self.explain)
        api.get("/events", dependencies=read)(self.events)
        api.get("/stats", dependencies=read)(self.stats)
        api.delete("/recipients/{address:path}", dependencies=admin)(self.erase)
        return api

    async def explain(
        self, recipient: str, stream: StreamName | None = None, lang: Language = "en"
    ) -> Response:
        """Why mail does or does not reach an address, and what to do, for three audiences."""
        address = read_address(recipient, "recipient")
        hashed = address_hash(address.key)
        now = self._clock()
        delivery, entries, incident = await self._replicas.read(
            lambda tx: (
                newest := newest_delivery(tx, hashed),
                standing(tx, [hashed], now).get(hashed, []),
                awaited(tx, newest),
            )
        )
        if stream is not None:
            entries = [one for one in entries if one.stream in (EVERY_STREAM, stream)]
        told = explain(address.wire, delivery, entries, lang=lang, now=now)
        return answer({**told, "incident": incident_told(incident, lang)})

    async def events(self, cursor: str | None = None, limit: Limit = 100) -> Response:
        """What happened, in order; the cursor of one answer is where the next one goes on."""
        (after,) = read_cursor(cursor, int) or (0,)
        if not 0 <= after < LAST_SEQ:
            raise invalid("cursor", "expected a cursor as an earlier answer gave it")
        found = await self._store.read(lambda tx: events_after(tx, after, limit))
        last = int(found[-1]["id"]) if found else after
        return answer({"events": found, "cursor": write_cursor(last)})

    async def stats(
        self,
        since: str | None = None,
        until: str | None = None,
        stream: StreamName | None = None,
        provider: str | None = None,
        by: By | None = None,
    ) -> Response:
        """Cohort-true rates of what was sent in a span, by default the last day in whole hours.

        Each ratio comes with its numerator and denominator.  `by` adds a series over time.
        """
        now = self._clock()
        end, start = read_moment(until, "until"), read_moment(since, "since")
        last = _end_of_hour(now) if end is None else end
        first = last - DAY if start is None else start
        if not 0 < last - first <= (LONGEST if by == "day" or by is None else WIDEST):
            raise invalid("since", "expected a time before `until`, by 400 days at most, or 92")
        if provider is not None and provider not in PROVIDERS:
            raise invalid("provider", f"expected one of {', '.join(PROVIDERS)}")
        span = Span(first, last, stream, provider)
        counted = await self._replicas.read(lambda tx: cohort(tx, span, by))
        return answer({"since": iso(first), "until": iso(now if end is None else end), **counted})

    async def erase(
        self, address: str, key: Caller, why: Annotated[str, Query(max_length=1_000)] = ""
    ) -> Response:
        """Erase what is kept of a person; an entry on the list goes on withholding, by its hash."""
        mailbox = read_address(address, "address")
        hashed = address_hash(mailbox.key)
        now = self._clock()
        reason = clean(why) or f"asked for by {actor(key)}"
        done = await self._store.write(
            lambda tx: erase(tx, hashed, now=now, actor=actor(key), why=reason, named=mailbox.wire)
        )
        return answer(
            {
                "deliveries": done.deliveries,
                "cancelled": done.cancelled,
                "suppressions": done.suppressions,
                "in_flight": done.in_flight,
            }
        )


def _end_of_hour(now: float) -> float:
    """Nothing was sent later; and whole hours are counted already."""
    return (now // HOUR + 1) * HOUR

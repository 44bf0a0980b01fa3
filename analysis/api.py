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
from analysis.body import answer, read_address, read_cursor, write_cursor
from analysis.erase import erase
from analysis.exchange import read_time
from analysis.explain import Language, explain
from analysis.lookup import events_after, iso, newest_delivery
from analysis.problem import invalid
from analysis.reply import clean
from analysis.stats import cohort
from analysis.store import Store
from analysis.suppression import EVERY_STREAM, standing
from analysis.suppression_api import StreamName

DAY = 86_400.0
WIDEST = 92 * DAY
"""Of the span that rates are counted over."""
LAST_SEQ = 2**53

Limit = Annotated[int, Query(ge=1, le=1_000)]


class Insight:
    def __init__(self, store: Store, access: Access, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._access = access
        self._clock = clock

    def router(self) -> APIRouter:
        api = APIRouter(prefix="/v1", tags=["insight"])
        read = [Depends(self._access.require("read"))]
        admin = [Depends(self._access.require("admin"))]
        api.get("/explain", dependencies=read)(self.explain)
        api.get("/events", dependencies=read)(self.events)
        api.get("/stats", dependencies=read)(self.stats)
        api.get("/incidents", dependencies=read)(self.incidents)
        api.delete("/recipients/{address:path}", dependencies=admin)(self.erase)
        return api

    async def explain(
        self, recipient: str, stream: StreamName | None = None, lang: Language = "en"
    ) -> Response:
        """Why mail does or does not reach an address, and what to do, for three audiences."""
        address = read_address(recipient, "recipient")
        hashed = address_hash(address.key)
        now = self._clock()
        delivery, entries = await self._store.read(
            lambda tx: (
                newest_delivery(tx, hashed),
                standing(tx, [hashed], now).get(hashed, []),
            )
        )
        if stream is not None:
            entries = [one for one in entries if one.stream in (EVERY_STREAM, stream)]
        return answer(explain(address.wire, delivery, entries, lang=lang))

    async def events(self, cursor: str | None = None, limit: Limit = 100) -> Response:
        """What happened, in order; the cursor of one answer is where the next one goes on."""
        (after,) = read_cursor(cursor, int) or (0,)
        if not 0 <= after < LAST_SEQ:
            raise invalid("cursor", "expected a cursor as an earlier answer gave it")
        found = await self._store.read(lambda tx: events_after(tx, after, limit))
        last = int(found[-1]["id"]) if found else after
        return answer({"events": found, "cursor": write_cursor(last)})

    async def stats(self, since: str | None = None, until: str | None = None) -> Response:
        """Cohort-true rates of what was submitted in a span, by default the last day."""
        now = self._clock()
        end = _time(until, "until") or now
        start = _time(since, "since")
        start = end - DAY if start is None else start
        if not 0 < end - start <= WIDEST:
            raise invalid("since", "expected a time before `until`, by 92 days at most")
        counted = await self._store.read(lambda tx: cohort(tx, start, end))
        return answer({"since": iso(start), "until": iso(end), **counted})

    async def incidents(self) -> Response:
        """Open incidents.  None are opened yet."""
        return answer({"incidents": []})

    async def erase(
        self, address: str, key: Caller, why: Annotated[str, Query(max_length=1_000)] = ""
    ) -> Response:
        """Erase what is kept of a person; an entry on the list goes on withholding, by its hash."""
        hashed = address_hash(read_address(address, "address").key)
        now = self._clock()
        reason = clean(why) or f"asked for by {actor(key)}"
        done = await self._store.write(
            lambda tx: erase(tx, hashed, now=now, actor=actor(key), why=reason)
        )
        return answer(
            {
                "deliveries": done.deliveries,
                "cancelled": done.cancelled,
                "suppressions": done.suppressions,
                "in_flight": done.in_flight,
            }
        )


def _time(text: str | None, field: str) -> float | None:
    """`since=...+08:00` in a query arrives with a blank for the plus."""
    try:
        return read_time(text and text.replace(" ", "+"))
    except ValueError as error:
        raise invalid(field, str(error)) from error

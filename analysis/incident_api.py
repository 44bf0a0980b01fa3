"""`/v1/incidents` and `/v1/reputation`: trouble with receivers, and where we stand with them.

Reading needs the scope `read`; to decide about suppressions that are held back, `suppress`.  A
decision is audited with the name of the key, closes its incident and keeps it closed for a while.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from sqlalchemy import Connection, select
from starlette.responses import Response

from analysis import held, incidents, reputation
from analysis.access import Access, Caller, actor
from analysis.body import answer, read_cursor, write_cursor
from analysis.incident_policy import shipped
from analysis.incident_view import view
from analysis.lookup import Json, iso
from analysis.problem import Problem, not_found
from analysis.reply import clean
from analysis.schema import blocklistings
from analysis.store import Store

Limit = Annotated[int, Query(ge=1, le=1_000)]
Why = Annotated[str, Query(max_length=1_000)]


class Incidents:
    def __init__(self, store: Store, access: Access, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._access = access
        self._clock = clock

    def router(self) -> APIRouter:
        api = APIRouter(prefix="/v1", tags=["incidents"])
        read = [Depends(self._access.require("read"))]
        decide = [Depends(self._access.require("suppress"))]
        api.get("/incidents", dependencies=read)(self.list_incidents)
        api.get("/incidents/{incident_id}", dependencies=read)(self.show)
        api.post("/incidents/{incident_id}/release", dependencies=decide)(self.release)
        api.post("/incidents/{incident_id}/drop", dependencies=decide)(self.drop)
        api.post("/incidents/{incident_id}/close", dependencies=decide)(self.close)
        api.get("/reputation", dependencies=read)(self.reputation)
        return api

    async def list_incidents(
        self,
        state: Literal["open", "closed", "all"] = "open",
        cursor: str | None = None,
        limit: Limit = 100,
    ) -> Response:
        """Incidents page by page, the newest first; by default those that are open."""
        (before,) = read_cursor(cursor, str) or (None,)
        wanted = None if state == "all" else state

        def work(tx: Connection) -> list[Json]:
            page = incidents.browse(tx, state=wanted, before=before, limit=limit)
            return [view(row, held=held.count(tx, row.id)) for row in page]

        found = await self._store.read(work)
        more = write_cursor(found[-1]["id"]) if len(found) == limit else None
        return answer({"incidents": found, "cursor": more})

    async def show(self, incident_id: str) -> Response:
        """One incident with its evidence and what to do."""
        return answer(await self._store.read(lambda tx: shown(tx, incident_id)))

    async def release(self, incident_id: str, key: Caller, why: Why = "") -> Response:
        """Put the suppressions that are held back on the list."""
        reason = clean(why) or f"released by {actor(key)}"
        done = await decide(
            self._store, incident_id, "release", actor=actor(key), why=reason, now=self._clock()
        )
        return answer({"incident": incident_id, **done})

    async def drop(self, incident_id: str, key: Caller, why: Why = "") -> Response:
        """Forget the suppressions that are held back."""
        reason = clean(why) or f"dropped by {actor(key)}"
        done = await decide(
            self._store, incident_id, "drop", actor=actor(key), why=reason, now=self._clock()
        )
        return answer({"incident": incident_id, **done})

    async def close(self, incident_id: str, key: Caller, why: Why = "") -> Response:
        """End an incident by hand, and keep it from opening again for a day."""
        reason = clean(why) or f"closed by {actor(key)}"
        now = self._clock()
        return answer(
            await self._store.write(
                lambda tx: close(tx, incident_id, actor=actor(key), why=reason, now=now)
            )
        )

    async def reputation(self) -> Response:
        """Complaints and bounces against the limits of receivers; blocklists; as last measured."""
        return answer(await self._store.read(where_we_stand))


def shown(tx: Connection, incident_id: str) -> Json:
    row = incidents.find(tx, incident_id)
    if row is None:
        raise not_found("incident")
    return view(row, held=held.count(tx, incident_id))


async def decide(
    store: Store,
    incident_id: str,
    what: Literal["release", "drop"],
    *,
    actor: str,
    why: str,
    now: float,
) -> dict[str, int]:
    """Do what a person decided about held suppressions: how many there were, how many are listed.

    A `Problem` where there is no such incident, or it holds nothing.
    """
    mute = shipped().times.mute

    def begin(tx: Connection) -> None:
        row = incidents.find(tx, incident_id)
        if row is None:
            raise not_found("incident")
        if row.kind != held.KIND:
            raise Problem(409, "nothing-held", "no suppressions are held for this incident")
        held.decided(tx, row, what, actor=actor, why=why, now=now, mute=mute)

    def some(tx: Connection) -> tuple[int, int]:
        if what == "drop":
            return held.drop(tx, incident_id), 0
        return held.release(tx, incident_id, actor=actor, now=now)

    await store.write(begin)
    looked_at = listed = 0
    while True:
        found, put = await store.write(some)
        if not found:
            return {"held": looked_at, "suppressed": listed}
        looked_at, listed = looked_at + found, listed + put


def close(tx: Connection, incident_id: str, *, actor: str, why: str, now: float) -> Json:
    """End an incident by a person's word; as it then is.

    A `Problem` where there is none, it is over already, or suppressions wait to be decided about.
    """
    row = incidents.find(tx, incident_id)
    if row is None:
        raise not_found("incident")
    if row.state != "open":
        raise Problem(409, "already-closed", "this incident is closed already")
    if held.count(tx, incident_id):
        raise Problem(409, "something-held", "release or drop the suppressions it holds first")
    held.decided(tx, row, "close", actor=actor, why=why, now=now, mute=shipped().times.mute)
    return shown(tx, incident_id)


def where_we_stand(tx: Connection) -> Json:
    """The newest measures and blocklist results, as JSON values."""
    listed = tx.execute(
        select(blocklistings).order_by(blocklistings.c.list, blocklistings.c.subject)
    )
    return {
        "ratios": [_ratio(one) for one in reputation.newest(tx)],
        "blocklists": [_listing(row) for row in listed],
    }


def _ratio(one: reputation.Measured) -> Json:
    limit = reputation.limit_of(one.provider, one.measure)
    return {
        "provider": one.provider,
        "measure": one.measure,
        "numerator": one.numerator,
        "denominator": one.denominator,
        "ratio": round(one.ratio, 6) if one.denominator else None,
        "warn": limit.warn,
        "limit": limit.limit,
        "state": one.state,
        "source": limit.source,
        "note": limit.note,
        "since": iso(one.since),
        "at": iso(one.at),
    }


def _listing(row: Any) -> Json:
    return {
        "list": row.list,
        "subject": row.subject,
        "kind": row.kind,
        "state": row.state,
        "said": row.said,
        "since": iso(row.since),
        "checked_at": iso(row.checked_at),
    }

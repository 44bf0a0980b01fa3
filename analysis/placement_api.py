"""`GET /v1/placement`: where seed mailboxes file our mail, and what may be concluded of all of it.

Every ratio comes with its number of probes and the interval that the true share lies in; of
nothing there is no ratio.  The overall estimate stands beside, with what it rests on.  Needs the
scope `read`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from sqlalchemy import Connection, Row
from starlette.responses import Response

from analysis import aggregate_lookup, cohorts, engagement, placement
from analysis.access import Access
from analysis.body import answer, read_moment
from analysis.inbox_estimate import Estimate, Evidence, Share, estimate
from analysis.lifecycle import State
from analysis.lookup import iso
from analysis.placement import Tally
from analysis.problem import invalid
from analysis.providers import PROVIDERS
from analysis.store import Store

DAY = 86_400.0
WIDEST = 92 * DAY

Json = dict[str, Any]
_DELIVERED = (State.DELIVERED.value, State.COMPLAINED.value)


class Placements:
    def __init__(
        self, store: Store, access: Access, *, clock: Callable[[], float], window: float
    ) -> None:
        """`window`: seconds that an answer covers unless the question says `since`."""
        self._store = store
        self._access = access
        self._clock = clock
        self._window = window

    def router(self) -> APIRouter:
        api = APIRouter(prefix="/v1", tags=["insight"])
        read = [Depends(self._access.require("read"))]
        api.get("/placement", dependencies=read)(self.placement)
        return api

    async def placement(
        self,
        since: str | None = None,
        provider: str | None = None,
        limit: Annotated[int, Query(ge=0, le=1_000)] = 50,
    ) -> Response:
        """Placement of probes sent since a time, by provider and stream, and the newest probes."""
        now = self._clock()
        start = read_moment(since, "since")
        start = now - self._window if start is None else start
        if not 0 < now - start <= WIDEST:
            raise invalid("since", "expected a time before now, by 92 days at most")
        if provider is not None and provider not in PROVIDERS:
            raise invalid("provider", f"expected one of {', '.join(PROVIDERS)}")
        return answer(await self._store.read(lambda tx: summary(tx, start, now, provider, limit)))


def summary(
    tx: Connection, since: float, now: float, provider: str | None = None, limit: int = 50
) -> Json:
    """Everything about the probes sent in `since <= t`; the estimate is always of all providers."""
    by_provider = placement.tally(tx, since, provider)
    by_stream = placement.tally_by_stream(tx, since, provider)
    return {
        "since": iso(since),
        "until": iso(now),
        "total": shown(placement.total(list(by_provider.values()))),
        "providers": [{"provider": name, **shown(one)} for name, one in by_provider.items()],
        "streams": [
            {"stream": stream, "provider": name, **shown(one)}
            for (stream, name), one in by_stream.items()
        ],
        "recent": [_probe(row) for row in placement.recent(tx, limit, provider)],
        "estimate": _estimate(estimate(evidence(tx, since, now))),
    }


def evidence(tx: Connection, since: float, now: float) -> Evidence:
    """What the tables know of a span, for the estimate.

    Mail that cannot tell whether it was opened counts as not opened: opens prove a part, no more.
    """
    delivered: dict[str, int] = {}
    complained = 0
    for name, outcome, n in cohorts.read(tx, cohorts.Span(since, now), "provider", "outcome"):
        if outcome in _DELIVERED:
            delivered[name] = delivered.get(name, 0) + n
        complained += n if outcome == State.COMPLAINED.value else 0
    ours = aggregate_lookup.dmarc_summary(tx, aggregate_lookup.Span(since, now))["ours"]
    aligned = Share(ours["passed"], ours["messages"]) if ours["messages"] else None
    people = engagement.people(tx, since, now)
    opened = Share(people, sum(delivered.values())) if people else None
    return Evidence(placement.tally(tx, since), delivered, complained, aligned, opened)


def shown(tally: Tally) -> Json:
    """Counts, the share in the inbox, and where the true share lies (95 %)."""
    low, high = tally.interval
    some = tally.samples > 0
    return {
        "samples": tally.samples,
        "inbox": tally.inbox,
        "junk": tally.junk,
        "other": tally.other,
        "missing": tally.missing,
        "undelivered": tally.undelivered,
        "waiting": tally.waiting,
        "ratio": _rounded(tally.ratio),
        "low": _rounded(low) if some else None,
        "high": _rounded(high) if some else None,
    }


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 6)


def _probe(row: Row[Any]) -> Json:
    found = row.arrived_at is not None
    return {
        "id": row.id,
        "message_id": row.message_id,
        "seed": row.seed,
        "provider": row.provider,
        "stream": row.stream,
        "sent_at": iso(row.sent_at),
        "placement": row.placement,
        "folder": row.folder,
        "arrived_at": iso(row.arrived_at),
        "seconds": round(max(0.0, row.arrived_at - row.sent_at), 3) if found else None,
        "settled_at": iso(row.settled_at),
        "authentication": {"spf": row.spf, "dkim": row.dkim, "dmarc": row.dmarc},
    }


def _estimate(found: Estimate) -> Json:
    """Unless it is known there are no numbers to be misread."""
    span = f"between {found.low:.0%} and {found.high:.0%}".replace("%", " %")
    return {
        "known": found.known,
        "says": span if found.known else "not known",
        "low": found.low if found.known else None,
        "high": found.high if found.known else None,
        "samples": found.samples,
        "covered": None if found.covered is None else round(found.covered, 4),
        "rests_on": found.rests_on,
        "cautions": found.cautions,
    }

"""Rates that are true to their cohort: what became of the deliveries accepted in a span of time.

A bounce that came days later takes its delivery out of the span it was sent in, since states are
counted and not events.  Plain counts from the deliveries themselves; nothing is sampled.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select

from analysis.lifecycle import PENDING, State
from analysis.schema import deliveries

Json = dict[str, Any]


def cohort(tx: Connection, since: float, until: float) -> Json:
    """Counts of the deliveries made in `since <= t < until`, by stream and provider, by cause."""
    made = (deliveries.c.created_at >= since, deliveries.c.created_at < until)
    d = deliveries.c
    by_state = tx.execute(
        select(d.stream, d.provider, d.state, func.count())
        .where(*made)
        .group_by(d.stream, d.provider, d.state)
    ).all()
    causes = tx.execute(
        select(d.stream, d.provider, d.category, d.fault, func.count())
        .where(*made, d.category.is_not(None), d.state.in_([State.BOUNCED, State.EXPIRED]))
        .group_by(d.stream, d.provider, d.category, d.fault)
        .order_by(func.count().desc())
    ).all()
    cohorts: dict[tuple[str, str], dict[str, int]] = {}
    totals: dict[str, int] = {}
    for stream, provider, state, count in by_state:
        cohorts.setdefault((stream, provider), {})[state] = int(count)
        totals[state] = totals.get(state, 0) + int(count)
    return {
        "totals": _rates(totals),
        "cohorts": [
            {"stream": stream, "provider": provider, **_rates(states)}
            for (stream, provider), states in sorted(cohorts.items())
        ],
        "causes": [
            {
                "stream": stream,
                "provider": provider,
                "category": category,
                "fault": fault,
                "count": int(count),
            }
            for stream, provider, category, fault, count in causes
        ],
    }


def _rates(states: dict[str, int]) -> Json:
    """Ratios are of what was tried and has ended; None while nothing has."""
    counts = {state.value: states.get(state.value, 0) for state in State}
    untried = {*PENDING, State.SUPPRESSED, State.CANCELLED}
    ended = sum(counts[state.value] for state in State if state not in untried)
    delivered = counts[State.DELIVERED] + counts[State.COMPLAINED]
    return {
        "deliveries": sum(counts.values()),
        "states": counts,
        "delivered_ratio": round(delivered / ended, 6) if ended else None,
        "bounced_ratio": round(counts[State.BOUNCED] / ended, 6) if ended else None,
        "complained_ratio": round(counts[State.COMPLAINED] / delivered, 6) if delivered else None,
    }

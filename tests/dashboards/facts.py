"""What the metrics should have said, made from the tables alone: facts and their times.

Nothing here goes through the counters; a panel that asks the same of both must get the same.
"""

from __future__ import annotations

import bisect
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, select

from analysis.metrics import ACCEPT_BUCKETS
from analysis.schema import (
    attempts,
    deliveries,
    incidents,
    raw_inbound,
    reports,
    suppressions,
)
from analysis.stats import ROLLING
from tests.dashboards.history import Samples

HOUR = 3_600.0
NEVER = float("inf")
TRIED = ("accepted", "refused", "deferred", "in_doubt")

_TIME = ("carom_time_to_accept_seconds", "carom_time_to_resolve_seconds")
_PARTS = ("_bucket", "_count", "_sum")
COUNTED = frozenset(
    {
        "carom_messages_submitted_total",
        "carom_deliveries_total",
        "carom_attempts_total",
        "carom_bounces_total",
        "carom_complaints_total",
        "carom_suppressed_sends_total",
        "carom_inbound_messages_total",
        *(name + part for name in _TIME for part in _PARTS),
    }
)
READ = frozenset(
    {
        "carom_suppressions",
        "carom_cohort_delivered",
        "carom_cohort_ended",
        "carom_incidents_open",
        "carom_bounce_loop_last_ok_seconds",
        "carom_inbound_unread",
        "carom_queue_depth",
    }
)
"""Gauges, of which the tables tell the past."""

Fact = tuple[float, str, dict[str, str], float]  # when, metric, labels, how much


def told_by(tx: Connection, times: Sequence[float], **more: str) -> Samples:
    """Every series of `COUNTED` and `READ` as the tables tell it, at these times."""
    samples = Samples()
    grown: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for at, name, labels, amount in sorted(_facts(tx), key=lambda fact: fact[0]):
        grown[_series(name, {**labels, **more})].append((at, amount))
    for series, facts in grown.items():
        at = [when for when, _ in facts]
        total = [0.0]
        for _, amount in facts:
            total.append(total[-1] + amount)
        for time in times:
            samples.put(series, time, repr(total[bisect.bisect_right(at, time)]))
    for time in times:
        for name, labels, value in _standing(tx, time):
            samples.put(_series(name, {**labels, **more}), time, repr(value))
    return samples


def _series(name: str, labels: dict[str, str]) -> str:
    inside = ",".join(f"{key}={json.dumps(value)}" for key, value in labels.items())
    return f"{name}{{{inside}}}"


def _facts(tx: Connection) -> Iterator[Fact]:
    yield from _sent(tx)
    yield from _tried(tx)
    yield from _come_back(tx)
    read = select(raw_inbound.c.received_at, raw_inbound.c.kind).where(
        raw_inbound.c.state == "read"
    )
    for at, kind in tx.execute(read):
        yield at, "carom_inbound_messages_total", {"kind": kind}, 1


def _sent(tx: Connection) -> Iterator[Fact]:
    """One recipient a message, in this story."""
    d = deliveries.c
    rows = tx.execute(
        select(d.created_at, d.stream, d.state, suppressions.c.reason)
        .select_from(
            deliveries.outerjoin(
                suppressions,
                (suppressions.c.address_hash == d.address_hash) & (d.state == "suppressed"),
            )
        )
        .where(d.probe.is_(None))
    )
    for at, stream, state, reason in rows:
        yield at, "carom_messages_submitted_total", {"stream": stream}, 1
        if state == "suppressed":
            labels = {"stream": stream, "provider": "other", "outcome": "suppressed"}
            yield at, "carom_deliveries_total", labels, 1
            yield at, "carom_suppressed_sends_total", {"stream": stream, "reason": reason}, 1


def _tried(tx: Connection) -> Iterator[Fact]:
    d, a = deliveries.c, attempts.c
    rows = tx.execute(
        select(d.stream, d.provider, d.created_at, a.ended_at, a.result, a.category, a.fault)
        .join(attempts, a.delivery_id == d.id)
        .where(d.probe.is_(None), a.result.in_(TRIED))
    )
    for stream, provider, sent, at, result, category, fault in rows:
        here = {"stream": stream, "provider": provider}
        yield at, "carom_attempts_total", {"provider": provider, "result": result}, 1
        outcome = {"accepted": "delivered", "refused": "bounced"}.get(result)
        if outcome is None:
            continue
        yield at, "carom_deliveries_total", {**here, "outcome": outcome}, 1
        yield from _waited(_TIME[1], at, here, at - sent)
        if result == "accepted":
            yield from _waited(_TIME[0], at, here, at - sent)
        else:
            cause = {"category": category, "fault": fault, "source": "smtp"}
            yield at, "carom_bounces_total", {**here, **cause}, 1


def _waited(name: str, at: float, here: dict[str, str], seconds: float) -> Iterator[Fact]:
    for bound in (*ACCEPT_BUCKETS, NEVER):
        le = "+Inf" if bound == NEVER else repr(float(bound))
        yield at, f"{name}_bucket", {**here, "le": le}, float(seconds <= bound)
    yield at, f"{name}_count", here, 1
    yield at, f"{name}_sum", here, seconds


def _come_back(tx: Connection) -> Iterator[Fact]:
    d, r = deliveries.c, reports.c
    rows = tx.execute(
        select(d.stream, d.provider, r.at, r.kind, r.category, r.fault, r.feedback_type)
        .join(reports, r.delivery_id == d.id)
        .where(d.probe.is_(None))
    )
    for stream, provider, at, kind, category, fault, feedback in rows:
        here = {"stream": stream, "provider": provider}
        if kind == "bounce":
            cause = {"category": category, "fault": fault, "source": "dsn"}
            yield at, "carom_bounces_total", {**here, **cause}, 1
        elif kind == "complaint":
            yield at, "carom_complaints_total", {**here, "type": feedback}, 1


def _standing(tx: Connection, at: float) -> Iterator[tuple[str, dict[str, str], float]]:
    """What stood at a time."""
    # from the first moment on: what begins at 1 has not grown, as Prometheus sees it
    counts = dict.fromkeys(tx.execute(select(suppressions.c.reason).distinct()).scalars(), 0)
    for (reason,) in tx.execute(select(suppressions.c.reason).where(suppressions.c.since <= at)):
        counts[reason] += 1
    for reason, count in counts.items():
        yield "carom_suppressions", {"reason": reason}, count
    yield from _cohorts(tx, at)
    i = incidents.c
    for row in tx.execute(select(i.provider, i.fault, i.opened_at, i.closed_at)):
        if row.opened_at <= at < (row.closed_at or NEVER):
            labels = {"provider": row.provider, "fault": row.fault}
            yield "carom_incidents_open", labels, 1
    back = select(reports.c.at).join(deliveries, deliveries.c.id == reports.c.delivery_id)
    canaries = back.where(deliveries.c.probe == "canary", reports.c.at <= at)
    if returned := list(tx.execute(canaries).scalars()):
        yield "carom_bounce_loop_last_ok_seconds", {}, at - max(returned)
    d = deliveries.c
    waiting = select(d.id).where(d.created_at <= at, d.probe.is_(None))
    left = waiting.where(d.settled_at.is_(None) | (d.settled_at > at), d.accepted_at.is_(None))
    yield "carom_queue_depth", {"class": "transactional"}, len(tx.execute(left).all())


def _cohorts(tx: Connection, at: float) -> Iterator[tuple[str, dict[str, str], float]]:
    """Of what was sent in the last hours and has ended: what stayed delivered, as known then."""
    d, r = deliveries.c, reports.c
    taken_back = dict(
        tx.execute(select(r.delivery_id, r.at).where(r.kind.in_(["bounce", "complaint"]))).all()
    )
    ended: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    rows: Sequence[Any] = tx.execute(
        select(d.id, d.stream, d.provider, d.state, d.accepted_at, d.settled_at).where(
            d.probe.is_(None),
            d.created_at >= (at // HOUR - ROLLING) * HOUR,
            d.created_at <= at,
            d.state != "suppressed",
        )
    ).all()
    for id_, stream, provider, state, accepted, settled in rows:
        reached = accepted if accepted is not None else settled
        if reached is None or reached > at:
            continue
        stayed = accepted is not None and taken_back.get(id_, NEVER) > at
        pair = ended[stream, provider]
        pair[0] += stayed
        pair[1] += 1
        assert state not in ("queued", "sending")
    for (stream, provider), (stayed, whole) in ended.items():
        labels = {"stream": stream, "provider": provider}
        yield "carom_cohort_delivered", labels, stayed
        yield "carom_cohort_ended", labels, whole

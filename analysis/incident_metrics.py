"""Gauges of incidents, reputation and blocklists, read from the database at scrape.

Closed label sets: providers, faults, lists of ours and kinds of subject; no address.  Every series
of incidents is there from the start, at 0, so that an alert sees it rise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy import Connection, func, select

from analysis import reputation
from analysis.incident_policy import ALL
from analysis.providers import PROVIDERS
from analysis.schema import blocklistings, held_suppressions, incidents

FAULTS = ("sender", "receiver", "recipient")


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a scrape reads."""

    open: Mapping[tuple[str, str], int] = field(default_factory=dict)  # provider, fault
    ratios: tuple[reputation.Measured, ...] = ()
    listed: Mapping[tuple[str, str], int] = field(default_factory=dict)  # list, kind of subject
    held: int = 0


def read(tx: Connection) -> Trouble:
    i, b = incidents.c, blocklistings.c
    rows = tx.execute(
        select(i.provider, i.fault, func.count())
        .where(i.state == "open")
        .group_by(i.provider, i.fault)
    )
    listed: Counter[tuple[str, str]] = Counter()
    for name, kind, state in tx.execute(select(b.list, b.kind, b.state)):
        listed[name, kind] += state == "listed"
    return Trouble(
        {(provider, fault): int(count) for provider, fault, count in rows},
        tuple(reputation.newest(tx)),
        listed,
        int(tx.execute(select(func.count()).select_from(held_suppressions)).scalar_one()),
    )


class IncidentGauges:
    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        self._open = gauge("carom_incidents_open", "Incidents that are open", "provider", "fault")
        self._complaints = gauge(
            "carom_reputation_complaint_ratio", "Complaints of mail accepted lately", "provider"
        )
        self._bounces = gauge(
            "carom_reputation_bounce_ratio", "Dead addresses of mail tried lately", "provider"
        )
        self._limit = gauge(
            "carom_reputation_limit_ratio", "Complaints the provider bears at most", "provider"
        )
        self._accepted = gauge(
            "carom_reputation_samples", "Accepted mail the complaint ratio is of", "provider"
        )
        self._listed = gauge(
            "carom_blocklisted", "Addresses or domains of ours on a list", "list", "subject_kind"
        )
        self._held = gauge("carom_suppressions_held", "Suppressions the breaker holds back")

    def observe(self, trouble: Trouble) -> None:
        for provider in (*PROVIDERS, ALL):
            for fault in FAULTS:
                count = trouble.open.get((provider, fault), 0)
                self._open.labels(provider, fault).set(count)
        for one in trouble.ratios:
            self._ratio(one)
        for (name, kind), count in trouble.listed.items():
            self._listed.labels(name, kind).set(count)
        self._held.set(trouble.held)

    def _ratio(self, one: reputation.Measured) -> None:
        if one.measure == "bounces":
            self._bounces.labels(one.provider).set(one.ratio)
            return
        self._complaints.labels(one.provider).set(one.ratio)
        self._accepted.labels(one.provider).set(one.denominator)
        limit = reputation.limit_of(one.provider, one.measure).limit
        self._limit.labels(one.provider).set(limit)

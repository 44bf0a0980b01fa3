"""The Prometheus metrics of the contract, with closed label sets and no address anywhere.

Counters and histograms are counted as things happen; gauges are read from the database at scrape
(`observe`).  `provider` is a closed set by construction; `stream` is free text from outside and so
is bounded here: the streams of the settings and the first `MOST_STREAMS` other names keep their own
label, the rest share `other`.  Each family has room for so many label sets and no more
(`analysis.labels`), all together for fewer than 2,000 series whatever is sent.

Counters can be read and resumed (`counted`, `resume`), which carries them over a restart.  The
cohort gauges are read from what all nodes share: every node says the same, so take `max`, not
`sum`.
"""

from __future__ import annotations

import json
from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder, generate_latest

from analysis.added_up import Added, News, Row
from analysis.aggregate_metrics import AggregateMetrics
from analysis.births import Births
from analysis.examined_metrics import Health, HealthGauges
from analysis.facts import Kind
from analysis.incident_metrics import IncidentGauges, Trouble
from analysis.labels import Bound, BoundedCounter, BoundedHistogram, Capped
from analysis.probe_metrics import ProbeGauges, ProbeMetrics
from analysis.providers import OTHER, PROVIDERS
from analysis.smtpd import Reason
from analysis.webhooks import Result

PUT_OFF = ("waiting", "oldest", "full", "unread")
"""Which limit of intake put a message off."""
MOST_STREAMS = 16
"""Names of streams with a label of their own: those of the settings, and as many again."""
MOST_COHORTS = 50
"""Pairs of stream and provider with a cohort of their own, the largest ones; the rest share one."""

# they would add a second series to each counter, which nothing here reads
disable_created_metrics()  # type: ignore[no-untyped-call]

ACCEPT_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
"""Seconds; fine where a login code is waited for, up to an hour."""


@dataclass(frozen=True, slots=True)
class Gauges:
    """What a scrape reads: from the database, and from this process what it holds back."""

    suppressions: dict[str, int]
    queue: dict[str, tuple[int, float]]  # class -> depth, seconds the oldest due one waited
    unread: int
    suspended: Mapping[str, int] = field(default_factory=dict)  # provider -> sites held back
    unknown_sources: int = 0  # addresses that use our domains, not ours, lately
    routes_out: Mapping[str, bool] = field(default_factory=dict)  # by name, as in the settings
    trouble: Trouble = field(default_factory=Trouble)
    cohorts: Sequence[tuple[str, str, int, int]] = ()  # stream, provider, delivered, ended
    probes: ProbeGauges = field(default_factory=ProbeGauges)
    health: Health = field(default_factory=Health)


class Metrics:
    """One registry a process; several processes are added up by Prometheus."""

    def __init__(self, streams: Iterable[str] = ()) -> None:
        """`streams`: the names in the settings."""
        self.registry = CollectorRegistry()
        self.added = Added(self.registry)  # with what processes of ours tell that send for this one
        self._bounds: dict[str, Bound] = {}
        self._all = Capped(self.added, self._bounds)
        self._births = Births(self._all)
        ProcessCollector(registry=self.registry)
        self._streams = set(list(streams)[:MOST_STREAMS])
        self._most_streams = len(self._streams) + MOST_STREAMS
        counter, gauge = self._counter, self._gauge
        self.submitted = counter(
            "carom_messages_submitted", "Messages durably accepted for sending", "stream"
        )
        self.put_off = counter(
            "carom_intake_put_off", "Messages and reports not taken since too much waits", "reason"
        )
        for why in PUT_OFF:
            self.put_off.labels(why)
        self.deliveries = counter(
            "carom_deliveries", "Deliveries settled", "stream", "provider", "outcome"
        )
        self.attempts = counter("carom_attempts", "Attempts to deliver", "provider", "result")
        self.bounces = counter(
            "carom_bounces",
            "Deliveries refused, in the session (smtp) or later (dsn)",
            "stream",
            "provider",
            "category",
            "fault",
            "source",
        )
        self.complaints = counter(
            "carom_complaints", "Complaints by feedback loops", "stream", "provider", "type"
        )
        self.suppressed_sends = counter(
            "carom_suppressed_sends", "Deliveries withheld", "stream", "reason"
        )
        self.inbound = counter("carom_inbound_messages", "Inbound messages read", "kind")
        self.refused = counter("carom_inbound_refused", "Refused by the listener", "reason")
        self.webhooks = counter("carom_webhook_deliveries", "Tries to tell a webhook", "result")
        self.feedback = counter(
            "carom_feedback", "Recipients who said that it did not come", "stream", "provider"
        )
        for result in Result:
            self.webhooks.labels(result.value)
        self.engagement = counter(
            "carom_engagement",
            "Deliveries opened or clicked, once a class",
            "stream",
            "kind",
            "class",
        )
        for kind in Kind:  # a series that begins at 1 hides its first event from increase()
            self.inbound.labels(kind.value)
        for reason in Reason:
            self.refused.labels(reason.value)
        self.tls = counter(
            "carom_tls_sessions", "Messages handed over, by TLS version", "version", "policy"
        )
        self.time_to_accept = self._waits(
            "carom_time_to_accept_seconds", "From our promise to the next host's", most=20
        )
        self.time_to_resolve = self._waits(
            "carom_time_to_resolve_seconds",
            "From our promise to a final state, whichever it is",
            most=10,
        )
        self.cohort_ratio = gauge(
            "carom_cohort_delivered_ratio",
            "Share that was delivered and stayed so, of what was sent in the last 24 hours, "
            "was tried and has ended; the same on every node",
            "stream",
            "provider",
        )
        self.cohort_delivered = gauge(
            "carom_cohort_delivered", "The ratio's numerator", "stream", "provider"
        )
        self.cohort_ended = gauge(
            "carom_cohort_ended", "The ratio's denominator", "stream", "provider"
        )
        self.suppressions = gauge("carom_suppressions", "Entries that stand", "reason")
        self.depth = gauge("carom_queue_depth", "Deliveries that wait", "class")
        self.oldest = gauge(
            "carom_queue_oldest_seconds", "How long the oldest due delivery waits", "class"
        )
        self.suspended = gauge(
            "carom_sites_suspended", "Receiving sites that nothing is sent to now", "provider"
        )
        self.routes_out = gauge(
            "carom_routes_out", "Routes out that fail and are only probed: 1, else 0", "route"
        )
        self.trouble = IncidentGauges(self.registry)
        self.unread = gauge("carom_inbound_unread", "Stored reports not read yet")
        self.aggregates = AggregateMetrics(self.registry)
        self.probes = ProbeMetrics(self.registry)
        self.health = HealthGauges(self.registry)
        self._bounds |= self.probes.bounds

    def _counter(self, name: str, text: str, *labels: str) -> BoundedCounter:
        made = BoundedCounter(name, text, labels, registry=self.registry)
        yields = [label for label in _YIELD if label in labels]
        made.bound = self._bounds[name] = Bound(labels, _ROOM.get(name, 60), yields)
        return made

    def _waits(self, name: str, text: str, *, most: int) -> BoundedHistogram:
        labels = ("stream", "provider")
        made = BoundedHistogram(name, text, labels, buckets=ACCEPT_BUCKETS, registry=self.registry)
        made.bound = self._bounds[name] = Bound(labels, most, labels)
        return made

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def stream(self, name: str) -> str:
        """The label of a stream: its name, or `other` once there are too many."""
        if name not in self._streams:
            if len(self._streams) >= self._most_streams:
                return OTHER
            self._streams.add(name)
        return name

    @staticmethod
    def provider(name: str) -> str:
        return name if name in PROVIDERS else OTHER

    def observe(self, gauges: Gauges) -> None:
        """Set the gauges to what the database says now."""
        for reason, count in gauges.suppressions.items():
            self.suppressions.labels(reason).set(count)
        for class_, (depth, oldest) in gauges.queue.items():
            self.depth.labels(class_).set(depth)
            self.oldest.labels(class_).set(oldest)
        self.trouble.observe(gauges.trouble)
        self.unread.set(gauges.unread)
        self.probes.observe(gauges.probes)
        self.health.observe(gauges.health)
        self.aggregates.unknown.set(gauges.unknown_sources)
        for route, out in gauges.routes_out.items():
            self.routes_out.labels(route).set(out)
        for provider in PROVIDERS:
            self.suspended.labels(provider).set(gauges.suspended.get(provider, 0))

        self._observe_cohorts(gauges.cohorts)

    def _observe_cohorts(self, cohorts: Sequence[tuple[str, str, int, int]]) -> None:
        """The largest ones by name, the rest as `other`; what has left the window goes."""
        stayed: Tally[tuple[str, str]] = Tally()
        ended: Tally[tuple[str, str]] = Tally()
        for n, cohort in enumerate(sorted(cohorts, key=lambda one: -one[3])):
            stream, provider, delivered, all_ = cohort
            named = n < MOST_COHORTS - 1
            key = (self.stream(stream), self.provider(provider)) if named else (OTHER, OTHER)
            stayed[key] += delivered
            ended[key] += all_
        for metric in (self.cohort_ratio, self.cohort_delivered, self.cohort_ended):
            metric.clear()
        for key, count in ended.items():
            if count:
                self.cohort_ratio.labels(*key).set(stayed[key] / count)
                self.cohort_delivered.labels(*key).set(stayed[key])
                self.cohort_ended.labels(*key).set(count)

    def counted(self) -> dict[str, float]:
        """Every sample of our counters and histograms that is not zero, by a text that names it."""
        return {
            json.dumps([family.name, sample.name, *sample.labels.items()]): sample.value
            for family in self._all.collect()
            if family.type in ("counter", "histogram") and family.name.startswith("carom_")
            for sample in family.samples
            if sample.value
        }

    def resume(self, counted: Mapping[str, float]) -> None:
        """Go on from what was `counted` before."""
        rows: list[Row] = []
        for text, value in counted.items():
            family, name, *labels = json.loads(text)
            rows.append([family, name, [part for label in labels for part in label], value])
        self.added.hear(_BEFORE, News(counts=rows, gauges=[]))
        self._births.known()

    def exposition(self) -> bytes:
        """The text format that Prometheus scrapes."""
        return generate_latest(self._all)

    def in_format(self, accept: str, scraper: str = "") -> tuple[bytes, str]:
        """The exposition in the format that `Accept` asks for, and its content type.

        OpenMetrics carries exemplars: the id of the message that a sample counted last.  A
        `scraper` that comes again sees each series begin at zero (`analysis.births`).
        """
        encode, content_type = choose_encoder(accept)
        return encode(self._births.as_seen_by(scraper)), content_type


_BEFORE = -1  # the number of no process: what was counted before this one began
_YIELD = ("stream", "provider", "category")
"""What becomes `other` first where a family is full."""
_ROOM = {
    "carom_deliveries": 200,
    "carom_attempts": 160,
    "carom_bounces": 240,
}
"""Label sets of a family; 60 where it does not say."""

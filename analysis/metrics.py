"""The Prometheus metrics of the contract, with closed label sets and no address anywhere.

Counters and histograms are counted as things happen; gauges are read from the database at scrape
(`observe`).  `provider` is a closed set by construction; `stream` is free text from outside and so
is bounded here: the first `MOST_STREAMS` names keep their own label, the rest share `other`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import generate_latest

from analysis.facts import Kind
from analysis.providers import OTHER, PROVIDERS
from analysis.smtpd import Reason

MOST_STREAMS = 40

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


class Metrics:
    """One registry a process; several processes are added up by Prometheus."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._streams: set[str] = set()
        counter, gauge = self._counter, self._gauge
        self.submitted = counter(
            "carom_messages_submitted", "Messages durably accepted for sending", "stream"
        )
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
        for kind in Kind:  # a series that begins at 1 hides its first event from increase()
            self.inbound.labels(kind.value)
        for reason in Reason:
            self.refused.labels(reason.value)
        self.tls = counter(
            "carom_tls_sessions", "Messages handed over, by TLS version", "version", "policy"
        )
        self.time_to_accept = Histogram(
            "carom_time_to_accept_seconds",
            "From our promise to the next host's",
            ("stream", "provider"),
            buckets=ACCEPT_BUCKETS,
            registry=self.registry,
        )
        self.suppressions = gauge("carom_suppressions", "Entries that stand", "reason")
        self.depth = gauge("carom_queue_depth", "Deliveries that wait", "class")
        self.oldest = gauge(
            "carom_queue_oldest_seconds", "How long the oldest due delivery waits", "class"
        )
        self.suspended = gauge(
            "carom_sites_suspended", "Receiving sites that nothing is sent to now", "provider"
        )
        self.unread = gauge("carom_inbound_unread", "Stored reports not read yet")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def stream(self, name: str) -> str:
        """The label of a stream: its name, or `other` once there are too many."""
        if name not in self._streams:
            if len(self._streams) >= MOST_STREAMS:
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
        self.unread.set(gauges.unread)
        for provider in PROVIDERS:
            self.suspended.labels(provider).set(gauges.suspended.get(provider, 0))

    def exposition(self) -> bytes:
        """The text format that Prometheus scrapes."""
        return generate_latest(self.registry)

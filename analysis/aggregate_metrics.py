"""Metrics of aggregate reports: counted as reports are read, with closed labels and no address.

A day's messages are counted when its report comes, hours after the day: graphs want `increase`
over a day or more.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from analysis.aggregate import TLS_RESULTS, Outcome
from analysis.aggregate_ledger import Noted, Standing

SOURCES = ("ours", "unknown")


class AggregateMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.messages = Counter(
            "carom_dmarc_messages",
            "Messages under our domains in DMARC reports, by what aligned and whose source it was",
            ("result", "source"),
            registry=registry,
        )
        self.sessions = Counter(
            "carom_tls_reported_sessions",
            "Sessions to our listener in TLS reports of others",
            ("result",),
            registry=registry,
        )
        self.reports = Counter(
            "carom_aggregate_reports",
            "DMARC and TLS reports read: counted, signed by who reports or unsigned; left out for"
            " want of a signature; refused since they are about nothing of ours",
            ("result",),
            registry=registry,
        )
        self.unknown = Gauge(
            "carom_dmarc_unknown_sources",
            "Addresses that used our domains in the last week and are not ours",
            registry=registry,
        )
        for outcome in Outcome:  # a series that begins at 1 hides its first event from increase()
            for source in SOURCES:
                self.messages.labels(outcome.value, source)
        for result in TLS_RESULTS:
            self.sessions.labels(result)
        for standing in Standing:
            self.reports.labels(standing.value)

    def heard(self, noted: Noted) -> None:
        """Count one report that is new."""
        self.reports.labels(noted.standing.value).inc()
        for (outcome, source), messages in noted.messages.items():
            self.messages.labels(outcome, source).inc(messages)
        for result, sessions in noted.sessions.items():
            self.sessions.labels(result).inc(sessions)

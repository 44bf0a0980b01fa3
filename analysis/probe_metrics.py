"""Metrics of our own probes: inbox placement by provider, and the bounce loop.

Gauges exist only for what has been measured: a ratio of nothing, or a loop that nobody probes,
has no series, since any number there would be a lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge

from analysis.labels import Bound, BoundedCounter, BoundedHistogram
from analysis.placement import Place, Settled, Tally
from analysis.providers import OTHER, PROVIDERS

INBOX_BUCKETS = (1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600)
"""Seconds; a receiver's clock tells whole ones."""
_PROVIDER = ("provider",)
ABSENT = "absent"
"""The receiver said nothing of this method."""


@dataclass(frozen=True, slots=True)
class ProbeGauges:
    """What a scrape reads of probes.  `silence`: None where the bounce loop is not probed; `late`:
    seconds of it that are too many."""

    placement: Mapping[str, Tally] = field(default_factory=dict)  # by provider
    silence: float | None = None
    late: float = 0.0


class ProbeMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._ratio = self._gauge("ratio", "Share of probes found in the inbox")
        self._samples = self._gauge("samples", "Probes that the share is of")
        self._low = self._gauge("low", "Lower end of the 95 % interval of the share")
        self._high = self._gauge("high", "Upper end of the 95 % interval of the share")
        self._loop: tuple[Gauge, Gauge] | None = None
        self._seen: set[str] = set()
        self.bounds = {
            "carom_inbox_seconds": Bound(_PROVIDER, 12, _PROVIDER),
            "carom_seed_authentication": Bound((*_PROVIDER, "method", "result"), 60, _PROVIDER),
        }
        self.seconds = BoundedHistogram(
            "carom_inbox_seconds",
            "From our handing in to the seed's inbox",
            _PROVIDER,
            buckets=INBOX_BUCKETS,
            registry=registry,
        )
        self.seconds.bound = self.bounds["carom_inbox_seconds"]
        self.authentication = BoundedCounter(
            "carom_seed_authentication",
            "What receivers said of our probes",
            (*_PROVIDER, "method", "result"),
            registry=registry,
        )
        self.authentication.bound = self.bounds["carom_seed_authentication"]
        self.errors = Counter(
            "carom_seed_errors",
            "Looks at seeds that came to nothing",
            ("reason",),
            registry=registry,
        )

    def _gauge(self, name: str, text: str) -> Gauge:
        name = f"carom_inbox_placement_{name}"
        return Gauge(name, text, ("provider",), registry=self._registry)

    def settled(self, one: Settled) -> None:
        """A look has established something of a probe."""
        provider = one.provider if one.provider in PROVIDERS else OTHER
        if one.place is Place.INBOX and one.seconds is not None:
            self.seconds.labels(provider).observe(one.seconds)
        for method, result in one.authentication:
            self.authentication.labels(provider, method, result or ABSENT).inc()

    def observe(self, gauges: ProbeGauges) -> None:
        """Set the gauges to what the database says now."""
        measured = {name for name, tally in gauges.placement.items() if tally.samples}
        for gone in self._seen - measured:
            for gauge in (self._ratio, self._samples, self._low, self._high):
                gauge.remove(gone)
        self._seen = measured
        for name in sorted(measured):
            tally = gauges.placement[name]
            self._ratio.labels(name).set(tally.inbox / tally.samples)
            self._samples.labels(name).set(tally.samples)
            self._low.labels(name).set(tally.interval.low)
            self._high.labels(name).set(tally.interval.high)
        if gauges.silence is not None:
            silence, late = self._bounce_loop()
            silence.set(gauges.silence)
            late.set(gauges.late)

    def _bounce_loop(self) -> tuple[Gauge, Gauge]:
        if self._loop is None:
            self._loop = (
                Gauge(
                    "carom_bounce_loop_last_ok_seconds",
                    "Seconds since a canary's bounce came back to us",
                    registry=self._registry,
                ),
                Gauge(
                    "carom_bounce_loop_late_seconds",
                    "Seconds of such silence that are too many, by the rhythm of the settings",
                    registry=self._registry,
                ),
            )
        return self._loop

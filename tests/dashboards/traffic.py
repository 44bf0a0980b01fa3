"""A Carom whose every scrape sees more mail: the real metrics, filled with made-up figures."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from analysis import examined, reputation
from analysis.aggregate import TLS_RESULTS, Outcome
from analysis.aggregate_ledger import Noted
from analysis.aggregate_metrics import SOURCES as SENDERS
from analysis.engagement import What, Who
from analysis.examined_metrics import Health
from analysis.facts import Kind
from analysis.incident_metrics import Trouble
from analysis.metrics import Gauges, Metrics
from analysis.placement import Place, Settled, Tally
from analysis.probe_metrics import ProbeGauges
from analysis.smtpd.door import Reason as Refused
from analysis.suppression import Reason
from analysis.verdict import Category, Fault
from analysis.webhooks import Result as Told
from ingest.authres import METHODS
from ingest.seed_account import Reason as SeedReason
from sender.submit import RANKS
from tests.servers import LOOPBACK, free_port

OUTCOMES = ("delivered", "bounced", "expired", "suppressed")
RESULTS = ("accepted", "refused", "deferred", "in_doubt")
COMPLAINTS = ("abuse", "fraud", "virus", "other", "opt-out", "not-spam", "auth-failure")
SOURCES = ("smtp", "dsn")

STREAM, PROVIDER = "shop", "gmail"


def tick(metrics: Metrics) -> None:
    """A second's mail: 1,000 messages of which 970 are delivered and 5 come back; every label."""
    here = {"stream": metrics.stream(STREAM), "provider": metrics.provider(PROVIDER)}
    metrics.submitted.labels(stream=STREAM).inc(1000)
    for outcome, count in zip(OUTCOMES, (970, 20, 10, 3), strict=True):
        metrics.deliveries.labels(**here, outcome=outcome).inc(count)
    for result, count in zip(RESULTS, (970, 20, 60, 1), strict=True):
        metrics.attempts.labels(provider=PROVIDER, result=result).inc(count)
    for source, count in zip(SOURCES, (15, 5), strict=True):
        metrics.bounces.labels(
            **here, category=Category.BAD_MAILBOX, fault=Fault.RECIPIENT, source=source
        ).inc(count)
    metrics.bounces.labels(
        **here, category=Category.REPUTATION, fault=Fault.SENDER, source="smtp"
    ).inc(5)
    metrics.bounces.labels(
        **here, category=Category.MAILBOX_FULL, fault=Fault.RECIPIENT, source="smtp"
    ).inc(1)
    for type_ in COMPLAINTS:
        metrics.complaints.labels(**here, type=type_).inc(0.1)
    for _ in range(97):
        metrics.time_to_accept.labels(**here).observe(0.4)
        metrics.time_to_resolve.labels(**here).observe(0.4)
    metrics.suppressed_sends.labels(stream=STREAM, reason=Reason.HARD_BOUNCE).inc(3)
    metrics.inbound.labels(kind=Kind.BOUNCE).inc(5)
    metrics.refused.labels(reason=Refused.UNKNOWN_RECIPIENT).inc(2)
    metrics.tls.labels(version="TLSv1.3", policy="opportunistic").inc(970)
    _count_what_comes_back(metrics)
    metrics.observe(
        Gauges(
            suppressions=dict.fromkeys(Reason, 7),
            queue=dict.fromkeys(RANKS, (3, 0.5)),
            unread=1,
            routes_out={"direct": False},
            trouble=Trouble(
                ratios=(
                    reputation.Measured(PROVIDER, "complaints", 1, 10_000, 0.0, 1.0),
                    reputation.Measured(PROVIDER, "bounces", 60, 10_000, 0.0, 1.0),
                ),
                listed={("spamhaus-zen", "address"): 0},
            ),
            cohorts=((STREAM, PROVIDER, 965, 990),),
            probes=ProbeGauges({PROVIDER: Tally(inbox=97, junk=3)}, silence=42.0, late=210.0),
            health=Health(dict.fromkeys(examined.CHECKS, "ok"), at=1_700_000_000.0),
        )
    )


def _count_what_comes_back(metrics: Metrics) -> None:
    """Reports, probes, hooks and people: each a little, all of them well."""
    metrics.aggregates.heard(
        Noted(
            "",
            messages={(Outcome.ALIGNED, SENDERS[0]): 100},
            sessions={TLS_RESULTS[0]: 100},
        )
    )
    said = tuple((method, "pass") for method in METHODS)
    metrics.probes.settled(Settled(PROVIDER, Place.INBOX, 4.0, said))
    metrics.probes.errors.labels(SeedReason.TIMEOUT).inc(0)
    metrics.webhooks.labels(Told.DELIVERED).inc(50)
    metrics.feedback.labels(STREAM, PROVIDER).inc(0.1)
    for what in What:
        for who in Who:
            metrics.engagement.labels(STREAM, what, who).inc(100)


class Carom:
    """Answers scrapes on a free port of loopback, one tick further each time."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.scrapes = 0
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer((LOOPBACK, free_port()), self._handler())
        self.target = f"{LOOPBACK}:{self._server.server_port}"

    def wait_for_scrape(self, seconds: float) -> None:
        """Returns after the next scrape; TimeoutError if none comes."""
        with self._changed:
            seen = self.scrapes
            if not self._changed.wait_for(lambda: self.scrapes > seen, seconds):
                raise TimeoutError("Prometheus does not scrape")

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self) -> bytes:
        with self._changed:
            tick(self.metrics)
            self.scrapes += 1
            self._changed.notify_all()
            return self.metrics.exposition()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self._answer

        class Scrape(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = answer()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        return Scrape

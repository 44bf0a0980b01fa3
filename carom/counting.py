"""What the loops report, counted in the metrics of the contract.

The loops know nothing of Prometheus; they tell an observer what was newly recorded, after its
COMMIT.  Only new facts are told, so a replayed report is counted once.
"""

from __future__ import annotations

import structlog

from analysis.decide import counts_as_soft
from analysis.facts import Kind
from analysis.ledger import Recorded
from analysis.lifecycle import Fact
from analysis.metrics import Metrics
from analysis.webhooks import Result
from carom.tallying import Tallying
from sender.idempotency import Receipt
from sender.record import Record
from sender.submit import Submission
from sender.unsent import Expired

log = structlog.get_logger()

_OUTCOMES = {
    Fact.ACCEPTED: "delivered",
    Fact.REFUSED: "bounced",
    Fact.SPENT: "expired",
    Fact.WITHHELD: "suppressed",
}


class Counting:
    """Observer of intake, sender and reader."""

    def __init__(self, metrics: Metrics, tallying: Tallying) -> None:
        self._metrics = metrics
        self.tallying = tallying

    def submitted(self, submission: Submission, receipt: Receipt) -> None:
        if submission.probe is not None:
            return
        stream = self._metrics.stream(submission.stream)
        self._metrics.submitted.labels(stream).inc()
        for delivery in receipt.answer["deliveries"]:
            if withheld := delivery.get("suppression"):
                self._metrics.deliveries.labels(stream, "other", "suppressed").inc()
                self._metrics.suppressed_sends.labels(stream, withheld["reason"]).inc()

    def attempted(self, record: Record) -> None:
        if record.claim.probe is not None:
            return
        self.tallying.attempted(record)
        metrics = self._metrics
        stream = metrics.stream(record.claim.stream)
        provider = metrics.provider(record.provider)
        if record.result not in ("withheld", "held"):
            metrics.attempts.labels(provider, record.result).inc()
        if outcome := _OUTCOMES.get(record.fact):
            metrics.deliveries.labels(stream, provider, outcome).inc()
            waited = max(0.0, record.ended_at - record.claim.promised_at)
            metrics.time_to_resolve.labels(stream, provider).observe(waited)
        match record.fact:
            case Fact.ACCEPTED:
                metrics.time_to_accept.labels(stream, provider).observe(waited, _example(record))
                metrics.tls.labels(record.tls or "none", record.tls_policy).inc()
            case Fact.WITHHELD:
                reason = record.verdict.rule.partition("/")[2]
                metrics.suppressed_sends.labels(stream, reason).inc()
            case Fact.REFUSED:
                self._bounce(stream, provider, record, "smtp")
            case Fact.SPENT if counts_as_soft(record.verdict):
                self._bounce(stream, provider, record, "smtp")

    def expired(self, delivery: Expired) -> None:
        """A deadline passed while the delivery waited."""
        if delivery.probe is not None:
            return
        stream = self._metrics.stream(delivery.stream)
        provider = self._metrics.provider(delivery.provider)
        self._metrics.deliveries.labels(stream, provider, "expired").inc()
        self._metrics.time_to_resolve.labels(stream, provider).observe(max(0.0, delivery.waited))

    def put_off(self, why: str) -> None:
        """Intake had no room for a message, or the listener for a report."""
        self._metrics.put_off.labels(why).inc()

    def read(self, kind: Kind) -> None:
        self._metrics.inbound.labels(kind.value).inc()

    def reported(self, fact: Recorded) -> None:
        if fact.delivery_id is None or fact.probe is not None:
            return
        self.tallying.reported(fact)
        metrics = self._metrics
        stream, provider = metrics.stream(fact.stream), metrics.provider(fact.provider)
        if fact.kind is Kind.BOUNCE:
            self._bounce(stream, provider, fact, "dsn")
        elif fact.kind is Kind.COMPLAINT:
            type_ = fact.feedback_type if fact.feedback_type in _FEEDBACK else "other"
            metrics.complaints.labels(stream, provider, type_).inc()

    def told(self, result: Result) -> None:
        """A webhook was tried."""
        self._metrics.webhooks.labels(result.value).inc()

    def missed(self, stream: str, provider: str) -> None:
        """A recipient said that it did not come."""
        metrics = self._metrics
        metrics.feedback.labels(metrics.stream(stream), metrics.provider(provider)).inc()

    def refused(self, reason: str) -> None:
        """The listener turned something away."""
        self._metrics.refused.labels(reason).inc()

    def _bounce(self, stream: str, provider: str, judged: Record | Recorded, source: str) -> None:
        verdict = judged.verdict
        labels = (verdict.category.value, verdict.fault.value, source)
        example = _example(judged)
        self._metrics.bounces.labels(stream, provider, *labels).inc(1, example)
        log.info("bounced", source=source, category=labels[0], rule=verdict.rule, **example)


def _example(about: Record | Recorded) -> dict[str, str]:
    """The id that leads from a sample of a graph, or from a line of the log, to `carom trace`."""
    if isinstance(about, Record):
        return {"message_id": about.claim.message_id}
    return {"delivery_id": about.delivery_id or ""}


_FEEDBACK = frozenset({"abuse", "fraud", "virus", "not-spam", "opt-out", "auth-failure"})
"""RFC 5965 section 7.3 and RFC 6591; whatever else a report claims is `other`."""

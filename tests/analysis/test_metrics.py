"""The metrics of the contract: every name, closed label sets, no address anywhere."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from analysis.metrics import MOST_STREAMS, Gauges, Metrics
from analysis.providers import PROVIDERS

CONTRACT = {
    "carom_messages_submitted_total": {"stream"},
    "carom_deliveries_total": {"stream", "provider", "outcome"},
    "carom_attempts_total": {"provider", "result"},
    "carom_bounces_total": {"stream", "provider", "category", "fault", "source"},
    "carom_complaints_total": {"stream", "provider", "type"},
    "carom_suppressions": {"reason"},
    "carom_suppressed_sends_total": {"stream", "reason"},
    "carom_queue_depth": {"class"},
    "carom_queue_oldest_seconds": {"class"},
    "carom_time_to_accept_seconds_count": {"stream", "provider"},
    "carom_time_to_resolve_seconds_count": {"stream", "provider"},
    "carom_cohort_delivered_ratio": {"stream", "provider"},
    "carom_cohort_delivered": {"stream", "provider"},
    "carom_cohort_ended": {"stream", "provider"},
    "carom_inbound_messages_total": {"kind"},
    "carom_inbound_refused_total": {"reason"},
    "carom_tls_sessions_total": {"version", "policy"},
}
"""Of the contract, what is measured so far."""


def used() -> Metrics:
    """Everything counted once."""
    metrics = Metrics()
    metrics.submitted.labels("news").inc()
    metrics.deliveries.labels("news", "gmail", "delivered").inc()
    metrics.attempts.labels("gmail", "accepted").inc()
    metrics.bounces.labels("news", "gmail", "bad_mailbox", "recipient", "smtp").inc()
    metrics.complaints.labels("news", "gmail", "abuse").inc()
    metrics.suppressed_sends.labels("news", "complaint").inc()
    metrics.inbound.labels("bounce").inc()
    metrics.refused.labels("forged").inc()
    metrics.tls.labels("TLSv1.3", "opportunistic").inc()
    metrics.time_to_accept.labels("news", "gmail").observe(0.3)
    metrics.time_to_resolve.labels("news", "gmail").observe(0.3)
    cohorts = [("news", "gmail", 97, 100)]
    metrics.observe(Gauges({"manual": 3}, {"otp": (2, 1.5)}, 4, cohorts=cohorts))
    return metrics


def samples(metrics: Metrics) -> dict[str, dict[str, str]]:
    text = metrics.exposition().decode()
    return {s.name: s.labels for f in text_string_to_metric_families(text) for s in f.samples}


def test_every_name_of_the_contract_is_there_with_its_labels() -> None:
    found = {name: set(labels) for name, labels in samples(used()).items() if name in CONTRACT}
    assert found == CONTRACT


def test_gauges_say_what_the_database_said_last() -> None:
    metrics = used()
    metrics.observe(Gauges({"manual": 0}, {"otp": (0, 0.0)}, 0))
    text = metrics.exposition().decode()
    assert 'carom_suppressions{reason="manual"} 0.0' in text
    assert 'carom_queue_depth{class="otp"} 0.0' in text


def test_a_cohort_has_its_ratio_with_both_its_parts_and_goes_when_its_window_does() -> None:
    metrics = used()
    text = metrics.exposition().decode()
    where = '{provider="gmail",stream="news"}'
    assert f"carom_cohort_delivered_ratio{where} 0.97" in text
    assert f"carom_cohort_delivered{where} 97.0" in text
    assert f"carom_cohort_ended{where} 100.0" in text
    metrics.observe(Gauges({}, {}, 0))
    assert f"carom_cohort_ended{where}" not in metrics.exposition().decode()


def test_streams_are_bounded_and_those_known_first_keep_their_names() -> None:
    metrics = Metrics()
    labels = [metrics.stream(f"stream-{n}") for n in range(MOST_STREAMS + 20)]
    assert labels[:MOST_STREAMS] == [f"stream-{n}" for n in range(MOST_STREAMS)]
    assert set(labels[MOST_STREAMS:]) == {"other"}
    assert metrics.stream("stream-0") == "stream-0"


def test_a_provider_that_nobody_listed_is_other() -> None:
    assert Metrics.provider("mx.ann@example.net") == "other"
    assert all(Metrics.provider(name) == name for name in PROVIDERS)


def test_two_processes_in_one_do_not_share_counts() -> None:
    one, two = used(), Metrics()
    assert 'carom_messages_submitted_total{stream="news"}' in one.exposition().decode()
    assert 'carom_messages_submitted_total{stream="news"}' not in two.exposition().decode()

"""Metrics of probes: a series only for what was measured."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from analysis.metrics import Gauges, Metrics
from analysis.placement import Place, Settled, Tally
from analysis.probe_metrics import ProbeGauges


def samples(metrics: Metrics) -> dict[tuple[str, str], float]:
    text = metrics.exposition().decode()
    families = text_string_to_metric_families(text)
    return {(s.name, s.labels.get("provider", "")): s.value for f in families for s in f.samples}


def observe(metrics: Metrics, probes: ProbeGauges) -> dict[tuple[str, str], float]:
    metrics.observe(Gauges({}, {}, 0, probes=probes))
    return samples(metrics)


def test_a_ratio_comes_with_its_samples_and_its_interval() -> None:
    found = observe(Metrics(), ProbeGauges({"gmail": Tally(inbox=9, junk=1)}, 12.5))
    assert found["carom_inbox_placement_ratio", "gmail"] == 0.9
    assert found["carom_inbox_placement_samples", "gmail"] == 10
    assert found["carom_inbox_placement_low", "gmail"] < 0.6
    assert found["carom_inbox_placement_high", "gmail"] > 0.98
    assert found["carom_bounce_loop_last_ok_seconds", ""] == 12.5


def test_what_was_not_measured_has_no_series() -> None:
    metrics = Metrics()
    names = {name for name, _ in observe(metrics, ProbeGauges({"qq": Tally(waiting=3)}))}
    assert "carom_bounce_loop_last_ok_seconds" not in names
    assert "carom_inbox_placement_ratio" not in names


def test_a_provider_that_is_measured_no_more_loses_its_series() -> None:
    metrics = Metrics()
    observe(metrics, ProbeGauges({"gmail": Tally(inbox=1), "qq": Tally(junk=1)}))
    found = observe(metrics, ProbeGauges({"qq": Tally(junk=1)}))
    assert ("carom_inbox_placement_ratio", "gmail") not in found
    assert found["carom_inbox_placement_ratio", "qq"] == 0.0


def test_only_the_inbox_has_a_time_and_only_the_found_an_authentication() -> None:
    metrics = Metrics()
    metrics.probes.settled(Settled("gmail", Place.INBOX, 3.0, (("spf", "pass"), ("dkim", None))))
    metrics.probes.settled(Settled("gmail", Place.JUNK, 4.0))
    metrics.probes.settled(Settled("gmail", Place.MISSING, None))
    metrics.probes.settled(Settled("nobody.example", Place.INBOX, 1.0))
    found = samples(metrics)
    assert found["carom_inbox_seconds_count", "gmail"] == 1
    assert found["carom_inbox_seconds_count", "other"] == 1
    text = metrics.exposition().decode()
    assert 'result="absent"' in text
    assert "nobody.example" not in text

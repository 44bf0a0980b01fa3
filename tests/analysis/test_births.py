"""Series are born at zero, so that Prometheus sees what they counted first."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from analysis import births
from analysis.metrics import Metrics

NAME = "carom_attempts_total"


def seen(metrics: Metrics, scraper: str) -> float | None:
    """What a scrape shows of the attempts at gmail."""
    text = metrics.in_format("", scraper)[0].decode()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == NAME and sample.labels["provider"] == "gmail":
                return sample.value
    return None


def counted(count: int) -> Metrics:
    metrics = Metrics()
    metrics.attempts.labels("gmail", "accepted").inc(count)
    return metrics


def test_a_scraper_sees_a_new_series_at_zero_and_then_as_it_is() -> None:
    metrics = counted(3)
    assert [seen(metrics, "prometheus") for _ in range(3)] == [0, 3, 3]


def test_each_scraper_sees_it_begin() -> None:
    metrics = counted(3)
    assert [seen(metrics, name) for name in ("a", "b", "a", "b")] == [0, 0, 3, 3]


def test_a_histogram_begins_with_all_its_buckets_at_zero() -> None:
    metrics = Metrics()
    metrics.time_to_accept.labels("shop", "gmail").observe(2)
    shown = [metrics.in_format("", "prometheus")[0].decode() for _ in range(2)]
    lines = [[x for x in s.splitlines() if x.startswith("carom_time_to_accept")] for s in shown]
    assert all(line.endswith(" 0.0") for line in lines[0])
    assert any(line.endswith(" 1.0") for line in lines[1])


def test_a_person_sees_it_as_it_is() -> None:
    metrics = counted(3)
    assert seen(metrics, "") == 3
    assert seen(metrics, "prometheus") == 0


def test_what_was_taken_over_from_a_dead_process_is_not_born_again() -> None:
    """Zero and then the old count would be taken for growth."""
    metrics = Metrics()
    metrics.resume(counted(3).counted())
    assert seen(metrics, "prometheus") == 3


def test_only_so_many_scrapers_are_remembered() -> None:
    metrics = counted(3)
    for number in range(births.MOST):
        assert seen(metrics, f"prometheus {number}") == 0
    assert seen(metrics, "one more") == 3

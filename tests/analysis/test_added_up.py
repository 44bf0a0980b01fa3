"""What several processes counted reads as if one had counted it all."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import generate_latest

from analysis import metrics  # noqa: F401  which switches off `_created`
from analysis.added_up import Added, Told


class Process:
    """Its own registry with the same families as everybody's."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.sent = Counter("sent", "Sent", ["to"], registry=self.registry)
        self.took = Histogram("took", "Took", ["to"], buckets=[1, 2], registry=self.registry)
        self.held = Gauge("held", "Held", ["to"], registry=self.registry)
        self.told = Told(self.registry)

    def tells(self, other: Added, number: int = 1) -> None:
        other.hear(number, json.loads(json.dumps(self.told.news())))


def text(of: CollectorRegistry | Added) -> list[str]:
    lines = generate_latest(of).decode().splitlines()
    return [line for line in lines if not line.startswith(("#", "process_"))]


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("ab"), st.sampled_from([0.5, 3.0]))))
def test_counters_and_histograms_add_up_to_what_one_process_would_have(
    happened: list[tuple[int, str, float]],
) -> None:
    alone, parts = Process(), [Process(), Process(), Process()]
    added = Added(parts[0].registry)
    for turn, (number, to, seconds) in enumerate(happened):
        for process in (alone, parts[number]):
            process.sent.labels(to).inc(2)
            process.took.labels(to).observe(seconds)
        if turn % 3 == 0:
            parts[1].tells(added, 1)
    for number in (1, 2):
        parts[number].tells(added, number)
        parts[number].tells(added, number)  # nothing new
    assert sorted(text(added)) == sorted(text(alone.registry))


def test_what_a_dead_process_counted_stays_and_what_it_held_goes() -> None:
    ours, other = Process(), Process()
    added = Added(ours.registry)
    ours.held.labels("a").set(1)
    other.held.labels("a").set(3)
    other.sent.labels("a").inc(5)
    other.tells(added)
    assert {'sent_total{to="a"} 5.0', 'held{to="a"} 3.0'} <= set(text(added))
    added.forget(1)
    another = Process()
    another.sent.labels("a").inc()
    another.tells(added)
    assert {'sent_total{to="a"} 6.0', 'held{to="a"} 1.0'} <= set(text(added))


def test_the_buckets_of_a_histogram_stay_in_order() -> None:
    ours, other = Process(), Process()
    added = Added(ours.registry)
    other.took.labels("a").observe(5)
    other.tells(added)
    other.took.labels("a").observe(0.1)
    other.tells(added)
    assert [line.partition("{")[2] for line in text(added) if "bucket" in line] == [
        'le="1.0",to="a"} 1.0',
        'le="2.0",to="a"} 1.0',
        'le="+Inf",to="a"} 2.0',
    ]


def test_what_is_about_a_process_is_told_by_nobody_else() -> None:
    news = Process().told.news()
    assert not [row for rows in news.values() for row in rows]  # type: ignore[attr-defined]

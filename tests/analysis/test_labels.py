"""However much is sent, to whomever and under whatever name, the series stay few and anonymous."""

from __future__ import annotations

import itertools
import random

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from analysis.facts import Kind
from analysis.labels import Bound
from analysis.metrics import Gauges, Metrics
from analysis.providers import PROVIDERS
from analysis.suppression import Reason
from analysis.verdict import Category, Fault
from sender.submit import RANKS

MOST = 2_000


def samples(metrics: Metrics) -> list[Sample]:
    text = metrics.exposition().decode()
    return [s for family in text_string_to_metric_families(text) for s in family.samples]


def everything(metrics: Metrics, streams: list[str], rounds: int, seed: int = 3) -> int:
    """Send much of everything, as `Counting` would; how many deliveries."""
    draw = random.Random(seed)
    names = [*PROVIDERS, "ann@example.net", "mx.example.org"]
    for _ in range(rounds):
        stream = metrics.stream(draw.choice(streams))
        provider = metrics.provider(draw.choice(names))
        metrics.submitted.labels(stream).inc()
        outcome = draw.choice(("delivered", "bounced", "expired", "suppressed"))
        metrics.deliveries.labels(stream, provider, outcome).inc()
        metrics.attempts.labels(provider, draw.choice(("accepted", "refused", "deferred"))).inc()
        why = (draw.choice(list(Category)).value, draw.choice(list(Fault)).value)
        metrics.bounces.labels(stream, provider, *why, draw.choice(("smtp", "dsn"))).inc()
        metrics.complaints.labels(stream, provider, draw.choice(("abuse", "fraud"))).inc()
        metrics.suppressed_sends.labels(stream, draw.choice(list(Reason)).value).inc()
        metrics.time_to_accept.labels(stream, provider).observe(draw.random())
        metrics.time_to_resolve.labels(stream, provider).observe(draw.random())
        metrics.inbound.labels(draw.choice(list(Kind)).value).inc()
    return rounds


def all_gauges(streams: list[str]) -> Gauges:
    pairs = itertools.product(streams[:200], PROVIDERS)
    return Gauges(
        dict.fromkeys((reason.value for reason in Reason), 3),
        dict.fromkeys(RANKS, (5, 1.0)),
        7,
        dict.fromkeys(PROVIDERS, 1),
        cohorts=[(stream, provider, 9, 10) for stream, provider in pairs],
    )


@pytest.mark.parametrize("kind", ["realistic", "hostile"])
def test_a_large_day_stays_below_2000_series_without_an_address(kind: str) -> None:
    """A million sends to 100,000 domains in short: every label set that can come, comes."""
    realistic = ["codes", "receipts", "news", "default"]
    hostile = [f"stream-{n}" for n in range(5_000)] + ["eve@example.net"]
    streams = realistic if kind == "realistic" else hostile
    metrics = Metrics(realistic)
    sent = everything(metrics, streams, 40_000)
    metrics.observe(all_gauges(streams))
    found = samples(metrics)
    assert len(found) <= MOST
    assert not any("@" in value for sample in found for value in sample.labels.values())
    for name in ("carom_deliveries_total", "carom_bounces_total", "carom_complaints_total",
                 "carom_time_to_accept_seconds_count"):  # fmt: skip
        assert sum(s.value for s in found if s.name == name) == sent, name


def test_sending_processes_with_other_labels_fit_into_the_same_bounds() -> None:
    """Each of four filled its own room with other names; together they are one process's."""
    ours = Metrics()
    for number in range(4):
        theirs = Metrics()
        everything(theirs, [f"s{number}-{n}" for n in range(100)], 5_000, seed=number)
        ours.resume(theirs.counted())
    found = samples(ours)
    assert len(found) <= MOST
    assert sum(s.value for s in found if s.name == "carom_bounces_total") == 20_000
    counts = [s for s in found if s.name == "carom_time_to_accept_seconds_count"]
    assert sum(s.value for s in counts) == 20_000


def test_the_streams_of_the_settings_keep_their_names() -> None:
    metrics = Metrics(["codes"])
    for n in range(500):
        metrics.stream(f"x{n}")
    assert metrics.stream("codes") == "codes"
    assert metrics.stream("late") == "other"


def test_labels_yield_step_by_step_and_sums_stay_true() -> None:
    bound = Bound(("stream", "provider", "source"), 8, ("stream", "provider"))
    fitted = [bound.fit((f"s{n}", f"p{m}", "smtp"), {}) for n in range(4) for m in range(4)]
    assert fitted[0] == ("s0", "p0", "smtp")
    assert ("other", "p2", "smtp") in fitted
    assert ("other", "other", "smtp") in fitted
    assert len(set(fitted)) <= 9
    assert bound.fit((), {"source": "dsn", "provider": "p", "stream": "s"})[2] == "dsn"
    assert bound.fit(("s0", "p0", "smtp"), {}) == ("s0", "p0", "smtp")


def test_a_scraper_that_asks_for_it_gets_the_message_behind_a_sample() -> None:
    metrics = Metrics()
    metrics.time_to_accept.labels("news", "gmail").observe(3.0, {"message_id": "01hx"})
    labels = ("news", "gmail", "bad_mailbox", "recipient", "smtp")
    metrics.bounces.labels(*labels).inc(1, {"message_id": "01hy"})
    text, form = metrics.in_format("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert form.startswith("application/openmetrics-text")
    assert b'# {message_id="01hx"} 3.0' in text
    assert b'# {message_id="01hy"} 1.0' in text
    plain, form = metrics.in_format("*/*")
    assert form.startswith("text/plain; version=0.0.4")
    assert b"01hx" not in plain

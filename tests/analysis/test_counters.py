"""Counters go on over a restart: nothing counted twice, nothing by two processes, nothing lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from analysis.counters import LASTS, kept, take_over
from analysis.metrics import Metrics
from analysis.store import Store
from carom.carrying import Carrying
from carom.node import Node

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000.0
GONE = 999_999_999
"""A pid that no process has."""


def process(
    store: Store, boot: str, *, pid: int = GONE, machine: str = "here", at: float = NOW
) -> tuple[Metrics, Carrying]:
    metrics = Metrics()
    clock: Callable[[], float] = lambda: at  # noqa: E731
    return metrics, Carrying(store, metrics, Node(machine, pid, boot), clock)


def count(metrics: Metrics, n: int = 1) -> None:
    metrics.deliveries.labels("news", "gmail", "delivered").inc(n)
    metrics.aggregates.reports.labels("counted").inc(n)
    for seconds in [0.3] * n:
        metrics.time_to_accept.labels("news", "gmail").observe(seconds)


def read(metrics: Metrics, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(metrics.exposition().decode())
    [found] = [
        s.value for f in families for s in f.samples if s.name == name and s.labels == labels
    ]
    return found


DELIVERED = {"stream": "news", "provider": "gmail", "outcome": "delivered"}
HERE = {"stream": "news", "provider": "gmail"}


async def test_a_process_goes_on_where_a_dead_one_left_off(store: Store) -> None:
    """Three lives, each killed after its last write: the counters never fall, and end exact."""
    for life in range(1, 4):
        metrics, carrying = process(store, f"life-{life}")
        await carrying.take_up()
        if life > 1:
            assert read(metrics, "carom_deliveries_total", **DELIVERED) == 5 * (life - 1)
        count(metrics, 5)
        await carrying.write()
        await carrying.write()
    assert read(metrics, "carom_deliveries_total", **DELIVERED) == 15
    assert read(metrics, "carom_aggregate_reports_total", result="counted") == 15
    assert read(metrics, "carom_time_to_accept_seconds_count", **HERE) == 15
    assert read(metrics, "carom_time_to_accept_seconds_sum", **HERE) == pytest.approx(4.5)
    assert read(metrics, "carom_time_to_accept_seconds_bucket", **HERE, le="0.5") == 15
    assert read(metrics, "carom_time_to_accept_seconds_bucket", **HERE, le="0.25") == 0


async def test_what_is_taken_over_survives_a_crash_at_once(store: Store) -> None:
    first, carrying = process(store, "one")
    count(first)
    await carrying.write()
    for boot in ("two", "three", "four"):  # each dies before it writes anything
        metrics, carrying = process(store, boot)
        await carrying.take_up()
        assert read(metrics, "carom_deliveries_total", **DELIVERED) == 1


async def test_living_processes_and_other_machines_keep_their_own(store: Store) -> None:
    """Added up over all processes, each delivery is counted once."""
    for boot, machine, pid in (("a", "here", GONE), ("b", "there", GONE), ("c", "here", 1)):
        metrics, carrying = process(store, boot, machine=machine, pid=pid)
        count(metrics)
        await carrying.write()
    late, carrying = process(store, "d")
    await carrying.take_up()
    assert read(late, "carom_deliveries_total", **DELIVERED) == 1
    later, carrying = process(store, "e")
    await carrying.take_up()
    assert read(later, "carom_deliveries_total", **DELIVERED) == 1
    assert await store.read(lambda tx: kept(tx, f"there/{GONE}/b")) > 0


async def test_a_machine_that_never_comes_back_is_forgotten(store: Store) -> None:
    metrics, carrying = process(store, "a", machine="there")
    count(metrics)
    await carrying.write()
    left = await store.write(
        lambda tx: take_over(tx, "here/1/x", lambda name: True, NOW + LASTS + 1)
    )
    assert left == {}


async def test_nothing_is_written_while_nothing_is_counted(store: Store) -> None:
    metrics, carrying = process(store, "a")
    await carrying.write()
    assert await store.read(lambda tx: kept(tx, f"here/{GONE}/a")) == 0
    count(metrics)
    await carrying.write()
    before = await store.read(lambda tx: kept(tx, f"here/{GONE}/a"))
    assert before > 0
    await carrying.write()
    assert await store.read(lambda tx: kept(tx, f"here/{GONE}/a")) == before

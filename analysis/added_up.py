"""Added up: what several processes of one service count, shown as if one had.

A process that works for another tells it what it counted since it last told (`Told.news`); the
other adds that to its own at every scrape (`Added.collect`).  Only increments travel, so the counts
of a process that dies stay, but for those of its last moment, and no counter ever falls.

Counters and histograms are added.  Of a gauge the largest value that any living process gives is
shown: what comes from the database is the same for all, what is held in memory overlaps.
`process_*` is about the process that is scraped, and stays so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypedDict

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

Row = Sequence[Any]
"""A sample's family and name, its labels as a flat list of names and values, and a number."""

Key = tuple[str, tuple[str, ...]]  # a sample's name and labels, as in a row

_ADDED = frozenset({"counter", "histogram"})


class News(TypedDict):
    """What a process has to tell, as JSON may carry it."""

    counts: list[Row]  # increments
    gauges: list[Row]  # values


class Told:
    """What a process has told of its registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._told: dict[Key, float] = {}

    def news(self) -> News:
        """What has changed since the last call."""
        news = News(counts=[], gauges=[])
        for family in self._registry.collect():
            if family.name.startswith("process_"):
                continue
            for sample in family.samples:
                key = _key(sample)
                before, self._told[key] = self._told.get(key), sample.value
                if sample.value == before:
                    continue
                if family.type in _ADDED:
                    row = [family.name, *key, sample.value - (before or 0.0)]
                    news["counts"].append(row)
                else:
                    news["gauges"].append([family.name, *key, sample.value])
        return news


class Added:
    """The registry of one process with what others have told it; can be collected like one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._counts: dict[str, dict[Key, float]] = {}  # by family
        self._gauges: dict[int, dict[str, dict[Key, float]]] = {}  # by process and family

    def hear(self, process: int, news: News) -> None:
        """Take the news of the process with this number."""
        for family, name, labels, value in news["counts"]:
            counts = self._counts.setdefault(family, {})
            key = (name, tuple(labels))
            counts[key] = counts.get(key, 0.0) + value
        held = self._gauges.setdefault(process, {})
        for family, name, labels, value in news["gauges"]:
            held.setdefault(family, {})[name, tuple(labels)] = value

    def knows(self, process: int) -> bool:
        """Whether the process with this number has told anything, and lives."""
        return process in self._gauges

    def forget(self, process: int) -> None:
        """A process has ended: what it held is gone, what it counted stays."""
        self._gauges.pop(process, None)

    def collect(self) -> Iterator[Metric]:
        """The families of the registry, with everybody's samples."""
        for family in self._registry.collect():
            samples = {_key(sample): sample for sample in family.samples}
            for key, value in self._counts.get(family.name, {}).items():
                ours = samples.setdefault(key, _sample(key))
                samples[key] = ours._replace(value=ours.value + value)
            for gauges in self._gauges.values():
                for key, value in gauges.get(family.name, {}).items():
                    ours = samples.setdefault(key, _sample(key, value))
                    samples[key] = ours._replace(value=max(ours.value, value))
            family.samples = list(samples.values())
            yield family


def _key(sample: Sample) -> Key:
    return sample.name, tuple(part for label in sample.labels.items() for part in label)


def _sample(key: Key, value: float = 0.0) -> Sample:
    name, labels = key
    return Sample(name, dict(zip(labels[::2], labels[1::2], strict=True)), value)

"""Labels that cannot run away: counters and histograms with so many series and no more.

A family has room for `most` label sets.  What comes when it is full, or nearly, is counted under
`other` in its least telling labels first, step by step (`Bound.yields`), so that no event is lost
and every sum stays true.  The last quarter of the room is kept for sets that have yielded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import Counter, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from analysis.providers import OTHER

Labels = tuple[str, ...]


class Bound:
    def __init__(self, names: Sequence[str], most: int, yields: Sequence[str]) -> None:
        """`yields`: the labels that become `other`, the first one first.

        The others must have few values: their combinations come on top of `most`.
        """
        self.names = tuple(names)
        self._steps = [frozenset(yields[:n]) for n in range(len(yields) + 1)]
        self._most = most
        self._seen: set[Labels] = set()
        self.children: dict[tuple[object, ...], Any] = {}  # found quickly, by labels that fit

    def fit(self, values: Sequence[object], named: Mapping[str, object]) -> Labels:
        """The labels to count under; ValueError where names are missing."""
        if named:
            values = [named[name] for name in self.names]
        wanted = tuple(str(value) for value in values)
        if wanted in self._seen:
            return wanted
        for step in self._steps:
            labels = self._yielded(wanted, step)
            room = self._most if step else self._most * 3 // 4
            if labels in self._seen or len(self._seen) < room or step == self._steps[-1]:
                self._seen.add(labels)
                return labels
        raise AssertionError("unreachable")

    def _yielded(self, labels: Labels, step: frozenset[str]) -> Labels:
        pairs = zip(self.names, labels, strict=True)
        return tuple(OTHER if name in step else value for name, value in pairs)


class BoundedCounter(Counter):
    bound: Bound

    def labels(self, *values: object, **named: object) -> BoundedCounter:
        child: BoundedCounter | None = self.bound.children.get(values)
        if child is None:
            fit = self.bound.fit(values, named)
            child = self.bound.children[fit] = super().labels(*fit)
        return child


class BoundedHistogram(Histogram):
    bound: Bound

    def labels(self, *values: object, **named: object) -> BoundedHistogram:
        child: BoundedHistogram | None = self.bound.children.get(values)
        if child is None:
            fit = self.bound.fit(values, named)
            child = self.bound.children[fit] = super().labels(*fit)
        return child


class Capped:
    """A collector whose families keep to their bounds, however many processes they come from."""

    def __init__(self, source: Collector, bounds: Mapping[str, Bound]) -> None:
        """`bounds` by the family's name."""
        self._source = source
        self._bounds = bounds

    def collect(self) -> Iterator[Metric]:
        for family in self._source.collect():
            if (bound := self._bounds.get(family.name)) is not None:
                family.samples = _within(bound, family.samples)
            yield family


def _within(bound: Bound, samples: Sequence[Sample]) -> list[Sample]:
    """The samples under labels that fit, those that meet there added up."""
    found: dict[tuple[str, Labels, str], Sample] = {}
    for sample in samples:
        fit = bound.fit((), sample.labels)
        key = (sample.name, fit, sample.labels.get("le", ""))
        if (before := found.get(key)) is not None:
            found[key] = before._replace(value=before.value + sample.value)
        else:
            labels = sample.labels | dict(zip(bound.names, fit, strict=True))
            found[key] = sample._replace(labels=labels)
    return list(found.values())

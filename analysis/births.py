"""A counter's series is born at zero, where somebody watches it.

Prometheus takes a counter's growth between two scrapes.  A series that is first seen at 3 hides
those three for good: the first bounces of a kind, the first complaints at a provider, just what
graphs and alerts want to know.  So the first time a scraper is shown a series it is shown zero,
and the next time what it has counted; nothing is lost, it is seen one scrape later.

Each scraper is known by a name, `MOST` of them; whoever has none, a person with curl, and whoever
comes later, is shown every count as it is.  What a process took over from a dead one (`known`) is
no birth: the scraper has seen it.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

MOST = 8
_BORN = frozenset({"counter", "histogram"})

Key = tuple[str, tuple[str, ...]]


class Births:
    def __init__(self, source: Collector) -> None:
        self._source = source
        self._known: frozenset[Key] = frozenset()
        self._shown: dict[str, set[Key]] = {}  # by scraper

    def known(self) -> None:
        """Whatever there is now was seen before this process began."""
        self._known = frozenset(
            _key(sample) for family in self._source.collect() for sample in family.samples
        )

    def as_seen_by(self, scraper: str) -> _Seen | Collector:
        """The families as this scraper is to be shown them now; `""` is nobody's name."""
        if not scraper or (scraper not in self._shown and len(self._shown) >= MOST):
            return self._source
        return _Seen(self._source, self._shown.setdefault(scraper, set(self._known)))


class _Seen:
    def __init__(self, source: Collector, shown: set[Key]) -> None:
        self._source = source
        self._shown = shown

    def collect(self) -> Iterator[Metric]:
        for family in self._source.collect():
            if family.type in _BORN:
                family.samples = [self._first(sample) for sample in family.samples]
            yield family

    def _first(self, sample: Sample) -> Sample:
        key = _key(sample)
        if key in self._shown:
            return sample
        self._shown.add(key)
        return sample._replace(value=0.0, exemplar=None)


def _key(sample: Sample) -> Key:
    return sample.name, tuple(sample.labels.values())

"""What a report is made of: the figures of a span, and of the same span some weeks before.

Read in one snapshot, from counts that are kept by the hour: a report of a quarter costs no more
than the page that shows it.  Whoever shows it (page, terminal, mail) decides nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from sqlalchemy import Connection, Integer, cast, func, or_, select

from analysis import incident_view, incidents, placement, stats, suppression
from analysis.cohorts import Mark, Span
from analysis.placement import Tally
from analysis.schema import suppressions
from sender import backlog

Counts = Mapping[Mark, int]

HOUR, DAY = 3_600.0, 86_400.0
WEEK = 7 * DAY
MOST_INCIDENTS = 20
FEW = 20
"""A share of fewer than this says nothing: it is shown pale, with its counts."""


@dataclass(frozen=True, slots=True)
class Group:
    """One provider's or stream's rates, and those of the span before."""

    name: str
    now: stats.Json
    before: stats.Json | None

    def size(self) -> int:
        """How many were tried and have ended."""
        return int(self.now["ratios"]["delivered"]["denominator"])

    def ratio(self, name: str) -> float | None:
        found: float | None = self.now["ratios"][name]["ratio"]
        return found

    def ratio_before(self, name: str) -> float | None:
        return None if self.before is None else self.before["ratios"][name]["ratio"]


@dataclass(frozen=True, slots=True)
class Caused:
    """How many deliveries ended undelivered for a cause, and how many before."""

    cause: tuple[str, ...]
    now: int
    before: int


@dataclass(frozen=True, slots=True)
class Figures:
    since: float
    until: float
    weeks: int  # how far back the span lies that this one is compared with
    totals: Group
    series: Sequence[stats.Json]  # slot by slot
    series_before: Sequence[stats.Json]
    providers: Sequence[Group]  # the largest first
    streams: Sequence[Group]
    faults: Sequence[Caused]  # by fault
    categories: Sequence[Caused]  # by category and fault
    suppressed: dict[str, int]  # entries that stand, by reason
    grown: dict[str, dict[float, int]]  # reason -> day -> entries of that day that stand
    queue: dict[str, tuple[int, float]]  # class -> depth, seconds the oldest due one waits
    placement: dict[str, Tally]  # by provider, of the span
    incidents: Sequence[stats.Json]  # the newest first: open, or open within the span

    @property
    def open(self) -> Sequence[stats.Json]:
        return [one for one in self.incidents if one["state"] == "open"]


def gather(tx: Connection, since: float, now: float) -> Figures:
    """The figures of `since` until now; whole hours."""
    first, last = since // HOUR * HOUR, (now // HOUR + 1) * HOUR
    by: stats.By = "hour" if last - first <= 3 * DAY else "day"
    weeks = max(1, ceil((last - first) / WEEK - 0.02))
    back = weeks * WEEK
    span, past = Span(first, last), Span(first - back, last - back)
    counts, earlier = stats.count(tx, span), stats.count(tx, past)
    return Figures(
        since=first,
        until=now,
        weeks=weeks,
        totals=Group("all mail", stats.rates(counts), stats.rates(earlier)),
        series=stats.series(counts, span, by),
        series_before=[
            {**slot, "time": slot["time"] + back} for slot in stats.series(earlier, past, by)
        ],
        providers=_groups(counts, earlier, lambda mark: mark.provider),
        streams=_groups(counts, earlier, lambda mark: mark.stream),
        faults=_caused(counts, earlier, "fault"),
        categories=_caused(counts, earlier, "category", "fault"),
        suppressed=suppression.count_by_reason(tx, now),
        grown=_grown(tx, first, now),
        queue=backlog.depth(tx, now),
        placement=placement.tally(tx, first),
        incidents=_incidents(tx, first),
    )


MOST_GROUPS = 12


def _groups(counts: Counts, earlier: Counts, key: Callable[[Mark], str]) -> list[Group]:
    """The groups with the most mail, and what they did before."""
    past = stats.grouped(earlier, key)
    found = [
        Group(name, stats.rates(of), stats.rates(past[name]) if name in past else None)
        for name, of in stats.grouped(counts, key).items()
    ]
    found.sort(key=Group.size, reverse=True)
    return [group for group in found if group.size()][:MOST_GROUPS]


def _caused(counts: Counts, earlier: Counts, *names: str) -> list[Caused]:
    """Why mail was not delivered, the most frequent first, and how often before."""
    now, then = (_by_cause(one, names) for one in (counts, earlier))
    return [Caused(key, n, then[key]) for key, n in now.most_common(MOST_GROUPS)]


def _by_cause(counts: Counts, names: Sequence[str]) -> Counter[tuple[str, ...]]:
    found: Counter[tuple[str, ...]] = Counter()
    for cause in stats.causes(counts):
        found[tuple(cause[name] for name in names)] += cause["count"]
    return found


def _grown(tx: Connection, since: float, now: float) -> dict[str, dict[float, int]]:
    """Entries that stand, by reason and by the day that they were made on."""
    c = suppressions.c
    days = c.since / DAY
    day = cast(func.floor(days) if tx.dialect.name == "postgresql" else days, Integer)
    query = (
        select(c.reason, day, func.count())
        .where(c.since >= since // DAY * DAY, or_(c.until.is_(None), c.until > now))
        .group_by(c.reason, day)
    )
    found: dict[str, dict[float, int]] = {}
    for reason, at, n in tx.execute(query):
        found.setdefault(reason, {})[at * DAY] = int(n)
    return found


def _incidents(tx: Connection, since: float) -> list[stats.Json]:
    rows = incidents.browse(tx, state=None, before=None, limit=MOST_INCIDENTS)
    return [
        incident_view.view(row)
        for row in rows
        if row.state == "open" or (row.closed_at or 0.0) >= since
    ]

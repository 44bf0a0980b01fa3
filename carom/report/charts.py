"""The charts of the report: each a function of what is to be said and of a width."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from analysis.stats import Json
from carom import plots
from carom.axes import wait_marks
from carom.plots import Bar, Line, Stack, percent, seconds
from carom.report.figures import FEW, Group
from carom.report.saying import Saying

LATEST = 3
"""Figures at the end of a line that are told to those who cannot see it."""

_STATES = {
    "delivered": 1,
    "complained": 4,
    "bounced": 7,
    "expired": 5,
    "suppressed": 8,
    "cancelled": 6,
    "queued": 3,
    "sending": 2,
}
"""Colours by state: what is bad looks it."""


def share_over_time(say: Saying, width: int) -> str:
    now = _points(say.figures.series, "delivered")
    before = _points(say.figures.series_before, "delivered")
    ratios = [value for _, value in (*now, *before) if value is not None]
    low = max(0.0, min(ratios, default=0.0) - 0.02)
    lines = [Line(say("this"), now), Line(say.earlier(), before, dashed=True)]
    return plots.lines(
        say(f"stayed_{say.slot()}"),
        lines,
        show=percent,
        low=_floor(low),
        high=1.0,
        description=_latest(lines, percent),
        empty=say("no_data"),
        day=say.words("overview.day_mark"),
        width=width,
    )


def ended(say: Saying, width: int) -> str:
    series = say.figures.series
    return plots.columns(
        say(f"ended_{say.slot()}"),
        [slot["time"] for slot in series],
        [
            Stack(say.words.of("state", name), [slot["states"][name] for slot in series], colour)
            for name, colour in _STATES.items()
            if any(slot["states"][name] for slot in series)
        ],
        empty=say("no_data"),
        day=say.words("overview.day_mark"),
        width=width,
    )


def by_provider(say: Saying, width: int) -> str:
    return plots.bars(
        say("by_provider"),
        [_bar(say, group, "delivered") for group in say.figures.providers],
        show=percent,
        high=1.0,
        compared=say.compared(),
        empty=say("no_data"),
        width=width,
    )


def _bar(say: Saying, group: Group, name: str) -> Bar:
    few = group.now["ratios"][name]["denominator"] < FEW
    note = say.counts(group, name) if few else ""
    named = say.words.provider(group.name)
    return Bar(named, group.ratio(name), group.ratio_before(name), note)


def times(say: Saying, width: int) -> str:
    lines = [
        Line(name, [(s["time"], s["time_to_accept"][p]) for s in say.figures.series])
        for name, p in ((say("half_line"), "p50"), ("95 %", "p95"), ("99 %", "p99"))
    ]
    return plots.lines(
        say("times"),
        lines,
        show=seconds,
        log=wait_marks,
        description=_latest(lines, seconds),
        empty=say("no_data"),
        day=say.words("overview.day_mark"),
        width=width,
    )


def by_fault(say: Saying, width: int) -> str:
    rows = [
        Bar(say.words.of("fault", one.cause[0]) or say("none"), one.now, one.before)
        for one in say.figures.faults
    ]
    title, none = say("by_fault"), say("none_came_back")
    return plots.bars(title, rows, compared=say.compared(), empty=none, width=width)


def by_category(say: Saying, width: int) -> str:
    """One bar a category, whosever fault each case of it was."""
    now: Counter[str] = Counter()
    before: Counter[str] = Counter()
    for one in say.figures.categories:
        now[one.cause[0]] += one.now
        before[one.cause[0]] += one.before
    rows = [Bar(say.words.of("category", c), n, before[c]) for c, n in now.most_common()]
    title, none = say("by_category"), say("none_came_back")
    return plots.bars(title, rows, compared=say.compared(), empty=none, width=width)


def complaints(say: Saying, width: int) -> str:
    return plots.bars(
        say("complaints"),
        [_bar(say, group, "complained") for group in say.figures.providers if _complained(group)],
        show=percent,
        compared=say.compared(),
        empty=say("none_complained"),
        width=width,
    )


def newly_listed(say: Saying, width: int) -> str:
    grown = say.figures.grown
    days = sorted({day for found in grown.values() for day in found})
    stacks = [
        Stack(say.words.of("reason", reason), [float(found.get(day, 0)) for day in days])
        for reason, found in sorted(grown.items())
    ]
    return plots.columns(
        say("new_listed"),
        days,
        stacks,
        empty=say("none_listed"),
        day=say.words("overview.day_mark"),
        width=width,
    )


def inbox(say: Saying, width: int) -> str:
    """Where seed mailboxes found our probes, with the interval that few samples leave."""
    rows = []
    for name, tally in say.figures.placement.items():
        if tally.samples:
            low, high = (f"{end * 100:.0f}" for end in (tally.interval.low, tally.interval.high))
            note = say("interval", low=low, high=high, probes=tally.samples)
            rows.append(Bar(say.words.provider(name), tally.ratio, note=note))
    return plots.bars(say("inbox"), rows, show=percent, high=1.0, width=width)


def _latest(lines: Sequence[Line], show: Callable[[float], str]) -> str:
    """The lines for those who cannot see them: the last figures of each."""
    told = []
    for line in lines:
        known = [show(value) for _, value in line.points if value is not None][-LATEST:]
        told.append(f"{line.name}: {', '.join(known) or '–'}")
    return "; ".join(told)


def _floor(low: float) -> float:
    """A round start of the axis, so that a drop of a few percent can be seen."""
    return next(start for start in (0.98, 0.95, 0.9, 0.8, 0.5, 0.0) if low >= start)


def _points(series: Sequence[Json], name: str) -> list[tuple[float, float | None]]:
    return [(slot["time"], slot["ratios"][name]["ratio"]) for slot in series]


def _complained(group: Group) -> bool:
    return bool(group.ratio("complained") or group.ratio_before("complained"))

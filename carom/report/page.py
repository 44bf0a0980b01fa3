"""The report as one HTML page: nothing in it is fetched from anywhere, and no script runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import NamedTuple

from analysis.stats import Json
from carom import plots
from carom.axes import wait_marks
from carom.plots import Bar, Line, Stack, number, percent, seconds
from carom.report.figures import FEW, HOUR, Figures, Group
from carom.report.style import STYLE
from carom.report.terminal import (
    about,
    change,
    earlier,
    headline,
    moved,
    provider,
    share,
    since,
    span,
)


def page(figures: Figures) -> str:
    """A whole document."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Carom: {escape(span(figures))}</title>"
        f"<style>{STYLE}{plots.STYLE}</style></head><body><main>"
        f"<h1>Mail report</h1><p class=dim>{escape(span(figures))}</p>"
        f"<p class=lead>{escape(headline(figures))}</p>"
        f"{_tiles(figures)}{_incidents(figures)}{_arriving(figures)}{_refused(figures)}"
        f"{_unwanted(figures)}{_seeds(figures)}{_FOOT}</main></body></html>\n"
    )


def _tiles(figures: Figures) -> str:
    total = figures.totals
    waits = total.now["time_to_accept"]
    states = total.now["states"]
    depth = sum(found for found, _ in figures.queue.values())
    oldest = max((waited for _, waited in figures.queue.values()), default=0.0)
    tiles = [
        ("Delivered and stayed", _ratio(total, "delivered"), _against(total, "delivered", figures)),
        ("Bounced", _ratio(total, "bounced"), _counts(total, "bounced")),
        ("Complained", _ratio(total, "complained"), _counts(total, "complained")),
        ("Half accepted within", _wait(waits["p50"]), f"95 %: {_wait(waits['p95'])}"),
        ("Withheld", f"{states['suppressed']:,}", "on the suppression list"),
        ("Waiting now", number(depth), f"oldest due {seconds(round(oldest))}"),
    ]
    shown = (
        f'<div class="tile"><span>{escape(name)}</span><b>{escape(value)}</b>'
        f"<span>{escape(note)}</span></div>"
        for name, value, note in tiles
    )
    return f'<div class="tiles">{"".join(shown)}</div>'


def _ratio(group: Group, name: str) -> str:
    ratio = group.ratio(name)
    return "no data" if ratio is None else percent(ratio)


def _counts(group: Group, name: str) -> str:
    found = group.now["ratios"][name]
    return f"{found['numerator']:,} of {found['denominator']:,}"


def _against(group: Group, name: str, figures: Figures) -> str:
    before = group.ratio_before(name)
    return _counts(group, name) if before is None else f"{percent(before)} {earlier(figures)}"


def _wait(value: float | None) -> str:
    return "no data" if value is None else seconds(value)


def _incidents(figures: Figures) -> str:
    if not figures.incidents:
        return ""
    shown = (
        f'<div class="incident {escape(one["state"])}"><b>{escape(one["title"]["en"])}</b>'
        f"<p class=dim>{escape(one['state'])}, since {escape(since(one))}</p>"
        f"<p>{_marked_up(one['advice']['en'])}</p></div>"
        for one in figures.incidents
    )
    return f"<h2>Incidents</h2>{''.join(shown)}"


def _marked_up(text: str) -> str:
    """Escaped, with commands between backticks set as code."""
    parts = (escape(part) for part in text.split("`"))
    return "".join(f"<code>{part}</code>" if n % 2 else part for n, part in enumerate(parts))


def _arriving(figures: Figures) -> str:
    """Is mail arriving, for whom, and how quickly?"""
    charts = [
        lambda width: _share_over_time(figures, width),
        lambda width: plots.columns(
            f"Deliveries each {_slot(figures)}, by what became of them",
            [slot["time"] for slot in figures.series],
            [
                Stack(name, [slot["states"][name] for slot in figures.series], colour)
                for name, colour in _STATES.items()
                if any(slot["states"][name] for slot in figures.series)
            ],
            width=width,
        ),
        lambda width: plots.bars(
            "Delivered and stayed, by provider",
            [_bar(group, "delivered") for group in figures.providers],
            show=percent,
            high=1.0,
            compared=("this time", earlier(figures)),
            width=width,
        ),
        lambda width: plots.lines(
            "Time until the next host accepted",
            [
                Line(name, [(s["time"], s["time_to_accept"][p]) for s in figures.series])
                for name, p in (("half", "p50"), ("95 %", "p95"), ("99 %", "p99"))
            ],
            show=seconds,
            log=wait_marks,
            width=width,
        ),
    ]
    tables = _groups("Provider", figures.providers) + _groups("Stream", figures.streams)
    return f"<h2>Is mail arriving?</h2>{_plots(charts)}{tables}"


def _share_over_time(figures: Figures, width: int) -> str:
    now = _points(figures.series, "delivered")
    before = _points(figures.series_before, "delivered")
    ratios = [value for _, value in (*now, *before) if value is not None]
    low = max(0.0, min(ratios, default=0.0) - 0.02)
    lines = [Line("this time", now), Line(earlier(figures), before, dashed=True)]
    title = f"Delivered and stayed, each {_slot(figures)}"
    return plots.lines(title, lines, show=percent, low=_floor(low), high=1.0, width=width)


def _slot(figures: Figures) -> str:
    """What the figures over time are counted in."""
    times = [slot["time"] for slot in figures.series[:2]]
    return "hour" if len(times) == 2 and times[1] - times[0] <= HOUR else "day"


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


def _floor(low: float) -> float:
    """A round start of the axis, so that a drop of a few percent can be seen."""
    return next(start for start in (0.98, 0.95, 0.9, 0.8, 0.5, 0.0) if low >= start)


def _points(series: Sequence[Json], name: str) -> list[tuple[float, float | None]]:
    return [(slot["time"], slot["ratios"][name]["ratio"]) for slot in series]


def _bar(group: Group, name: str) -> Bar:
    few = group.now["ratios"][name]["denominator"] < FEW
    note = _counts(group, name) if few else ""
    return Bar(provider(group.name), group.ratio(name), group.ratio_before(name), note)


def _refused(figures: Figures) -> str:
    """What came back, and whose fault it was."""
    compared = ("this time", earlier(figures))
    none = "nothing came back"
    charts = [
        lambda width: plots.bars(
            "Not delivered, by fault",
            [Bar(one.cause[0] or "none", one.now, one.before) for one in figures.faults],
            compared=compared,
            empty=none,
            width=width,
        ),
        lambda width: plots.bars(
            "Not delivered, by category",
            _by_category(figures),
            compared=compared,
            empty=none,
            width=width,
        ),
    ]
    return f"<h2>What came back, and whose fault was it?</h2>{_plots(charts)}"


def _by_category(figures: Figures) -> list[Bar]:
    """One bar a category, whosever fault each case of it was."""
    now: Counter[str] = Counter()
    before: Counter[str] = Counter()
    for one in figures.categories:
        now[one.cause[0]] += one.now
        before[one.cause[0]] += one.before
    return [Bar(name.replace("_", " "), n, before[name]) for name, n in now.most_common()]


def _unwanted(figures: Figures) -> str:
    """Complaints and the suppression list."""
    days = sorted({day for found in figures.grown.values() for day in found})
    charts = [
        lambda width: plots.bars(
            "Complaints, of what stayed delivered",
            [_bar(group, "complained") for group in figures.providers if _complained(group)],
            show=percent,
            compared=("this time", earlier(figures)),
            empty="nobody complained",
            width=width,
        ),
        lambda width: plots.columns(
            "New on the suppression list, each day",
            days,
            [
                Stack(reason.replace("_", " "), [float(found.get(day, 0)) for day in days])
                for reason, found in sorted(figures.grown.items())
            ],
            empty="nobody is new on it",
            width=width,
        ),
    ]
    rows = [
        (reason.replace("_", " "), f"{n:,}", f"{sum(figures.grown.get(reason, {}).values()):,}")
        for reason, n in figures.suppressed.items()
        if n
    ]
    table = _table(("On the list", "Entries that stand", "New in this time"), rows)
    return f"<h2>Who does not want it?</h2>{_plots(charts)}{table}"


def _complained(group: Group) -> bool:
    return bool(group.ratio("complained") or group.ratio_before("complained"))


def _seeds(figures: Figures) -> str:
    """Where seed mailboxes found our probes, with the interval that few samples leave."""
    bars = [
        Bar(provider(name), tally.ratio, note=f"{about(tally.interval)}, {tally.samples}")
        for name, tally in figures.placement.items()
        if tally.samples
    ]
    if not bars:
        return ""
    title = "In the inbox (95 % interval, probes)"
    drawn = _plots([lambda width: plots.bars(title, bars, show=percent, high=1.0, width=width)])
    return f"<h2>Does it reach the inbox?</h2>{drawn}"


def _groups(title: str, groups: Sequence[Group]) -> str:
    names = (
        title,
        "Delivered and stayed",
        "Change",
        "Bounced",
        "Complained",
        "Half accepted in",
        "95 % in",
    )
    rows = []
    for group in groups:
        waits = group.now["time_to_accept"]
        cells: list[str | Marked] = [_named(group, title), share(group, "delivered")]
        cells.append(Marked(change(group, "delivered"), moved(group, "delivered")))
        cells += [_ratio(group, name) for name in ("bounced", "complained")]
        rows.append((*cells, _wait(waits["p50"]), _wait(waits["p95"])))
    return _table(names, rows)


def _named(group: Group, title: str) -> str:
    return provider(group.name) if title == "Provider" else group.name


class Marked(NamedTuple):
    """A cell that says that something surely rose (1) or fell (-1)."""

    text: str
    moved: int


def _table(titles: Sequence[str], rows: Iterable[Sequence[str | Marked]]) -> str:
    body = "".join(
        f'<tr><th scope="row">{escape(str(first))}</th>{_cells(titles[1:], rest)}</tr>'
        for first, *rest in rows
    )
    if not body:
        return ""
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    return (
        f'<div class="table" tabindex="0" role="region" aria-label="{escape(titles[0])}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cells(titles: Sequence[str], cells: Sequence[str | Marked]) -> str:
    """Each with its column's title, which stands beside it where the page is narrow."""
    return "".join(_cell(title, one) for title, one in zip(titles, cells, strict=True))


def _cell(title: str, cell: str | Marked) -> str:
    text, moved_ = cell if isinstance(cell, Marked) else (cell, 0)
    way = {1: ' class="up"', -1: ' class="down"'}.get(moved_, "")
    return f'<td data-label="{escape(title)}"{way}>{escape(text)}</td>'


def _plots(charts: Sequence[Callable[[int], str]]) -> str:
    drawn = "".join(f"<figure>{plots.sized(chart)}</figure>" for chart in charts)
    return f'<div class="plots">{drawn}</div>'


_FOOT = (
    "<footer><p>A delivery counts in the hour it was sent in, and as delivered only while no later "
    "bounce or complaint took it back. Shares are of what was tried and has ended: what waits, was "
    "withheld or cancelled is left out. Changes are in points of a percent, and left out below "
    f"{FEW} deliveries. Times are UTC.</p></footer>"
)

"""The report in a terminal: tables, without plots."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from analysis import stats
from analysis.interval import Interval, wilson
from analysis.telling import known_provider
from carom.plots import number, percent, seconds
from carom.report.figures import FEW, Figures, Group


def show(figures: Figures, console: Console) -> None:
    """Print the report."""
    console.print(f"[bold]Carom, {span(figures)}[/]")
    console.print(headline(figures), highlight=False)
    console.print()
    for table in _tables(figures):
        if table.row_count:
            console.print(table)
            console.print()


def span(figures: Figures) -> str:
    """`2026-11-16 00:00 to 2026-11-23 14:05 UTC`."""
    first, last = (when(at) for at in (figures.since, figures.until))
    return f"{first} to {last} UTC"


def when(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}"


def since(incident: stats.Json) -> str:
    """`2026-11-23 14:05 UTC`."""
    return f"{str(incident['since'])[:16].replace('T', ' ')} UTC"


def provider(name: str) -> str:
    """A mailbox provider as people call it."""
    return known_provider(name, "en") or "other providers"


def headline(figures: Figures) -> str:
    """One sentence that says how it went."""
    now = figures.totals.now["ratios"]["delivered"]
    if not now["denominator"]:
        return "Nothing that was sent in this time has ended yet."
    said = (
        f"{percent(now['ratio'])} of {now['denominator']:,} deliveries arrived and stayed "
        f"({now['numerator']:,})"
    )
    before = figures.totals.ratio_before("delivered")
    if before is not None:
        said += f", against {percent(before)} {earlier(figures)}"
    trouble = len(figures.open)
    return f"{said}. {trouble} open incident{'' if trouble == 1 else 's'}."


def earlier(figures: Figures) -> str:
    """What the span is compared with, in words."""
    return "a week before" if figures.weeks == 1 else f"{figures.weeks} weeks before"


def share(group: Group, name: str) -> str:
    """`98.2 % (491 of 500)`, or a dash."""
    found = group.now["ratios"][name]
    if found["ratio"] is None:
        return "-"
    return f"{percent(found['ratio'])} ({found['numerator']:,} of {found['denominator']:,})"


def change(group: Group, name: str) -> str:
    """The change against before in points of a percent, where both have enough."""
    now, before = group.now["ratios"][name], group.before and group.before["ratios"][name]
    if not before or min(now["denominator"], before["denominator"]) < FEW:
        return "-"
    return f"{(now['ratio'] - before['ratio']) * 100:+.2f}"


def moved(group: Group, name: str) -> int:
    """1 or -1 where the ratio surely rose or fell, 0 where chance would do it too."""
    before = group.before and group.before["ratios"][name]
    if not before:
        return 0
    now = group.now["ratios"][name]
    is_, was = (wilson(one["numerator"], one["denominator"]) for one in (now, before))
    return (is_.low > was.high) - (is_.high < was.low)


def about(interval: Interval) -> str:
    """`74 to 99 %`."""
    return f"{interval.low * 100:.0f} to {interval.high * 100:.0f} %"


def _tables(figures: Figures) -> Iterable[Table]:
    yield _groups("Provider", figures.providers, provider)
    yield _groups("Stream", figures.streams, str)
    causes = _table("Category", "Fault", "Now", "Before")
    for one in figures.categories:
        causes.add_row(*one.cause, f"{one.now:,}", f"{one.before:,}")
    yield causes
    listed = _table("Suppressed", "Entries that stand", "New in this time")
    for reason, n in figures.suppressed.items():
        if n:
            listed.add_row(reason, f"{n:,}", f"{sum(figures.grown.get(reason, {}).values()):,}")
    yield listed
    waiting = _table("Queue", "Waiting", "Oldest due")
    for class_, (depth, oldest) in figures.queue.items():
        waiting.add_row(class_, number(depth), seconds(round(oldest)))
    yield waiting
    seeds = _table("Inbox placement", "In the inbox", "95 % interval", "Probes")
    for name, tally in figures.placement.items():
        if tally.ratio is not None:
            within = about(tally.interval)
            seeds.add_row(provider(name), percent(tally.ratio), within, str(tally.samples))
    yield seeds
    incidents = _table("Incident", "State", "Since")
    for found in figures.incidents:
        incidents.add_row(escape(found["title"]["en"]), found["state"], since(found))
    yield incidents


_COLOURS = {1: "[green]", 0: "", -1: "[red]"}


def _groups(title: str, groups: Iterable[Group], named: Callable[[str], str]) -> Table:
    table = _table(title, "Delivered and stayed", "Change", "Bounced", "Complained", "p50", "p95")
    for group in groups:
        waits = group.now["time_to_accept"]
        table.add_row(
            escape(named(group.name)),
            share(group, "delivered"),
            _COLOURS[moved(group, "delivered")] + change(group, "delivered"),
            percent(group.ratio("bounced") or 0.0),
            percent(group.ratio("complained") or 0.0),
            *("-" if waits[p] is None else seconds(waits[p]) for p in ("p50", "p95")),
        )
    return table


def _table(*titles: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    words = {"Provider", "Stream", "Category", "Fault", "Suppressed", "Queue", "State", "Since",
             "Incident", "Inbox placement"}  # fmt: skip
    for title in titles:
        table.add_column(title, justify="left" if title in words else "right")
    return table

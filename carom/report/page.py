"""The report as one HTML page: nothing in it is fetched from anywhere, and no script runs.

Its words are those of the console, in the same languages, with the section `report` of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import NamedTuple

from carom import plots
from carom.console.words import DEFAULT, Words
from carom.plots import number, percent, seconds
from carom.report import charts
from carom.report.figures import FEW, Figures, Group
from carom.report.saying import Saying
from carom.report.style import STYLE
from carom.report.terminal import change, moved, since, when

Chart = Callable[[Saying, int], str]


def page(figures: Figures, lang: str = DEFAULT) -> str:
    """A whole document."""
    say = Saying(figures, Words(lang))
    span = say("span", first=when(figures.since), last=when(figures.until))
    parts = (_tiles(say), _incidents(say), _arriving(say), _refused(say), _unwanted(say))
    return (
        f'<!doctype html>\n<html lang="{"zh-Hans" if lang == "zh" else lang}">'
        '<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Carom: {escape(span)}</title>"
        f"<style>{STYLE}{plots.STYLE}</style></head><body><main>"
        f"<h1>{escape(say('title'))}</h1><p class=dim>{escape(span)}</p>"
        f"<p class=lead>{escape(_headline(say))}</p>{''.join(parts)}{_seeds(say)}"
        f"<footer><p>{escape(say('foot', few=FEW))}</p></footer></main></body></html>\n"
    )


def _headline(say: Saying) -> str:
    total = say.figures.totals
    now = total.now["ratios"]["delivered"]
    if not now["denominator"]:
        return say("nothing")
    share, arrived = percent(now["ratio"]), f"{now['numerator']:,}"
    said = say("headline", share=share, ended=f"{now['denominator']:,}", arrived=arrived)
    before = total.ratio_before("delivered")
    if before is not None:
        said += say("against", share=percent(before), earlier=say.earlier())
    trouble = len(say.figures.open)
    return said + say("open_one" if trouble == 1 else "open", count=trouble)


def _tiles(say: Saying) -> str:
    total = say.figures.totals
    waits, states = total.now["time_to_accept"], total.now["states"]
    depth = sum(found for found, _ in say.figures.queue.values())
    oldest = max((waited for _, waited in say.figures.queue.values()), default=0.0)
    before = total.ratio_before("delivered")
    against = say.counts(total, "delivered")
    if before is not None:
        against = f"{percent(before)} {say.earlier()}"
    tiles = [
        (say("stayed"), say.ratio(total, "delivered"), against),
        (say("bounced"), say.ratio(total, "bounced"), say.counts(total, "bounced")),
        (
            say("complained"),
            say.ratio(total, "complained"),
            say.counts(total, "complained"),
        ),
        (say("half"), say.wait(waits["p50"]), f"95 %: {say.wait(waits['p95'])}"),
        (say("withheld"), f"{states['suppressed']:,}", say("on_list")),
        (say("waiting"), number(depth), say("oldest", time=seconds(round(oldest)))),
    ]
    shown = (
        f'<div class="tile"><span>{escape(name)}</span><b>{escape(value)}</b>'
        f"<span>{escape(note)}</span></div>"
        for name, value, note in tiles
    )
    return f'<div class="tiles">{"".join(shown)}</div>'


def _incidents(say: Saying) -> str:
    if not say.figures.incidents:
        return ""
    lang = say.words.lang
    shown = (
        f'<div class="incident {escape(one["state"])}"><b>{escape(one["title"][lang])}</b>'
        f"<p class=dim>{escape(say(one['state'] + '_since', at=since(one)))}</p>"
        f"<p>{_marked_up(one['advice'][lang])}</p></div>"
        for one in say.figures.incidents
    )
    return f"<h2>{escape(say('incidents'))}</h2>{''.join(shown)}"


def _arriving(say: Saying) -> str:
    """Is mail arriving, for whom, and how quickly?"""
    drawn = (charts.share_over_time, charts.ended, charts.by_provider, charts.times)
    providers = _groups(say, "provider", say.figures.providers, say.words.provider)
    streams = _groups(say, "stream", say.figures.streams, str)
    return _section(say, "arriving", *drawn) + providers + streams


def _refused(say: Saying) -> str:
    """What came back, and whose fault it was."""
    return _section(say, "refused", charts.by_fault, charts.by_category)


def _unwanted(say: Saying) -> str:
    """Complaints and the suppression list."""
    grown = say.figures.grown
    rows = [
        (say.words.of("reason", r), f"{n:,}", f"{sum(grown.get(r, {}).values()):,}")
        for r, n in say.figures.suppressed.items()
        if n
    ]
    table = _table((say("listed"), say("stand"), say("new")), rows)
    return _section(say, "unwanted", charts.complaints, charts.newly_listed) + table


def _seeds(say: Saying) -> str:
    """Where seed mailboxes found our probes, if there are any."""
    found = any(tally.samples for tally in say.figures.placement.values())
    return _section(say, "seeds", charts.inbox) if found else ""


def _section(say: Saying, heading: str, *drawn: Chart) -> str:
    """A heading that asks, and the charts that answer."""
    figures = "".join(f"<figure>{_sized(say, chart)}</figure>" for chart in drawn)
    return f'<h2>{escape(say(heading))}</h2><div class="plots">{figures}</div>'


def _sized(say: Saying, chart: Chart) -> str:
    return plots.sized(lambda width: chart(say, width))


def _groups(say: Saying, kind: str, groups: Sequence[Group], named: Callable[[str], str]) -> str:
    keys = (kind, "stayed", "change", "bounced", "complained", "half_in", "most_in")
    rows = []
    for group in groups:
        waits = group.now["time_to_accept"]
        rows.append(
            (
                named(group.name),
                f"{say.ratio(group, 'delivered')} ({say.counts(group, 'delivered')})",
                Marked(change(group, "delivered"), moved(group, "delivered")),
                say.ratio(group, "bounced"),
                say.ratio(group, "complained"),
                say.wait(waits["p50"]),
                say.wait(waits["p95"]),
            )
        )
    return _table([say(key) for key in keys], rows)


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


def _marked_up(text: str) -> str:
    """Escaped, with commands between backticks set as code."""
    parts = (escape(part) for part in text.split("`"))
    return "".join(f"<code>{part}</code>" if n % 2 else part for n, part in enumerate(parts))

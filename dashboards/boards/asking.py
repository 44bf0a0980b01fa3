"""Questions that several boards ask, in one form each.

`rate` runs over `$__rate_interval`, so that a graph is as fine as the screen.  What one message in
a hundred decides is asked over a day.  A bounce that never happened has no series: `or 0 *` says
zero.  Gauges are the same on every process: the most, never the sum.
"""

from __future__ import annotations

from typing import Any

from dashboards.furniture import RUNBOOK

CHOSEN = 'stream=~"$stream",provider=~"$provider"'
SETTLED = 'outcome=~"delivered|bounced|expired"'
COMPLAINTS = 'type=~"abuse|fraud|virus|other"'


def rate(counter: str, by: str = "", which: str = CHOSEN) -> str:
    """A second's worth of a counter, summed over processes and over all labels but `by`."""
    return f"sum{_by(by)}(rate({counter}{{{which}}}[$__rate_interval]))"


def minute(counter: str, by: str = "", which: str = "") -> str:
    return f"60 * {rate(counter, by, which)}"


def over_a_day(counter: str, by: str = "", which: str = "") -> str:
    return f"sum{_by(by)}(increase({counter}{{{which}}}[1d]))"


def settled(by: str = "") -> str:
    return rate("carom_deliveries_total", by, f"{CHOSEN},{SETTLED}")


def share(part: str, whole: str) -> str:
    """Nothing where the whole is nothing."""
    return f"{part} / ({whole} > 0)"


def each_of(part: str, whole: str) -> str:
    """Shares of a whole that has no labels."""
    return f"{part} / on () group_left () ({whole} > 0)"


def quantile(q: float, histogram: str, which: str = CHOSEN) -> str:
    return f"histogram_quantile({q:g}, {rate(f'{histogram}_bucket', 'le', which)})"


def cohort(part: str, by: str = "") -> str:
    """A cohort's numerator or denominator: every node says the same."""
    return f"sum{_by(by)}(max by (stream, provider) (carom_cohort_{part}{{{CHOSEN}}}))"


def _by(labels: str) -> str:
    return f" by ({labels}) " if labels else ""


def to_board(stem: str, variable: str = "") -> dict[str, Any]:
    """A link from a cell to another board, which then shows the cell's value only."""
    chosen = f"&var-{variable}=${{__value.raw}}" if variable else ""
    url = f"/d/carom-{stem}?${{__url_time_range}}&var-datasource=${{datasource}}{chosen}"
    return {"title": "More of ${__value.text}", "url": url, "targetBlank": False}


def to_console(page: str) -> dict[str, Any]:
    return {"title": "In the console", "url": f"${{console}}/console/{page}", "targetBlank": True}


TO_RUNBOOK = {
    "title": "Runbook: ${__value.text}",
    "url": f"{RUNBOOK}#${{__value.text}}",
    "targetBlank": True,
}

"""Charts: pure functions from data to SVG, without a library and without scripts.

`lines`, `columns` and `bars` give one `<svg>` element each.  A page that shows charts has
`STYLE` once in a `<style>` element: it holds their colours, for light and dark, so that a chart
fits its page.  Charts scale with the page; a title and, for those who hear the page, a description
of the data are inside.  All words are escaped.  Times are Unix seconds and shown in UTC.

What is not known (None, NaN) is a gap in a line, never a zero.  Letters shrink with a chart, so
`sized` draws one twice, and the page shows the one that can be read at its width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from carom.axes import (
    DAY,
    LEFT,
    RIGHT,
    Place,
    Show,
    grid,
    marks_of,
    scale,
    scale_of_columns,
    time_axis,
)
from carom.legend import LETTER, legend_of, letters, paint_of, rect, under
from carom.legend import STYLE as STYLE

WIDTH, HEIGHT = 460, 220
NARROW = 340
"""Of a chart on a phone."""
_LOW = 90
"""Height of a chart that has nothing to show."""
_BOTTOM = 28
_ROW = 26


def sized(draw: Callable[[int], str], wide: int = WIDTH) -> str:
    """A chart drawn for wide pages and for narrow ones, of which one is shown."""
    return f'<div class="plot-wide">{draw(wide)}</div><div class="plot-narrow">{draw(NARROW)}</div>'


Marks = Callable[[Sequence[float]], list[float]]
"""What a logarithmic axis is marked with, from its values: `log_marks`, `wait_marks`."""
EMPTY = "no data"
"""What a chart without data says, unless its caller knows better words."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: (time, value) in order of time; a value of None leaves a gap."""

    name: str
    points: Sequence[tuple[float, float | None]]
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Stack:
    """One colour of stacked columns: as many values as there are columns."""

    name: str
    values: Sequence[float]
    colour: int | None = None  # 1 to 8; else by its place


@dataclass(frozen=True, slots=True)
class Bar:
    """One horizontal bar; `before`, drawn behind it, is what it is compared with."""

    name: str
    value: float | None
    before: float | None = None
    note: str = ""


def number(value: float) -> str:
    """`0.25`, `950`, `12.3k`, `4M`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            unit = 1e3 if letter == "k" else size
            return f"{value / unit:.3g}{letter}"
    return f"{value:.0f}" if value == round(value) else f"{value:.2g}"


def percent(value: float) -> str:
    """`98.7 %` of 0.987; more digits where they tell something."""
    shown = value * 100
    digits = 2 if 0 < min(shown, abs(100 - shown)) < 0.5 else 1
    return f"{shown:.{digits}f}".removesuffix(".0") + " %"


def seconds(value: float) -> str:
    """`250 ms`, `1.5 s`, `12 min`, `3 h`, `2 d`."""
    for size, unit in ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min")):
        if value >= size * 2:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} s" if value >= 1 or value == 0 else f"{value * 1000:.3g} ms"


def lines(
    title: str,
    series: Sequence[Line],
    *,
    show: Show = number,
    low: float | None = 0.0,
    high: float | None = None,
    log: Marks | None = None,
    description: str = "",
    empty: str = EMPTY,
    day: str = DAY,
    width: int = WIDTH,
    height: int = HEIGHT,
) -> str:
    """Lines over time.  `low` and `high` bound the value axis; None fits it to the data.

    `log`: the value axis is logarithmic, with these marks, and what is not above zero a gap.
    """
    known = [
        [(at, value) for at, value in line.points if _known(value, log=bool(log))]
        for line in series
    ]
    values = [value for points in known for _, value in points if value is not None]
    times = [at for line in series for at, _ in line.points]
    if not values:
        return _empty(title, empty, width)
    top = under(width, [line.name for line in series] if len(series) > 1 else [])
    marks = log(values) if log else marks_of(values, low, high)
    across = scale(min(times), max(times), LEFT, width - RIGHT)
    up = scale(marks[0], marks[-1], height - _BOTTOM, top, log=bool(log))
    drawn = [grid(marks, up, show, width), time_axis(times, across, width, height, day=day)]
    for n, line in enumerate(series):
        style = "plot-line plot-dashed" if line.dashed else "plot-line"
        runs = _runs(line.points, log=bool(log))
        drawn.extend(_run(run, across, up, style, n) for run in runs)
    told = description or "; ".join(_tell(line, show) for line in series)
    names = [(line.name, line.dashed) for line in series] if len(series) > 1 else []
    return _svg(title, told, legend_of(names, width) + "".join(drawn), width, height)


def columns(
    title: str,
    times: Sequence[float],
    stacks: Sequence[Stack],
    *,
    show: Show = number,
    description: str = "",
    empty: str = EMPTY,
    day: str = DAY,
    width: int = WIDTH,
    height: int = HEIGHT,
) -> str:
    """Stacked columns over time, the first stack at the bottom; negative values count as zero."""
    sums = [sum(max(0.0, stack.values[n]) for stack in stacks) for n in range(len(times))]
    if not times or not any(sums):
        return _empty(title, empty, width)
    top = under(width, [stack.name for stack in stacks] if len(stacks) > 1 else [])
    marks = marks_of(sums, 0.0, None)
    step = (width - LEFT - RIGHT) / len(times)
    up = scale(marks[0], marks[-1], height - _BOTTOM, top)
    drawn = [grid(marks, up, show, width)]
    below = [0.0] * len(times)
    for n, stack in enumerate(stacks):
        for i, value in enumerate(stack.values):
            if value > 0:
                x, tall = LEFT + step * (i + 0.1), up(below[i]) - up(below[i] + value)
                paint = paint_of(_place(stack, n))
                drawn.append(rect(x, up(below[i] + value), step * 0.8, tall, paint))
                below[i] += value
    apart = min((b - a for a, b in pairwise(times)), default=0.0)
    drawn.append(
        time_axis(times, scale_of_columns(times, step), width, height, least=apart, day=day)
    )
    told = description or "; ".join(f"{s.name}: {show(sum(s.values))}" for s in stacks)
    names = [(stack.name, False) for stack in stacks] if len(stacks) > 1 else []
    colours = [_place(stack, n) for n, stack in enumerate(stacks)]
    return _svg(
        title, told, legend_of(names, width, colours=colours) + "".join(drawn), width, height
    )


def bars(
    title: str,
    rows: Sequence[Bar],
    *,
    show: Show = number,
    low: float = 0.0,
    high: float | None = None,
    compared: tuple[str, str] | None = None,
    description: str = "",
    empty: str = EMPTY,
    width: int = WIDTH,
) -> str:
    """Horizontal bars, one a row; the value and the row's note stand at its end.

    `compared` names what the bars and the pale bars behind them are, such as ("now", "last week").
    """
    if not rows:
        return _empty(title, empty, width)
    values = [v for row in rows for v in (row.value, row.before) if v is not None]
    most = max(values, default=0.0) if high is None else high
    left = min(180.0, 12 + LETTER * max(letters(row.name) for row in rows))
    right = 12 + LETTER * max(letters(_ending(row, show)) for row in rows)
    left = min(left, max(60.0, width - right - 40))
    across = scale(low, max(most, low + 1e-9), left, max(left + 40, width - right))
    top = under(width, list(compared or ()))
    height = int(top + _ROW * len(rows) + 6)
    drawn = [_bar(row, top + _ROW * n, left, across, show) for n, row in enumerate(rows)]
    told = description or "; ".join(f"{row.name}: {_ending(row, show)}" for row in rows)
    legend = legend_of([(compared[0], False)], width, ghost=compared[1]) if compared else ""
    return _svg(title, told, legend + "".join(drawn), width, height)


def _known(value: float | None, *, log: bool = False) -> bool:
    return value is not None and math.isfinite(value) and not (log and value <= 0)


def _runs(
    points: Sequence[tuple[float, float | None]], *, log: bool = False
) -> list[list[tuple[float, float]]]:
    """The points cut where a value is not known."""
    found: list[list[tuple[float, float]]] = [[]]
    for at, value in points:
        if value is None or not _known(value, log=log):
            found.append([])
        else:
            found[-1].append((at, value))
    return [run for run in found if run]


def _run(run: list[tuple[float, float]], across: Place, up: Place, style: str, colour: int) -> str:
    if len(run) == 1:
        x, y = across(run[0][0]), up(run[0][1])
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{paint_of(colour)}"/>'
    path = "L".join(f"{across(at):.1f} {up(value):.1f}" for at, value in run)
    return f'<path class="{style}" stroke="{paint_of(colour)}" d="M{path}"/>'


def _place(stack: Stack, n: int) -> int:
    return n if stack.colour is None else stack.colour - 1


def _bar(row: Bar, y: float, left: float, across: Place, show: Show) -> str:
    name = escape(_cut(row.name, left))
    at = f'x="{left - 8:.0f}" y="{y + 15:.0f}"'
    drawn = [f'<text class="plot-name" {at} text-anchor="end">{name}</text>']
    end = left
    if row.before is not None:
        end = across(row.before)
        drawn.append(
            f'<rect class="plot-ghost" x="{left:.1f}" y="{y + 2:.1f}" rx="2" '
            f'width="{end - left:.1f}" height="18"/>'
        )
    if row.value is not None:
        drawn.append(rect(left, y + 5, across(row.value) - left, 12, paint_of(0)))
        end = max(end, across(row.value))
    said = escape(_ending(row, show))
    drawn.append(f'<text x="{end + 6:.1f}" y="{y + 15:.0f}">{said}</text>')
    return "".join(drawn)


def _cut(name: str, left: float) -> str:
    room = int((left - 10) / LETTER)
    return name if letters(name) <= room + 1 else name[: max(1, room)] + "…"


def _ending(row: Bar, show: Show) -> str:
    value = "no data" if row.value is None else show(row.value)
    return f"{value} ({row.note})" if row.note else value


def _tell(line: Line, show: Show) -> str:
    known = [value for _, value in line.points if value is not None and math.isfinite(value)]
    if not known:
        return f"{line.name}: no data"
    trend = _trend(known)
    return (
        f"{line.name}: from {show(known[0])} to {show(known[-1])}{trend}, "
        f"least {show(min(known))}, most {show(max(known))}"
    )


def _trend(values: Sequence[float]) -> str:
    if len(values) > 2 and all(a <= b for a, b in pairwise(values)) and values[0] < values[-1]:
        return " (rising)"
    if len(values) > 2 and all(a >= b for a, b in pairwise(values)) and values[0] > values[-1]:
        return " (falling)"
    return ""


def _empty(title: str, said: str, width: int) -> str:
    shown = f'<text x="{width / 2}" y="{_LOW / 2 + 10}" text-anchor="middle">{escape(said)}</text>'
    return _svg(title, said, shown, width, _LOW)


def _svg(title: str, told: str, drawn: str, width: int, height: int) -> str:
    head = f'<text class="plot-title" x="8" y="16">{escape(title)}</text>'
    label = f"<title>{escape(title)}</title><desc>{escape(told)}</desc>"
    return (
        f'<svg class="plot" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{escape(f"{title}. {told}")}">{label}{head}{drawn}</svg>'
    )

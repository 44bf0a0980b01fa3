"""Axes of charts: where a value lies, which values are marked, and the marks drawn.

Pure; times are Unix seconds and marked at round times of UTC.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape

LEFT, RIGHT = 52, 14
"""Room beside the drawing, for marks."""
_TINIEST = -300
"""A power of ten that is still a number, and can be divided."""
_LEAST = 10.0**_TINIEST

DAY = "%d %b"
Show = Callable[[float], str]
"""How a value is written: `number`, `percent`, `seconds` of `carom.plots`, or a caller's own."""
Place = Callable[[float], float]
"""From a value to its place in the drawing."""


def scale(low: float, high: float, start: float, end: float, *, log: bool = False) -> Place:
    """The place of a value between `start` and `end` of the drawing."""
    if log:
        linear = scale(math.log10(low), math.log10(high), start, end)
        return lambda value: linear(math.log10(value))
    span = (high - low) or 1.0
    return lambda value: start + (min(max(value, low), high) - low) / span * (end - start)


def scale_of_columns(times: Sequence[float], step: float) -> Place:
    wide = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 1.0
    return lambda at: LEFT + step * ((at - times[0]) / wide + 0.5)


def marks_of(values: Sequence[float], low: float | None, high: float | None) -> list[float]:
    """Four or five round values that hold the data."""
    bottom = min(values) if low is None else low
    top = max(values) if high is None else high
    if top - bottom < _LEAST:
        top = bottom + (abs(bottom) if abs(bottom) > _LEAST else 1.0)
    step = _round_step((top - bottom) / 4)
    first = math.floor(bottom / step + 1e-9)
    last = math.ceil(top / step - 1e-9)
    marks = [n * step for n in range(first, last + 1)]
    return marks if high is None else [*[m for m in marks if m < high - step / 4], high]


def _round_step(rough: float) -> float:
    size = float(10 ** math.floor(math.log10(rough)))
    return next(size * n for n in (1, 2, 2.5, 5, 10) if size * n >= rough * 0.999)


def log_marks(values: Sequence[float]) -> list[float]:
    first = max(_TINIEST, math.floor(math.log10(min(values))))
    last = max(math.ceil(math.log10(max(values))), first + 1)
    return [10.0**n for n in range(first, last + 1)]


_WAITS = (0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3_600.0, 21_600.0, 86_400.0, 864_000.0)


def wait_marks(values: Sequence[float]) -> list[float]:
    """Marks of a logarithmic axis of seconds, where people have names for them."""
    first = max((n for n, mark in enumerate(_WAITS) if mark <= min(values)), default=0)
    last = next((n for n, mark in enumerate(_WAITS) if mark >= max(values)), len(_WAITS) - 1)
    held = list(_WAITS[first : max(last, first + 1) + 1])
    return held if held[0] <= min(values) and held[-1] >= max(values) else log_marks(values)


def grid(marks: Sequence[float], up: Place, show: Show, width: int) -> str:
    return "".join(
        f'<line class="plot-grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(show(mark))}</text>'
        for mark in marks
        for y in (up(mark),)
    )


_HOURS = (300, 900, 3_600, 10_800, 21_600, 43_200)
_STEPS = (*_HOURS, *(86_400 * n for n in (1, 2, 7, 14, 28, 91)))


def time_axis(
    times: Sequence[float],
    across: Place,
    width: int,
    height: int,
    *,
    least: float = 0.0,
    day: str = DAY,
) -> str:
    """At most six marks at round times, no nearer than `least`, and the zone they are in.

    `day` is how a day is written, for `strftime`.
    """
    first, last = min(times), max(times)
    step = next((s for s in _STEPS if (last - first) / s <= 5 and s >= least), 365 * 86_400)
    start = float(math.ceil(first / step) * step)
    shape = "%H:%M" if step < 86_400 else day
    marks = [start + step * n for n in range(int((last - start) // step) + 1)] or [first]
    return f'<text x="2" y="{height - 8}">UTC</text>' + "".join(
        f'<text x="{across(at):.1f}" y="{height - 8}" text-anchor="{_anchor(across(at), width)}">'
        f"{datetime.fromtimestamp(at, UTC).strftime(day if at % 86_400 == 0 else shape)}</text>"
        for at in marks
    )


def _anchor(x: float, width: int) -> str:
    """So that no mark is cut off at the edge."""
    return "end" if x > width - 28 else "middle"

"""What charts are drawn with: their colours, the width of letters, the legend under the title."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from unicodedata import east_asian_width

LETTER = 6.7
"""Width of a letter of the charts' font size, on average, in units of the drawing."""

STYLE = """
.plot { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif;
  --plot-ink: #1f2933; --plot-dim: #5b6673; --plot-grid: #e3e7ec; --plot-ghost: #c3cad3;
  --plot-1: #1769aa; --plot-2: #c2570c; --plot-3: #0f766e; --plot-4: #a3318c; --plot-5: #8a6d00;
  --plot-6: #5b4fc7; --plot-7: #b3261e; --plot-8: #5f6b76; }
@media (prefers-color-scheme: dark) { .plot {
  --plot-ink: #e6eaef; --plot-dim: #a3adb8; --plot-grid: #333c46; --plot-ghost: #566270;
  --plot-1: #6cb6f5; --plot-2: #f59e5b; --plot-3: #4fd1c1; --plot-4: #e58bd2; --plot-5: #e3c44d;
  --plot-6: #a9a0ff; --plot-7: #ff8a80; --plot-8: #aab4be; } }
.plot text { fill: var(--plot-dim); } .plot .plot-name { fill: var(--plot-ink); }
.plot .plot-title { fill: var(--plot-ink); font-weight: 600; font-size: 13px; }
.plot .plot-grid { stroke: var(--plot-grid); stroke-width: 1; }
.plot .plot-line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.plot .plot-dashed { stroke-dasharray: 4 4; stroke-width: 1.5; }
.plot .plot-ghost { fill: var(--plot-ghost); }
.plot-narrow { display: none; }
@media (max-width: 46rem) { .plot-narrow { display: block; } .plot-wide { display: none; } }
"""


def letters(text: str) -> float:
    """How many letters wide a text is; Chinese, Japanese and Korean ones count nearly twice."""
    return sum(1.8 if east_asian_width(one) in "WF" else 1.0 for one in text)


def paint_of(n: int) -> str:
    return f"var(--plot-{n % 8 + 1})"


def rect(x: float, y: float, wide: float, tall: float, colour: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(wide, 0.5):.1f}" '
        f'height="{max(tall, 0.5):.1f}" rx="1" fill="{colour}"/>'
    )


def under(width: int, names: Sequence[str]) -> int:
    """Where the drawing begins, under the title and the legend's rows."""
    return 36 + 18 * (_places(names, width)[1] if names else 0)


def _places(names: Sequence[str], width: int) -> tuple[list[tuple[float, int]], int]:
    places, x, row = [], 0.0, 0
    for name in names:
        wide = 30 + LETTER * letters(name)
        if x and x + wide > width - 16:
            x, row = 0.0, row + 1
        places.append((x, row))
        x += wide
    return places, row + 1


def legend_of(
    names: Sequence[tuple[str, bool]],
    width: int,
    *,
    ghost: str = "",
    colours: Sequence[int] = range(100),
) -> str:
    entries = [
        (name, f'fill="{paint_of(n)}"', dashed)
        for (name, dashed), n in zip(names, colours, strict=False)
    ]
    if ghost:
        entries.append((ghost, 'class="plot-ghost"', False))
    places, _ = _places([name for name, _, _ in entries], width)
    drawn = []
    for (name, paint, dashed), (x, row) in zip(entries, places, strict=True):
        y = 36 + 18 * row
        tall = 3 if dashed else 9
        drawn.append(
            f'<rect x="{8 + x:.0f}" y="{y - tall / 2 - 4:.0f}" width="12" height="{tall}" rx="1" '
            f'{paint}/><text class="plot-name" x="{25 + x:.0f}" y="{y}">{escape(name)}</text>'
        )
    return "".join(drawn)

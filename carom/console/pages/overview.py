"""The overview: what became of what was sent, by the hour it was sent in, with plots.

Rates are those of cohorts: a bounce that comes days later counts against the hour its message was
sent in.  A provider's rate is of what has ended; what still waits is in the queue's table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from sqlalchemy import Connection
from starlette.responses import Response

from analysis import cohorts, incidents
from analysis.cohorts import HOUR, Span
from analysis.incident_view import words as incident_words
from analysis.lifecycle import State
from analysis.stats import quantile
from carom import plots
from carom.console.visit import Visit
from carom.console.words import Words
from carom.plots import Bar, Stack
from sender import backlog

SPANS = {"day": 24, "week": 7 * 24}
"""Hours."""
BARS = 10
COLUMNS = 28
"""Of the plot over time: more than these are too thin to see."""

WIDE = 440
"""Of a plot that shares its row, in units of the drawing."""

_ENDED = (State.DELIVERED, State.BOUNCED, State.EXPIRED, State.COMPLAINED)
_SHOWN = (*_ENDED, State.SUPPRESSED)


@dataclass(frozen=True, slots=True)
class Counted:
    """Deliveries by hour and state, and by provider and state; causes of those that failed; waits
    for the next host, by step."""

    hours: Mapping[tuple[int, str], int]
    providers: Mapping[tuple[str, str], int]
    causes: Mapping[str, int]
    waits: Mapping[int, int]

    def total(self, *states: State) -> int:
        wanted = {state.value for state in states}
        return sum(n for (_, outcome), n in self.hours.items() if outcome in wanted)

    @property
    def delivered_ratio(self) -> float | None:
        """As `/v1/stats` has it: what stayed delivered, of what was tried and has ended."""
        ended = self.total(*_ENDED)
        return self.total(State.DELIVERED) / ended if ended else None


def count(tx: Connection, span: Span) -> Counted:
    shown = [state.value for state in _SHOWN]
    hours = cohorts.read(tx, span, "hour", "outcome", outcomes=shown)
    waits = cohorts.read(tx, span, "wait", outcomes=[cohorts.ACCEPTED])
    providers: Counter[tuple[str, str]] = Counter()
    causes: Counter[str] = Counter()
    by = ("provider", "outcome", "category")
    for provider, outcome, category, n in cohorts.read(tx, span, *by, outcomes=shown):
        providers[provider, outcome] += n
        causes[category] += n
    causes.pop("", None)
    return Counted(
        {(hour, outcome): n for hour, outcome, n in hours}, providers, causes, dict(waits)
    )


async def show(visit: Visit) -> Response:
    asked = visit.ask("span", 8)
    name = asked if asked in SPANS else "day"
    end = (visit.now // HOUR + 1) * HOUR
    span = Span(end - SPANS[name] * HOUR, end)
    counted, depth, opened = await visit.desk.store.read(
        lambda tx: (count(tx, span), backlog.depth(tx, visit.now), incidents.browse(tx, limit=20))
    )
    words = visit.words
    providers = _table(counted, words)
    return visit.page(
        "overview.html",
        spans=list(SPANS),
        span=name,
        counted=counted,
        states=[(state, counted.total(state)) for state in _SHOWN],
        ratio=counted.delivered_ratio,
        percent=plots.percent,
        waits={f"p{share}": quantile(counted.waits, share / 100) for share in (50, 95)},
        seconds=plots.seconds,
        depth=depth,
        waiting=sum(number for number, _ in depth.values()),
        incidents=[(one, incident_words(one, "title", visit.lang)) for one in opened],
        drawn=[
            Markup(plots.sized(draw, wide))  # noqa: S704 the plots escape every word
            for draw, wide in (
                (lambda width: _over_time(counted, span, words, width), 960),
                (lambda width: _by_provider(providers, words, width), WIDE),
                (lambda width: _by_cause(counted, words, width), WIDE),
            )
        ],
        providers=providers,
        lost=[state.value for state in _SHOWN if state is not State.DELIVERED],
    )


def _over_time(counted: Counted, span: Span, words: Words, width: int) -> str:
    first, hours = int(span.since // HOUR), int((span.until - span.since) // HOUR)
    wide = -(-hours // COLUMNS)
    times = [span.since + n * wide * HOUR for n in range(-(-hours // wide))]
    stacks = [
        Stack(words.of("state", state), _columns(counted.hours, state, first, wide, len(times)))
        for state in _SHOWN
    ]
    return plots.columns(
        words("overview.each_hour" if wide == 1 else "overview.each_hours", count=wide),
        times,
        [s for s in stacks if any(s.values)],
        width=width,
        height=250,
        empty=words("overview.empty"),
        day=words("overview.day_mark"),
    )


def _columns(
    hours: Mapping[tuple[int, str], int], state: str, first: int, wide: int, columns: int
) -> list[float]:
    found = [0.0] * columns
    for (hour, outcome), n in hours.items():
        if outcome == state and 0 <= hour - first < columns * wide:
            found[(hour - first) // wide] += n
    return found


def _by_provider(providers: Sequence[Line], words: Words, width: int) -> str:
    rows = [
        Bar(one.name, one.share, note=words("overview.of", count=f"{one.ended:,}"))
        for one in providers[:BARS]
        if one.share is not None
    ]
    return plots.bars(
        words("overview.by_provider"),
        rows,
        show=plots.percent,
        high=1.0,
        width=width,
        empty=words("overview.none_ended"),
    )


def _by_cause(counted: Counted, words: Words, width: int) -> str:
    most = sorted(counted.causes.items(), key=lambda one: -one[1])[:BARS]
    rows = [Bar(words.of("category", category), n) for category, n in most]
    title, none = words("overview.by_cause"), words("overview.none_failed")
    return plots.bars(title, rows, width=width, empty=none)


@dataclass(frozen=True, slots=True)
class Line:
    """A provider: how many ended, the share that was delivered, and what became of the others."""

    name: str
    ended: int
    share: float | None
    states: Mapping[str, int]


def _table(counted: Counted, words: Words) -> list[Line]:
    """A line for each provider, the most mail first."""
    found = []
    for provider in {one for one, _ in counted.providers}:
        ended = _sum(counted.providers, provider, _ENDED)
        share = _sum(counted.providers, provider, [State.DELIVERED]) / ended if ended else None
        states = {s.value: _sum(counted.providers, provider, [s]) for s in _SHOWN}
        found.append(Line(words.provider(provider), ended, share, states))
    return sorted(found, key=lambda one: (-one.ended, one.name))


def _sum(table: Mapping[tuple[str, str], int], provider: str, states: Iterable[State]) -> int:
    return sum(table.get((provider, state.value), 0) for state in states)

"""Rates that are true to their cohort: what became of the deliveries sent in a span of time.

A bounce or a complaint that came days later takes its delivery out of the span it was sent in,
since states are counted and not events.  Counted by `analysis.cohorts`, exactly: whole hours as
they are kept, an hour that the span cuts from the deliveries themselves; what waits is counted as
it is.  Every ratio comes with its numerator and denominator.  Times to accept are of whole hours
and known to the tenth of a decade, interpolated.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection

from analysis import cohorts
from analysis.cohorts import ACCEPTED, HOUR, Mark, Span, hour_of, upper
from analysis.engagement import Engaged, Who, of_cohort
from analysis.lifecycle import PENDING, State
from analysis.lookup import iso

Json = dict[str, Any]
K = TypeVar("K")
By = Literal["hour", "day"]

SLOTS: Mapping[str, int] = {"hour": 1, "day": 24}
"""Hours in a slot of a time series."""
_UNTRIED = {*PENDING, State.SUPPRESSED, State.CANCELLED}
_ENDED = [state for state in State if state not in _UNTRIED]
_STAYED = (State.DELIVERED, State.COMPLAINED)
_CAUSED = (State.BOUNCED, State.EXPIRED)


def cohort(tx: Connection, span: Span, by: By | None = None) -> Json:
    """Counts and rates of a span: in all, by stream and provider, by cause; over time if asked."""
    counts = count(tx, span)
    pairs = grouped(counts, lambda mark: (mark.stream, mark.provider))
    answer = {
        "totals": rates(counts),
        "cohorts": [
            {"stream": stream, "provider": provider, **rates(found)}
            for (stream, provider), found in sorted(pairs.items())
        ],
        "causes": causes(counts),
        "engagement": engagement(counts, of_cohort(tx, span)),
    }
    if by is not None:
        answer["series"] = series(counts, span, by)
    return answer


def grouped(counts: Mapping[Mark, int], key: Callable[[Mark], K]) -> dict[K, Counter[Mark]]:
    """The counts apart by what `key` says of each mark."""
    groups: dict[K, Counter[Mark]] = {}
    for mark, n in counts.items():
        groups.setdefault(key(mark), Counter())[mark] += n
    return groups


def count(tx: Connection, span: Span) -> Counter[Mark]:
    """Everything about a span, pending included, by mark."""
    first, last = math.ceil(span.since / HOUR), hour_of(span.until)
    found: Counter[Mark] = Counter()
    if first < last:
        whole = replace(span, since=first * HOUR, until=last * HOUR)
        for *key, n in cohorts.read(tx, whole, *cohorts.KEYS):
            found[Mark(*key)] += n
    for since, until in _cut(span, first * HOUR, last * HOUR):
        found += cohorts.recount(tx, replace(span, since=since, until=until))
    for (hour, stream, provider, state), n in cohorts.pending(tx, span).items():
        found[Mark(hour, stream, provider, state)] += n
    return found


def _cut(span: Span, first: float, last: float) -> Iterable[tuple[float, float]]:
    """The parts of a span outside its whole hours."""
    if first >= last:
        return [(span.since, span.until)]
    return [part for part in ((span.since, first), (last, span.until)) if part[0] < part[1]]


def rates(counts: Mapping[Mark, int]) -> Json:
    """Ratios are of what was tried and has ended; None while nothing has.

    `delivered` is what stayed so: neither a bounce nor a complaint took it back.  `complained` is
    a share of what stayed in a mailbox.
    """
    states = dict.fromkeys(State, 0)
    for mark, n in counts.items():
        if mark.outcome != ACCEPTED:
            states[State(mark.outcome)] += n
    ended = sum(states[state] for state in _ENDED)
    delivered, complained = states[State.DELIVERED], states[State.COMPLAINED]
    ratios = {
        "delivered": _ratio(delivered, ended),
        "bounced": _ratio(states[State.BOUNCED], ended),
        "expired": _ratio(states[State.EXPIRED], ended),
        "complained": _ratio(complained, delivered + complained),
    }
    return {
        "deliveries": sum(states.values()),
        "states": {state.value: n for state, n in states.items()},
        "ratios": ratios,
        **{f"{name}_ratio": ratios[name]["ratio"] for name in ("delivered", "bounced")},
        "complained_ratio": ratios["complained"]["ratio"],
        "time_to_accept": waits(counts),
    }


def _ratio(numerator: int, denominator: int) -> Json:
    ratio = round(numerator / denominator, 6) if denominator else None
    return {"numerator": numerator, "denominator": denominator, "ratio": ratio}


def waits(counts: Mapping[Mark, int]) -> Json:
    """Percentiles of the time from our promise to the next host's, in seconds."""
    steps: Counter[int] = Counter()
    for mark, n in counts.items():
        if mark.outcome == ACCEPTED:
            steps[mark.wait] += n
    count = sum(steps.values())
    told = {f"p{share}": quantile(steps, share / 100) for share in (50, 95, 99)}
    return {"count": count, **told}


def quantile(steps: Mapping[int, int], share: float) -> float | None:
    """The wait that this share of counted waits does not exceed, in seconds; None without any."""
    wanted = share * sum(steps.values())
    passed = 0
    for step, n in sorted(steps.items()):
        if n and passed + n >= wanted:
            low = upper(step - 1)
            return float(f"{low * (upper(step) / low) ** ((wanted - passed) / n):.3g}")
        passed += n
    return None


def causes(counts: Mapping[Mark, int]) -> list[Json]:
    """Why deliveries ended undelivered, the most frequent first."""
    found: Counter[tuple[str, str, str, str]] = Counter()
    for mark, n in counts.items():
        if mark.outcome in _CAUSED and mark.category:
            found[mark.stream, mark.provider, mark.category, mark.fault] += n
    names = ("stream", "provider", "category", "fault")
    ordered = sorted(found.items(), key=lambda one: (-one[1], one[0]))
    return [dict(zip(names, key, strict=True)) | {"count": n} for key, n in ordered]


def engagement(counts: Mapping[Mark, int], found: Sequence[Engaged]) -> list[Json]:
    """Opens and clicks by stream; the ratio is of people alone, over what stayed in a mailbox.

    What a machine fetched, or what nobody can tell, stands beside and proves nothing.
    """
    stayed: Counter[str] = Counter()
    for mark, n in counts.items():
        stayed[mark.stream] += n if mark.outcome in _STAYED else 0
    return [
        {
            "stream": one.stream,
            "kind": one.what.value,
            **{who.value: one.by.get(who.value, 0) for who in Who},
            "ratio": _ratio(one.by.get(Who.HUMAN.value, 0), stayed[one.stream]),
        }
        for one in found
    ]


def series(counts: Mapping[Mark, int], span: Span, by: By) -> list[Json]:
    """The same rates slot by slot, without gaps; slots are whole in UTC."""
    slot = SLOTS[by]
    first, last = hour_of(span.since) // slot, math.ceil(span.until / HOUR / slot)
    slots: list[Counter[Mark]] = [Counter() for _ in range(first, last)]
    for mark, n in counts.items():
        slots[mark.hour // slot - first][mark] += n
    return [_slot((first + i) * slot, found) for i, found in enumerate(slots)]


def _slot(hour: int, counts: Mapping[Mark, int]) -> Json:
    return {"at": iso(hour * HOUR), "time": hour * HOUR, **rates(counts)}


ROLLING = 24
"""Hours that the gauges look back on, beside the one that is under way."""


def settled_recently(
    tx: Connection, now: float, hours: int = ROLLING
) -> Sequence[tuple[str, str, int, int]]:
    """(stream, provider, delivered, ended) of what was sent in the last hours and this one."""
    span = Span((hour_of(now) - hours) * HOUR, (hour_of(now) + 1) * HOUR)
    ended: Counter[tuple[str, str]] = Counter()
    stayed: Counter[tuple[str, str]] = Counter()
    names = ("stream", "provider", "outcome")
    states = [state.value for state in _ENDED]
    for stream, provider, outcome, n in cohorts.read(tx, span, *names, outcomes=states):
        ended[stream, provider] += n
        stayed[stream, provider] += n if outcome == State.DELIVERED else 0
    return [(*key, stayed[key], n) for key, n in sorted(ended.items())]

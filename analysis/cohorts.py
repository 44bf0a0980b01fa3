"""Cohorts: what became of the deliveries that were sent in an hour, for as long as it can change.

A delivery belongs to the hour in which it could first be sent: when it was accepted, or at the time
its sender asked for.  It is counted once, under the final state that it is in *now*: a bounce or a
complaint that comes days later takes it out of `delivered` of the hour it was sent in, and puts it
where it belongs.  Beside the states, `accepted` counts what the next host once took, by how long
that took; nothing takes that back.  Probes of our own are nobody's mail and not counted.

Every transaction that changes a final state writes what it changes as one row of `cohort_changes`,
and appends only: no two writers ever wait for one another.  `fold` adds
them to `cohorts`, which outlives the deliveries.  A count is always the sum over both tables, and
so it is exact whenever it is read and whatever is folded meanwhile.

What still waits is not kept here: it is in the deliveries, and few (`pending`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    BigInteger,
    Connection,
    CursorResult,
    Integer,
    Text,
    and_,
    cast,
    delete,
    func,
    insert,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.dialects import postgresql, sqlite

from analysis.lifecycle import PENDING, State
from analysis.schema import cohort_changes, cohorts, deliveries, messages
from analysis.store import IN_LIMIT, chunks

HOUR = 3_600.0
ACCEPTED = "accepted"
_CAUSED = frozenset({State.BOUNCED.value, State.EXPIRED.value})
_PENDING = tuple(sorted(state.value for state in PENDING))
KEYS = ("hour", "stream", "provider", "outcome", "category", "fault", "wait")

_NAMED = ("stream", "provider")
_OUTCOME = KEYS.index("outcome")

SHORTEST, LONGEST = -20, 59
"""Steps of a wait: ten to a decade of seconds, from 10 ms to about eleven days."""


class Mark(NamedTuple):
    """What a count is a count of: the key of a row of `cohorts`."""

    hour: int
    stream: str
    provider: str
    outcome: str  # a final state, or `ACCEPTED`
    category: str = ""
    fault: str = ""
    wait: int = 0


def hour_of(at: float) -> int:
    return math.floor(at / HOUR)


def step_of(wait: float) -> int:
    """The step that a wait of so many seconds falls into: it is below `upper(step)`."""
    if wait <= 0:
        return SHORTEST
    return min(max(math.floor(10 * math.log10(wait)), SHORTEST), LONGEST)


def upper(step: int) -> float:
    """The end of a step, in seconds."""
    return float(10 ** ((step + 1) / 10))


def settled(
    sent_at: float,
    stream: str,
    provider: str,
    state: str,
    *,
    category: str | None = None,
    fault: str | None = None,
    wait: float | None = None,
) -> list[Mark]:
    """The marks of a delivery that has just reached a state; none while it waits.

    `wait`, in seconds, where the next host has just taken it.
    """
    if state in _PENDING:
        return []
    hour, caused = hour_of(sent_at), state in _CAUSED
    marks = [
        Mark(
            hour,
            stream,
            provider,
            state,
            (category or "") if caused else "",
            (fault or "") if caused else "",
        )
    ]
    if wait is not None:
        marks.append(Mark(hour, stream, provider, ACCEPTED, wait=step_of(wait)))
    return marks


def note(tx: Connection, marks: Sequence[Mark], less: Sequence[Mark] = ()) -> None:
    """Count `marks`, and `less` no longer, when `tx` commits."""
    counts = Counter(marks)
    counts.subtract(less)
    changed = [[*mark, n] for mark, n in counts.items() if n]
    if changed:
        tx.execute(_APPEND, {"marks": orjson.dumps(changed).decode()})


def count(tx: Connection, ids: Sequence[str]) -> None:
    """Count deliveries that have just left the queue for a final state."""
    note(tx, _marks(tx, ids))


@contextmanager
def following(tx: Connection, ids: Sequence[str]) -> Iterator[None]:
    """Keep the counts true to whatever is done to these deliveries inside."""
    before = _marks(tx, ids)
    yield
    note(tx, _marks(tx, ids), less=before)


def fold(tx: Connection, *, most: int = 1_000) -> int:
    """Add the changes of commits to the counts; of how many, fewer than `most` once of all."""
    some = select(cohort_changes.c.seq).order_by(cohort_changes.c.seq).limit(most)
    taken = tx.execute(
        delete(cohort_changes)
        .where(cohort_changes.c.seq.in_(some.with_for_update(skip_locked=True)))
        .returning(cohort_changes.c.marks)
    ).scalars()
    sums: Counter[tuple[Any, ...]] = Counter()
    commits = 0
    for marks in taken:
        commits += 1
        for *key, n in orjson.loads(marks):
            sums[tuple(key)] += n
    _add(tx, [dict(zip(KEYS, key, strict=True)) | {"n": n} for key, n in sorted(sums.items()) if n])
    return commits


def _add(tx: Connection, rows: list[dict[str, Any]]) -> None:
    if rows:
        dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
        add = dialect.insert(cohorts)
        total = {"n": cohorts.c.n + add.excluded.n}
        tx.execute(add.on_conflict_do_update(index_elements=list(KEYS), set_=total), rows)


def forget(tx: Connection, before: float, *, most: int = 1_000) -> int:
    """Drop the counts of hours that ended before a time; at most `most` hours at once."""
    old = select(cohorts.c.hour).where(cohorts.c.hour < hour_of(before)).distinct().limit(most)
    gone: CursorResult[Any] = tx.execute(delete(cohorts).where(cohorts.c.hour.in_(old)))
    return max(0, gone.rowcount)


@dataclass(frozen=True, slots=True)
class Span:
    """Deliveries of `since <= sent < until`, of one stream or provider where it is named."""

    since: float
    until: float
    stream: str | None = None
    provider: str | None = None


def read(
    tx: Connection, span: Span, *by: str, outcomes: Sequence[str] | None = None
) -> list[tuple[Any, ...]]:
    """(*by, n) of the whole hours of a span: `by` are names of columns of `cohorts`.

    `outcomes`: only these.

    The span is taken to begin and to end with an hour.  One statement reads both tables, so that no
    change is seen twice, or not at all, when it is folded meanwhile.
    """
    c = cohorts.c
    held = [c.hour >= hour_of(span.since), c.hour < math.ceil(span.until / HOUR)]
    held += [c[key] == getattr(span, key) for key in _NAMED if _asks(span, key)]
    if outcomes is not None:
        held.append(c.outcome.in_(outcomes))
    keys = [c[key] for key in by]
    total = cast(func.sum(c.n), BigInteger)
    folded = select(*keys, total, cast(null(), Text)).where(*held).group_by(*keys)
    nothing = [cast(null(), key.type) for key in keys]
    waiting = select(*nothing, cast(null(), BigInteger), cohort_changes.c.marks)
    found: Counter[tuple[Any, ...]] = Counter()
    places = [KEYS.index(key) for key in by]
    for *key, n, marks in tx.execute(union_all(folded, waiting)):
        if marks is None:
            found[tuple(key)] += n
        else:
            for *whole, change in orjson.loads(marks):
                if _within(span, whole) and (outcomes is None or whole[_OUTCOME] in outcomes):
                    found[tuple(whole[place] for place in places)] += change
    return [(*key, n) for key, n in found.items() if n]


def _within(span: Span, key: list[Any]) -> bool:
    return (
        hour_of(span.since) <= key[0] < math.ceil(span.until / HOUR)
        and span.stream in (None, key[1])
        and span.provider in (None, key[2])
    )


def recount(tx: Connection, span: Span) -> Counter[Mark]:
    """The same from the deliveries themselves, without `ACCEPTED`: for spans that cut an hour."""
    d, hour = deliveries.c, _hour(tx)
    keys = (hour, d.stream, d.provider, d.state, d.category, d.fault)
    query = select(*keys, func.count()).select_from(_SENT).where(_sent(span), *_asked(span))
    found: Counter[Mark] = Counter()
    for at, stream, provider, state, category, fault, n in tx.execute(query.group_by(*keys)):
        for mark in settled(at * HOUR, stream, provider, state, category=category, fault=fault):
            found[mark] += n
    return found


def pending(tx: Connection, span: Span) -> Counter[tuple[int, str, str, str]]:
    """How many wait, by hour, stream, provider and state."""
    d, hour = deliveries.c, _hour(tx)
    found: Counter[tuple[int, str, str, str]] = Counter()
    for state in _PENDING:  # one by one: each has an index of its own
        query = select(hour, d.stream, d.provider, func.count()).select_from(_SENT)
        query = query.where(d.state == state, *_asked(span))
        query = query.where(span.since <= _SENT_AT, span.until > _SENT_AT)
        for at, stream, provider, n in tx.execute(query.group_by(hour, d.stream, d.provider)):
            found[int(at), stream, provider, state] += n
    return found


_SENT = deliveries.join(messages, messages.c.id == deliveries.c.message_id)
_SENT_AT = func.coalesce(messages.c.send_at, deliveries.c.created_at)
_FACTS = select(
    _SENT_AT.label("sent_at"),
    deliveries.c.stream,
    deliveries.c.provider,
    deliveries.c.state,
    deliveries.c.category,
    deliveries.c.fault,
).select_from(_SENT)
_COUNTED = deliveries.c.probe.is_(None)
_APPEND = insert(cohort_changes)


def _hour(tx: Connection) -> Any:
    hours = _SENT_AT / HOUR
    if tx.dialect.name == "postgresql":  # whose CAST rounds, where SQLite's cuts
        hours = func.floor(hours)
    return cast(hours, Integer)


def _sent(span: Span) -> Any:
    """By the messages' own times, which have indexes."""
    m = messages.c
    return or_(
        and_(m.send_at.is_(None), m.created_at >= span.since, m.created_at < span.until),
        and_(m.send_at.is_not(None), m.send_at >= span.since, m.send_at < span.until),
    )


def _asked(span: Span) -> list[Any]:
    named = [key for key in _NAMED if _asks(span, key)]
    return [_COUNTED, *(deliveries.c[key] == getattr(span, key) for key in named)]


def _asks(span: Span, key: str) -> bool:
    return getattr(span, key) is not None


def _marks(tx: Connection, ids: Sequence[str]) -> list[Mark]:
    marks: list[Mark] = []
    for chunk in chunks(list(ids), IN_LIMIT):
        for row in tx.execute(_FACTS.where(deliveries.c.id.in_(chunk), _COUNTED)):
            sent_at, stream, provider, state, category, fault = row
            marks += settled(sent_at, stream, provider, state, category=category, fault=fault)
    return marks

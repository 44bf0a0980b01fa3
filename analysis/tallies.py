"""Tallies: how providers answered lately, by the minute and by the hour, of all processes together.

Owns two tables.  `tallies` counts answers by provider, outcome, fault and category; `refusals`
keeps what was said, by what is alike in the words, with the first and newest delivery.  A process
collects in memory (`Collected`, bounded) and adds every few seconds in one short transaction, so
that counting costs nothing for each delivery; what a crash loses is those seconds.  Minutes are
kept for the judgement of incidents, hours for what is usual.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from analysis.radar import fingerprint
from analysis.reply import Reply
from analysis.schema import refusals, tallies

MINUTE, HOUR = 60, 3_600
MINUTES_KEPT = 2 * HOUR
HOURS_KEPT = 9 * 24 * HOUR
WORDS_KEPT = 24 * HOUR

MOST_WORDINGS = 8
"""Wordings that a process tells of one provider and category at a time."""
MOST_LOOKED_AT = 200
"""Replies of one provider and category of which a process reads the words at a time: to see what is
alike in a thousand blocks a second would cost a tenth of them."""
MOST_SHOWN = 300
"""Characters of an example."""


class Outcome(StrEnum):
    ACCEPTED = "accepted"
    REFUSED = "refused"
    DEFERRED = "deferred"  # or in doubt
    CONDEMNED = "condemned"  # beside `refused`, or by a report: the address is to be suppressed
    REPORTED = "reported"  # a bounce that came after the acceptance


@dataclass(frozen=True, slots=True, order=True)
class Key:
    provider: str
    outcome: Outcome
    fault: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True)
class Wording:
    """Replies of one wording: how many were looked at, the newest of them, addresses masked."""

    fault: str
    seen: int
    first_at: float
    last_at: float
    first_delivery: str | None
    last_delivery: str | None
    example: str


@dataclass(slots=True)
class Collected:
    """What one process has counted and not yet written; bounded by closed sets of labels."""

    counts: Counter[tuple[int, Key]] = field(default_factory=Counter)  # by minute
    words: dict[tuple[str, str, str], Wording] = field(default_factory=dict)
    _wordings: Counter[tuple[str, str]] = field(default_factory=Counter)
    _looked_at: Counter[tuple[str, str]] = field(default_factory=Counter)

    def count(self, at: float, key: Key) -> None:
        self.counts[int(at) // MINUTE, key] += 1

    def heard(self, at: float, key: Key, reply: Reply, delivery_id: str | None) -> None:
        """Remember what was said, if it is one of the first; so many wordings, so many replies."""
        about = (key.provider, key.category)
        if self._looked_at[about] >= MOST_LOOKED_AT:
            return
        self._looked_at[about] += 1
        print_ = fingerprint(reply.text) or f"({reply.code})"
        known = self.words.get((*about, print_))
        if known is None:
            if self._wordings[about] >= MOST_WORDINGS:
                return
            self._wordings[about] += 1
            known = Wording(key.fault, 0, at, at, delivery_id, delivery_id, "")
        self.words[*about, print_] = replace(
            known,
            seen=known.seen + 1,
            last_at=at,
            last_delivery=delivery_id,
            example=shown(reply),
        )

    def join(self, later: Collected) -> None:
        """Take in what was counted since; words that are known already are the newer ones."""
        self.counts.update(later.counts)
        for key, one in later.words.items():
            known = self.words.get(key)
            if known is not None:
                self.words[key] = replace(
                    one,
                    seen=one.seen + known.seen,
                    first_at=known.first_at,
                    first_delivery=known.first_delivery,
                )
            elif self._wordings[key[:2]] < MOST_WORDINGS:
                self._wordings[key[:2]] += 1
                self.words[key] = one

    def __bool__(self) -> bool:
        return bool(self.counts)


def shown(reply: Reply) -> str:
    """The remote's own words, without addresses."""
    words = " ".join(_masked(word) for word in str(reply)[: 2 * MOST_SHOWN].split())
    return words[:MOST_SHOWN]


def _masked(word: str) -> str:
    return "(address)" if "@" in word else word


def add(tx: Connection, collected: Collected) -> None:
    """Add what a process has counted, in the order of keys, so that two never wait in a ring."""
    rows: Counter[tuple[int, int, Key]] = Counter()
    for (minute, key), count in collected.counts.items():
        rows[MINUTE, minute, key] += count
        rows[HOUR, minute * MINUTE // HOUR, key] += count
    if rows:
        _add(
            tx,
            tallies,
            [_tally_row(*row, count) for row, count in sorted(rows.items())],
            {"count": tallies.c.count},
        )
    if collected.words:
        _add(
            tx,
            refusals,
            [_word_row(key, one) for key, one in sorted(collected.words.items(), key=_first)],
            {"seen": refusals.c.seen},
            newest=("fault", "last_at", "last_delivery", "example"),
        )


def _first(pair: tuple[tuple[str, str, str], Wording]) -> tuple[str, str, str]:
    return pair[0]


def _tally_row(span: int, slot: int, key: Key, count: int) -> dict[str, Any]:
    return {
        "span": span,
        "slot": slot,
        "provider": key.provider,
        "outcome": key.outcome.value,
        "fault": key.fault,
        "category": key.category,
        "count": count,
    }


def _word_row(key: tuple[str, str, str], one: Wording) -> dict[str, Any]:
    provider, category, print_ = key
    return {
        "provider": provider,
        "category": category,
        "fingerprint": print_,
        "fault": one.fault,
        "seen": one.seen,
        "first_at": one.first_at,
        "last_at": one.last_at,
        "first_delivery": one.first_delivery,
        "last_delivery": one.last_delivery,
        "example": one.example,
    }


def _add(
    tx: Connection,
    table: Any,
    rows: list[dict[str, Any]],
    sums: Mapping[str, Any],
    newest: tuple[str, ...] = (),
) -> None:
    """Insert, or add to what is there; of the rest the newest stands."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    changes = {name: statement.excluded[name] for name in newest}
    changes |= {name: column + statement.excluded[name] for name, column in sums.items()}
    keys = [column.name for column in table.primary_key.columns]
    tx.execute(statement.on_conflict_do_update(index_elements=keys, set_=changes), rows)


def totals(tx: Connection, now: float, window: float) -> Counter[Key]:
    """How often each answer was heard within the last `window` seconds."""
    span = MINUTE if window <= HOUR else HOUR  # the longer ones may be off by part of an hour
    t = tallies.c
    rows = tx.execute(
        select(t.provider, t.outcome, t.fault, t.category, func.sum(t.count))
        .where(t.span == span, t.slot > (now - window) // span)
        .group_by(t.provider, t.outcome, t.fault, t.category)
    )
    return Counter(
        {
            Key(provider, Outcome(outcome), fault, category): int(count)
            for provider, outcome, fault, category, count in rows
        }
    )


def wordings(
    tx: Connection, provider: str, categories: frozenset[str], *, since: float, most: int
) -> list[tuple[str, Wording]]:
    """What a provider, or any (''), said in these categories, most often first: category and
    wording."""
    r = refusals.c
    where = [r.category.in_(sorted(categories)), r.last_at >= since]
    if provider:
        where.append(r.provider == provider)
    rows = tx.execute(
        select(refusals).where(*where).order_by(r.seen.desc(), r.fingerprint).limit(most)
    )
    return [
        (
            row.category,
            Wording(
                row.fault,
                row.seen,
                row.first_at,
                row.last_at,
                row.first_delivery,
                row.last_delivery,
                row.example,
            ),
        )
        for row in rows
    ]


def forget(tx: Connection, now: float) -> None:
    """Drop what no judgement asks for any more."""
    for span, kept in ((MINUTE, MINUTES_KEPT), (HOUR, HOURS_KEPT)):
        old = tallies.c.slot < (now - kept) // span
        tx.execute(delete(tallies).where(tallies.c.span == span, old))
    tx.execute(delete(refusals).where(refusals.c.last_at < now - WORDS_KEPT))

"""Reputation: complaints and bounces as receivers count them, against the limits they publish.

Counted from the deliveries themselves, which are durable and corrected as reports arrive: of the
mail that a provider accepted within a day, how much was complained about; of what was tried there,
how many addresses were dead.  A provider with too little mail in a day is counted over a week; a
ratio with too small a denominator is shown and judged by nobody (`too_few`).

Limits lie in reputation.toml, each with its source.  Results are kept in a table, so that a scrape
and `/v1/reputation` cost nothing; `measure` is the duty that renews them.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, case, delete, func, select

from analysis import incidents as book
from analysis.ids import first_id
from analysis.incident_policy import Policy
from analysis.incidents import Change, Place
from analysis.lifecycle import State
from analysis.providers import PROVIDERS
from analysis.schema import deliveries, reputation
from analysis.store import upsert

DAY = 86_400.0
WEEK = 7 * DAY
KIND = "complaints"
_DEAD = ("bad_mailbox", "mailbox_disabled", "bad_domain")


@dataclass(frozen=True, slots=True)
class Limit:
    warn: float
    limit: float
    source: str
    note: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One ratio of one provider."""

    provider: str
    measure: str  # complaints | bounces
    numerator: int
    denominator: int
    since: float
    at: float

    @property
    def ratio(self) -> float:
        return self.numerator / self.denominator if self.denominator else 0.0

    @property
    def state(self) -> str:
        """ok | warn | over | too_few"""
        limit, volume = limit_of(self.provider, self.measure), _shipped()["volume"]
        if self.denominator < volume["least"] or self.numerator < volume["least_events"]:
            enough = self.denominator >= volume["least"]
            return "ok" if enough else "too_few"
        if self.ratio >= limit.limit:
            return "over"
        return "warn" if self.ratio >= limit.warn else "ok"


def limit_of(provider: str, measure: str) -> Limit:
    """The limit that a provider publishes, or the one taken in its place."""
    table = _shipped()[measure]
    return Limit(**table.get(provider, table["default"]))


@functools.cache
def _shipped() -> Mapping[str, Any]:
    text = Path(__file__).with_name("reputation.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def measure(tx: Connection, now: float) -> list[Measured]:
    """Count every provider over a day, those with little mail over a week."""
    found = _counted(tx, now, DAY)
    least = _shipped()["volume"]["least"]
    if any(one.denominator < least for one in found.values()):
        week = _counted(tx, now, WEEK)
        found = {k: found[k] if _enough(found.get(k), least) else week[k] for k in week}
    return [found[key] for key in sorted(found)]


def _enough(one: Measured | None, least: int) -> bool:
    return one is not None and one.denominator >= least


def _counted(tx: Connection, now: float, window: float) -> dict[tuple[str, str], Measured]:
    d = deliveries.c
    since = now - window
    accepted = d.accepted_at.is_not(None)
    complained = d.state == State.COMPLAINED.value
    dead = (d.state == State.BOUNCED.value) & d.category.in_(_DEAD)
    ended = d.state.in_(
        [s.value for s in (State.DELIVERED, State.BOUNCED, State.EXPIRED, State.COMPLAINED)]
    )
    rows = tx.execute(
        select(
            d.provider,
            *(func.sum(case((which, 1), else_=0)) for which in (complained, accepted, dead, ended)),
        )
        .where(d.id >= first_id(since), d.created_at >= since, d.probe.is_(None))
        .group_by(d.provider)
    )
    found = {}
    for provider, complaints, taken, bounces, tried in rows:
        for name, part, whole in (("complaints", complaints, taken), ("bounces", bounces, tried)):
            one = Measured(provider, name, int(part), int(whole), since, now)
            found[provider, name] = one
    return found


def follow(
    tx: Connection,
    policy: Policy,
    measured: Sequence[Measured],
    *,
    now: float,
    new_id: Callable[[], str],
) -> list[Change]:
    """Keep the results; open an incident where complaints are over a limit, close it below."""
    keep(tx, measured, now)
    changes: list[Change] = []
    for one in measured:
        if one.measure == "complaints":
            changes += _judge(tx, policy, one, now, new_id)
    return changes


def _judge(
    tx: Connection, policy: Policy, one: Measured, now: float, new_id: Callable[[], str]
) -> list[Change]:
    """Closed only well below: under the warning, or with too little mail to say."""
    place = Place(KIND, one.provider)
    known = book.last_of(tx, place)
    if known is not None and known[1].open:
        if one.state in ("over", "warn"):
            return []
        return book.close(tx, place, known[0], "complaints are below the warning again", now=now)
    if one.state != "over":
        return []
    limit = limit_of(one.provider, one.measure)
    proof = {
        "complaints": one.numerator,
        "accepted": one.denominator,
        "ratio": round(one.ratio, 6),
        "limit": limit.limit,
        "source": limit.source,
        "seconds": one.at - one.since,
    }
    return book.begin(tx, policy, place, proof, now=now, new_id=new_id)


def keep(tx: Connection, measured: Iterable[Measured], now: float) -> None:
    """Put results of `now` in the place of the last ones."""
    rows = [
        {
            "provider": one.provider,
            "measure": one.measure,
            "numerator": one.numerator,
            "denominator": one.denominator,
            "since": one.since,
            "at": one.at,
        }
        for one in measured
    ]
    upsert(tx, reputation, rows, keys=("provider", "measure"))
    tx.execute(delete(reputation).where(reputation.c.at < now))


def newest(tx: Connection) -> list[Measured]:
    """The newest results, by provider in the order of the closed set."""
    rows = tx.execute(
        select(
            reputation.c.provider,
            reputation.c.measure,
            reputation.c.numerator,
            reputation.c.denominator,
            reputation.c.since,
            reputation.c.at,
        )
    )
    found = [Measured(*row) for row in rows]
    place = {provider: n for n, provider in enumerate(PROVIDERS)}
    return sorted(found, key=lambda one: (place.get(one.provider, len(place)), one.measure))

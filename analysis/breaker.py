"""The breaker: when far too many addresses die at once, none of them is suppressed for it yet.

A provider that answers "no such user" to everybody for ten minutes has a fault, or our rules have;
its word must not empty a list.  Then an incident of kind `suppressions` opens, and as long as it is
open hard bounces of that provider are held (`analysis.held`): facts are recorded, deliveries
bounce, nobody is suppressed.  It closes when deaths are as usual again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from analysis import incidents as book
from analysis import tallies
from analysis.held import KIND, frozen, take_back
from analysis.incident_policy import ALL, ANSWERED, Do, Last, Policy, again, settled
from analysis.incidents import Change, Place
from analysis.schema import incidents
from analysis.suppression import DAY
from analysis.tallies import Key, Outcome
from analysis.verdict import Category


@dataclass(frozen=True, slots=True)
class Spike:
    """What is too much at once."""

    window: float = 600.0
    least: int = 50  # dead addresses in the window: small lists have bad days too
    share: float = 0.10  # of all answers; published limits for bounces lie at 5 and 10 %
    times: float = 5.0  # the usual share
    most: float = 0.90  # where the usual share is already beyond reason
    usual: float = DAY
    # Without a past nobody knows what is usual: the first mailing of an old list is full of deaths.
    past: int = 1_000  # answers before the window that make a past
    least_at_first: int = 200
    share_at_first: float = 0.80

    def limit(self, usual: float | None) -> float:
        """The share that is too much where `usual` is usual; None: there is no past."""
        if usual is None:
            return self.share_at_first
        return min(self.most, max(self.share, self.times * usual))

    def fewest(self, usual: float | None) -> int:
        return self.least_at_first if usual is None else self.least


@dataclass(frozen=True, slots=True)
class Deaths:
    """Dead addresses among the answers of a provider."""

    answered: int = 0
    dead: int = 0

    @property
    def share(self) -> float:
        return self.dead / max(self.answered, self.dead, 1)

    def without(self, other: Deaths) -> Deaths:
        return Deaths(max(0, self.answered - other.answered), max(0, self.dead - other.dead))


def judge(
    policy: Policy,
    spike: Spike,
    now: float,
    recent: Deaths,
    usual: float | None,
    last: Last | None,
) -> Do | None:
    """Whether to freeze, or to thaw; `usual` is the share before, None where there is no past.

    Thaws when deaths are well below the limit again, having been frozen for a while.
    """
    if last is not None and last.open:
        calm = recent.share < spike.limit(usual) / 2 or recent.dead < spike.fewest(usual) / 5
        return Do.CLOSE if calm and settled(policy, now, last) else None
    if last is not None and last.muted_until is not None and now < last.muted_until:
        return None
    if recent.dead < spike.fewest(usual) or recent.share < spike.limit(usual):
        return None
    if last is not None and last.closed_at is not None and now - last.closed_at < spike.window:
        return None  # the same deaths
    return again(policy, now, last)


Seen = tuple[Mapping[str, Deaths], Mapping[str, Deaths]]
"""Deaths by provider, lately and in a day."""


def look(tx: Connection, spike: Spike, now: float) -> Seen:
    """What `judge_all` goes by."""
    lately = tallies.totals(tx, now, spike.window)
    return _deaths(lately), _deaths(tallies.totals(tx, now, spike.usual))


def judge_all(
    tx: Connection,
    policy: Policy,
    spike: Spike,
    seen: Seen,
    *,
    now: float,
    new_id: Callable[[], str],
) -> list[Change]:
    """Judge every provider, and all together; takes back what a spike has already done."""
    recent, day = seen
    changes: list[Change] = []
    for provider in sorted({*recent, *frozen(tx)} - {ALL}):
        now_dead, before = recent.get(provider, Deaths()), day.get(provider, Deaths())
        changes += _judge(tx, policy, spike, provider, now_dead, before, now, new_id)
    changes += _judge_rest(tx, policy, spike, recent, day, now, new_id)
    for provider, incident_id in frozen(tx).items():
        take_back(tx, provider, incident_id, spike.window)
    return changes


def _judge_rest(
    tx: Connection,
    policy: Policy,
    spike: Spike,
    recent: Mapping[str, Deaths],
    day: Mapping[str, Deaths],
    now: float,
    new_id: Callable[[], str],
) -> list[Change]:
    """All providers together, without those whose deaths have an incident or a decision."""
    rest = set(recent) - _spoken_for(tx, spike, now)
    seen, before = _sum(recent, rest), _sum(day, rest)
    return _judge(tx, policy, spike, ALL, seen, before, now, new_id)


def _spoken_for(tx: Connection, spike: Spike, now: float) -> set[str]:
    i = incidents.c
    lately = (i.state == "open") | (i.closed_at > now - spike.window) | (i.muted_until > now)
    return set(tx.execute(select(i.provider).where(i.kind == KIND, lately)).scalars())


def _sum(deaths: Mapping[str, Deaths], providers: Iterable[str]) -> Deaths:
    found = [deaths[provider] for provider in providers if provider in deaths]
    return Deaths(sum(one.answered for one in found), sum(one.dead for one in found))


def _judge(
    tx: Connection,
    policy: Policy,
    spike: Spike,
    provider: str,
    recent: Deaths,
    day: Deaths,
    now: float,
    new_id: Callable[[], str],
) -> list[Change]:
    place = Place(KIND, provider)
    known = book.last_of(tx, place)
    before = day.without(recent)
    usual = before.share if before.answered >= spike.past else None
    if known is not None and known[1].open:
        usual = book.find(tx, known[0]).evidence.get("usual_share", usual)
    do = judge(policy, spike, now, recent, usual, known and known[1])
    match do:
        case Do.CLOSE if known is not None:
            return book.close(tx, place, known[0], "deaths are as usual again", now=now)
        case Do.OPEN | Do.REOPEN:
            incident = known[0] if known is not None and do is Do.REOPEN else None
            return book.open_(
                tx,
                place,
                policy.kinds[KIND].fault,
                _evidence(tx, spike, provider, recent, usual, now),
                now=now,
                new_id=new_id,
                old=incident,
            )
        case _:
            return []


def _evidence(
    tx: Connection, spike: Spike, provider: str, recent: Deaths, usual: float | None, now: float
) -> book.Json:
    said = tallies.wordings(
        tx,
        "" if provider == ALL else provider,
        DEAD,
        since=now - spike.window,
        most=book.MOST_REPLIES,
    )
    return {
        "windows": [
            {
                "seconds": spike.window,
                "answered": recent.answered,
                "dead": recent.dead,
                "share": round(recent.share, 4),
            }
        ],
        "usual_share": usual,
        "limit_share": round(spike.limit(usual), 4),
        "replies": [
            {"text": w.example, "category": c, "seen": w.seen, "delivery_id": w.last_delivery}
            for c, w in said
        ],
    }


DEAD = frozenset({Category.BAD_MAILBOX.value, Category.MAILBOX_DISABLED.value, "bad_domain"})
"""Categories of which one answer condemns an address."""


def _deaths(counter: Counter[Key]) -> dict[str, Deaths]:
    found: dict[str, list[int]] = {}
    for key, count in counter.items():
        sums = found.setdefault(key.provider, [0, 0])
        sums[0] += count * (key.outcome in ANSWERED)
        sums[1] += count * (key.outcome is Outcome.CONDEMNED)
    return {provider: Deaths(*sums) for provider, sums in found.items()}

"""The queue: what is due, and who takes it.

`claim` takes due deliveries for one node: state `sending`, a lease, an epoch one higher, an
attempt row opened, all in one transaction that ends before anything goes to the network.
What is due to a site that is held back is put off instead, without an attempt.  `prepare` reads
what sending a claim needs, in one read for many.

How long a claim is held is kept by `sender.leases`, what came of it is written by
`sender.record`, and what ends without a claim by `sender.unsent`.  All of it is plain work on a
`Connection`; nothing here knows SMTP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

from analysis.lifecycle import Fact, State, advance
from analysis.schema import attempts, bodies, deliveries, messages
from analysis.store import IN_LIMIT, chunks
from analysis.suppression import Question, Suppression, ask
from sender.places import Held, Places, Sites
from sender.submit import RANKS

MOST_LOOKS = 8
"""How often one claim looks past domains that have just had their share."""
SHARE = 10
"""One in so many of a claim is for each less urgent class, so that none waits for ever."""
MOST_FULL = 4
"""Lists of `IN_LIMIT` domains without a place that one look leaves out; more are passed over."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that this node holds until `lease_until`."""

    delivery_id: str
    message_id: str
    epoch: int
    recipient: str
    address_hash: bytes
    domain: str
    stream: str
    rank: int
    promised_at: float  # when it could first be sent: accepted, or the time asked for
    deadline: float
    attempts: int
    return_path: str
    from_address: str
    due_at: float
    require_tls: bool = False
    probe: str | None = None  # placement | canary: our own
    ours: Callable[[], bool] = field(default=lambda: True, compare=False, repr=False)  # still held


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the database knows of a claim just before it is sent."""

    content: bytes | None  # composed, unsigned; None when retention has taken it
    withheld: Suppression | None


def claim(
    tx: Connection,
    *,
    node: str,
    now: float,
    lease: float,
    limit: int,
    per_domain: int = 1_000_000,
    under_way: Mapping[str, int] = MappingProxyType({}),
    sites: Sites | None = None,
) -> list[Claim]:
    """At most `limit` due deliveries, the most urgent class first, with a share for the others.

    No domain gets more than `per_domain`, counting those that are `under_way` to it already, and no
    site more than `sites` says; what it says is held is put off until then.  On PostgreSQL rows
    that another node is claiming are skipped, not waited for.
    """
    picked: list[str] = []
    places = Places(per_domain, under_way, sites, now)
    share = limit // SHARE
    cut_short: list[int] = []
    for below, rank in zip(range(len(RANKS) - 1, -1, -1), RANKS.values(), strict=True):
        wanted = limit - share * below - len(picked)
        found = _due(tx, rank, now, wanted, places) if wanted else []
        picked += found
        if len(found) == wanted:
            cut_short.append(rank)
    for rank in cut_short:
        if len(picked) < limit:
            picked += _due(tx, rank, now, limit - len(picked), places, picked)
    return _take(tx, picked, node, now, lease) if picked else []


def _due(
    tx: Connection,
    rank: int,
    now: float,
    limit: int,
    places: Places,
    passed: Sequence[str] = (),
) -> list[str]:
    """Ids in the order they came due, but for `passed`; without domains that have no place."""
    picked: list[str] = []
    for _ in range(MOST_LOOKS):
        full = chunks(sorted(places.full), IN_LIMIT)[:MOST_FULL]
        known = [*passed, *picked]
        wanted = limit - len(picked)
        asked = {"of_rank": rank, "now": now, "most": wanted, "known": known}
        asked |= {f"full{n}": some for n, some in enumerate(full)}
        found = tx.execute(_next(len(full), bool(known)), asked).all()
        held = [(row.id, why) for row in found if (why := places.held(row.domain)) is not None]
        _put_off(tx, held)
        waiting = {delivery_id for delivery_id, _ in held}
        picked += [r.id for r in found if r.id not in waiting and places.take(r.domain)]
        if len(found) < wanted or len(picked) == limit:
            break
    return picked


@cache  # a poll of an empty queue costs less than to say its question anew
def _next(full: int, known: bool) -> Select[tuple[str, str]]:
    """What is due of a class, without `full` lists of domains and maybe without some ids."""
    query = select(deliveries.c.id, deliveries.c.domain).where(_due_of(bindparam("of_rank")))
    for n in range(full):
        query = query.where(deliveries.c.domain.not_in(bindparam(f"full{n}", expanding=True)))
    if known:
        query = query.where(deliveries.c.id.not_in(bindparam("known", expanding=True)))
    query = query.order_by(deliveries.c.next_at).limit(bindparam("most"))
    return query.with_for_update(skip_locked=True)


def _due_of(rank: Any) -> ColumnElement[bool]:
    return and_(
        deliveries.c.state == State.QUEUED.value,
        deliveries.c.rank == rank,
        deliveries.c.next_at <= bindparam("now"),
        deliveries.c.deadline > bindparam("now"),
    )


_ANY = select(or_(*(select(deliveries.c.id).where(_due_of(r)).exists() for r in RANKS.values())))


def due(tx: Connection, now: float) -> bool:
    """Whether anything is: asked without a claim's locks, nor SQLite's writer."""
    return bool(tx.execute(_ANY, {"now": now}).scalar_one())


def _put_off(tx: Connection, held: Sequence[tuple[str, Held]]) -> None:
    """Let deliveries wait until their site may be written to; the row says why."""
    if held:
        tx.execute(
            _PUT_OFF,
            [
                {
                    "delivery": delivery_id,
                    "until": why.until,
                    "why": why.verdict.evidence,
                    "new_category": why.verdict.category.value,
                    "new_fault": why.verdict.fault.value,
                    "new_rule": why.verdict.rule,
                }
                for delivery_id, why in held
            ],
        )


_PUT_OFF = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("delivery"), deliveries.c.state == State.QUEUED.value)
    .values(
        next_at=bindparam("until"),
        code=None,
        enhanced=None,
        reply=bindparam("why"),
        category=bindparam("new_category"),
        fault=bindparam("new_fault"),
        rule=bindparam("new_rule"),
    )
)


_CLAIMED = (  # in the order of the fields of `Claim`: taken by place, which is quicker
    deliveries.c.id.label("delivery_id"),
    deliveries.c.message_id,
    deliveries.c.epoch,
    deliveries.c.recipient,
    deliveries.c.address_hash,
    deliveries.c.domain,
    deliveries.c.stream,
    deliveries.c.rank,
    func.coalesce(messages.c.send_at, deliveries.c.created_at).label("promised_at"),
    deliveries.c.deadline,
    deliveries.c.attempts,
    deliveries.c.return_path,
    messages.c.from_address,
    deliveries.c.next_at.label("due_at"),
    messages.c.require_tls,
    deliveries.c.probe,
)


def _take(tx: Connection, picked: list[str], node: str, now: float, lease: float) -> list[Claim]:
    claims: list[Claim] = []
    for chunk in chunks(picked, IN_LIMIT):
        tx.execute(
            update(deliveries)
            .where(deliveries.c.id.in_(chunk))
            .values(
                state=advance(State.QUEUED, Fact.CLAIMED).value,
                lease_until=now + lease,
                node=node,
                epoch=deliveries.c.epoch + 1,
            )
        )
        rows: Any = tx.execute(
            select(*_CLAIMED)
            .join(messages, messages.c.id == deliveries.c.message_id)
            .where(deliveries.c.id.in_(chunk))
        )
        claims += [Claim(*row) for row in rows.all()]
    claims.sort(key=lambda c: (c.rank, c.due_at))
    tx.execute(
        insert(attempts),
        [
            {"delivery_id": c.delivery_id, "epoch": c.epoch, "node": node, "started_at": now}
            for c in claims
        ],
    )
    return claims


def prepare(tx: Connection, claims: Sequence[Claim], now: float) -> list[Prepared]:
    """The content of each claim, and the suppression list's word on it, asked once more."""
    contents: dict[str, bytes] = {}
    for chunk in chunks(sorted({c.message_id for c in claims}), IN_LIMIT):
        rows = tx.execute(
            select(bodies.c.message_id, bodies.c.content).where(bodies.c.message_id.in_(chunk))
        )
        contents.update((message_id, bytes(content)) for message_id, content in rows.all())
    withheld = ask(tx, [Question(c.address_hash, c.stream, c.delivery_id) for c in claims], now)
    return [
        Prepared(contents.get(c.message_id), entry)
        for c, entry in zip(claims, withheld, strict=True)
    ]

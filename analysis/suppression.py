"""The suppression list: whom not to write to, why, since when, until when.

A row is one reason to withhold mail from one address, in one stream or in all (`*`).  Rows with
different reasons live side by side, so that lifting a bounce never lifts a complaint.  Asked at
submit and once more just before sending.  Every change is audited in the same transaction.

Only positive knowledge gets here: a hard fault of the recipient or its domain, soft ones on
several distinct days (`analysis.soft_marks`), a complaint, an unsubscribe, or a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    delete,
    func,
    literal,
    or_,
    select,
    tuple_,
)

from analysis import audit, keyed_hash, soft_marks
from analysis.events import announce, event
from analysis.schema import suppressions
from analysis.store import IN_LIMIT, chunks, upsert
from analysis.verdict import Category

EVERY_STREAM = "*"
DAY = 86_400.0


class Reason(StrEnum):
    HARD_BOUNCE = "hard_bounce"
    SOFT_BOUNCE = "soft_bounce"  # repeated, on distinct days
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds for which each reason withholds (None: until lifted); what counts as repeated."""

    # A dead address may be given to somebody else; a year is what providers wait at least.
    hard_bounce: float | None = 365 * DAY
    soft_bounce: float | None = 7 * DAY
    # A lapsed or mistyped domain is often mended within days.
    bad_domain: float | None = 7 * DAY
    complaint: float | None = None
    unsubscribe: float | None = None
    manual: float | None = None
    soft_days: int = 3  # distinct days with a soft bounce ...
    soft_window: float = 14 * DAY  # ... within this time
    everywhere: frozenset[str] = frozenset()  # streams whose complaints and unsubscribes reach all

    def reach(self, stream: str) -> str:
        """How far a complaint about this stream, or an unsubscribe from it, goes."""
        return EVERY_STREAM if stream in self.everywhere else stream

    def until(self, reason: Reason, now: float, category: str | None = None) -> float | None:
        """When an entry made now runs out; None: never."""
        lasting: float | None = getattr(self, reason.value)
        if reason is Reason.HARD_BOUNCE and category == Category.BAD_DOMAIN:
            lasting = self.bad_domain
        return None if lasting is None else now + lasting


@dataclass(frozen=True, slots=True)
class Suppression:
    address_hash: bytes
    stream: str
    reason: Reason
    address: str | None
    since: float
    until: float | None
    evidence: str
    actor: str
    category: str | None = None
    rule: str | None = None
    delivery_id: str | None = None
    probed_by: str | None = None  # the delivery it lets through, `analysis.half_open`


@dataclass(frozen=True, slots=True)
class Question:
    """May we write to this address in this stream?"""

    address_hash: bytes
    stream: str
    delivery_id: str | None = None  # which may be let through as a probe


_SELECT = select(
    suppressions.c.address_hash,
    suppressions.c.stream,
    suppressions.c.reason,
    suppressions.c.address,
    suppressions.c.since,
    suppressions.c.until,
    suppressions.c.evidence,
    suppressions.c.actor,
    suppressions.c.category,
    suppressions.c.rule,
    suppressions.c.delivery_id,
    suppressions.c.probed_by,
)

_WEIGHT = {
    reason: place
    for place, reason in enumerate(
        (
            Reason.MANUAL,
            Reason.COMPLAINT,
            Reason.UNSUBSCRIBE,
            Reason.HARD_BOUNCE,
            Reason.SOFT_BOUNCE,
        )
    )
}


_STANDING = _SELECT.where(
    suppressions.c.address_hash.in_(bindparam("hashes", expanding=True)),
    or_(suppressions.c.until.is_(None), suppressions.c.until > bindparam("now")),
)
"""Built once: asked for every recipient, and building it costs more than SQLite's answer."""


def _read(row: Any, asked: bytes | None = None) -> Suppression:
    """A row of `_SELECT`, whose columns stand in the order of the fields.

    `asked`: the hash that it answers to, where it may stand under the keyed form of it.
    """
    address_hash, stream, reason, *rest = row
    return Suppression(asked or address_hash, stream, Reason(reason), *rest)


def standing(tx: Connection, hashes: Iterable[bytes], now: float) -> dict[bytes, list[Suppression]]:
    """Every reason that stands against these addresses now, the weightiest first."""
    found: dict[bytes, list[Suppression]] = {}
    forms = keyed_hash.forms(tx, sorted(set(hashes)))
    for chunk in chunks(list(forms), IN_LIMIT):
        for row in tx.execute(_STANDING, {"hashes": chunk, "now": now}):
            asked = forms[bytes(row.address_hash)]
            found.setdefault(asked, []).append(_read(row, asked))
    for entries in found.values():
        by_weight(entries)
    return found


def by_weight(entries: list[Suppression]) -> None:
    """Put the weightiest reason first."""
    entries.sort(key=lambda entry: _WEIGHT[entry.reason])


def ask(tx: Connection, questions: Sequence[Question], now: float) -> list[Suppression | None]:
    """For each question the weightiest reason to withhold, or None to go ahead."""
    found = standing(tx, (question.address_hash for question in questions), now)
    return [
        applying((e for e in found.get(q.address_hash, ()) if not _probed(e, q)), q.stream)
        for q in questions
    ]


def _probed(entry: Suppression, question: Question) -> bool:
    return entry.probed_by is not None and entry.probed_by == question.delivery_id


def applying(entries: Iterable[Suppression], stream: str) -> Suppression | None:
    """The first entry that covers `stream`."""
    return next((entry for entry in entries if entry.stream in (EVERY_STREAM, stream)), None)


def let_through(
    tx: Connection, hashes: Iterable[bytes], deliveries: Iterable[str]
) -> list[Suppression]:
    """Entries on these addresses that one of the deliveries was let through by."""
    through = suppressions.c.probed_by.in_(sorted(deliveries))
    return [
        _read(row)
        for chunk in chunks(sorted(set(hashes)), IN_LIMIT)
        for row in tx.execute(_SELECT.where(suppressions.c.address_hash.in_(chunk), through))
    ]


def suppress(tx: Connection, entries: Sequence[Suppression], *, at: float | None = None) -> None:
    """Put entries on the list; one that is there is renewed.  Audited, with an event each.

    `at`: now, where the entries are older, as those of a list that is imported.
    """
    unique = {(e.address_hash, e.stream, e.reason): e for e in entries}
    if not unique:
        return
    rows = [
        {
            "address_hash": e.address_hash,
            "stream": e.stream,
            "reason": e.reason.value,
            "address": e.address,
            "since": e.since,
            "until": e.until,
            "evidence": e.evidence,
            "category": e.category,
            "rule": e.rule,
            "delivery_id": e.delivery_id,
            "actor": e.actor,
        }
        for e in unique.values()
    ]
    upsert(tx, suppressions, rows, keys=("address_hash", "stream", "reason"))
    _note(tx, "suppress", list(unique.values()), at=at)


@dataclass(frozen=True, slots=True)
class Lift:
    """Take entries off: of one reason or of all, in one stream or in all."""

    address_hash: bytes
    actor: str
    why: str
    at: float
    reasons: frozenset[Reason] = field(default_factory=lambda: frozenset(Reason))
    stream: str | None = None


def lift(tx: Connection, order: Lift) -> list[Suppression]:
    """Returns what was lifted; lifting what is not there is no error and changes nothing."""
    forms = keyed_hash.forms(tx, [order.address_hash])
    matching = and_(
        suppressions.c.address_hash.in_(forms),
        suppressions.c.reason.in_([reason.value for reason in order.reasons]),
        *([suppressions.c.stream == order.stream] if order.stream is not None else []),
    )
    lifted = [_read(row, order.address_hash) for row in tx.execute(_SELECT.where(matching))]
    if lifted:
        tx.execute(delete(suppressions).where(matching))
        _note(tx, "lift", lifted, actor=order.actor, why=order.why, at=order.at)
    if Reason.SOFT_BOUNCE in order.reasons:
        soft_marks.forget(tx, [order.address_hash], late=True)
    return lifted


def take_off(
    tx: Connection, entries: Sequence[Suppression], *, actor: str, why: str, at: float
) -> None:
    """Take these very entries off, many at once, for another reason than that somebody asked."""
    if not entries:
        return
    key = (suppressions.c.address_hash, suppressions.c.stream, suppressions.c.reason)
    for chunk in chunks(list(entries), IN_LIMIT // 5):
        names = [(e.address_hash, e.stream, e.reason.value) for e in chunk]
        tx.execute(delete(suppressions).where(tuple_(*key).in_(names)))
    _note(tx, "lift", entries, actor=actor, why=why, at=at)


def browse(
    tx: Connection,
    *,
    after: tuple[bytes, str, str] = (b"", "", ""),
    reason: str | None = None,
    limit: int = 100,
) -> list[Suppression]:
    """A page of the list, expired rows too, in the order of its key; `after` is the last key."""
    key = (suppressions.c.address_hash, suppressions.c.stream, suppressions.c.reason)
    query = _SELECT.where(tuple_(*key) > tuple_(*map(literal, after))).order_by(*key)
    if reason is not None:
        query = query.where(suppressions.c.reason == reason)
    return [_read(row) for row in tx.execute(query.limit(limit))]


def count_by_reason(tx: Connection, now: float) -> dict[str, int]:
    """How many stand now, by reason; read at scrape."""
    rows = tx.execute(
        select(suppressions.c.reason, func.count())
        .where(or_(suppressions.c.until.is_(None), suppressions.c.until > now))
        .group_by(suppressions.c.reason)
    )
    counted = dict.fromkeys((reason.value for reason in Reason), 0)
    counted.update({str(reason): int(count) for reason, count in rows})
    return counted


def _note(
    tx: Connection,
    action: str,
    entries: Sequence[Suppression],
    *,
    actor: str | None = None,
    why: str | None = None,
    at: float | None = None,
) -> None:
    """Audit and announce a change.  It names the hash, so that erasure need not rewrite it."""
    audit.note(
        tx,
        [
            {
                "at": e.since if at is None else at,
                "actor": e.actor if actor is None else actor,
                "action": f"suppression.{action}",
                "subject": e.address_hash.hex(),
                "reason": e.evidence if why is None else why,
                "data": {"reason": e.reason.value, "stream": e.stream, "until": e.until},
            }
            for e in entries
        ],
    )
    announce(
        tx,
        [
            event(
                "suppressed" if action == "suppress" else "lifted",
                at=e.since if at is None else at,
                delivery_id=e.delivery_id,
                data={
                    "reason": e.reason.value,
                    "stream": e.stream,
                    "hash": e.address_hash.hex(),
                },
            )
            for e in entries
        ],
    )

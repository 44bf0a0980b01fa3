"""Hindsight: what stored facts hold against an address, when they are judged again.

Owns the most delicate step of a replay, taking an address off the list.  An entry is lifted only
if Carom itself made it from a report or a reply that we still have and no stored fact about the
address supports it today; entries made by people, by links or from what retention has taken stay.
It is put on only where nothing since speaks against it: no later delivery stayed, nobody took it
off by hand.

A stored row does not say whether its rule suppresses, so rows count as support when they might;
`Memory` says of those that were read again what they really hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from analysis import soft_marks, suppression
from analysis.amends import ACTOR, Effect, Memory
from analysis.consequence import COMPLAINTS
from analysis.facts import Kind
from analysis.lifecycle import State
from analysis.schema import attempts, audit, deliveries, reports
from analysis.suppression import DAY, EVERY_STREAM, Lift, Reason, Suppression
from analysis.verdict import Fault, Severity

OURS = "carom"
"""Who makes entries from facts; ours alone are lifted."""

MOST_FACTS = 500
"""Facts of one address that are looked at, newest first."""

_BY_REPORT = re.compile(r"unsubscribed by \w+")  # a click is told in more words, and stands


@dataclass(frozen=True, slots=True)
class Held:
    """That a stored fact may hold something against its address."""

    reason: Reason
    at: float
    stream: str
    late: bool  # said in a report, not in the session


def held_by_report(row: Any) -> Reason | None:
    """What a row of `reports` may hold against its address; never less than it does."""
    match row.kind:
        case Kind.BOUNCE if row.action == "failed":
            return held_by_words(row)
        case Kind.COMPLAINT if row.feedback_type in COMPLAINTS:
            return Reason.COMPLAINT
        case Kind.COMPLAINT if row.feedback_type == "opt-out":
            return Reason.UNSUBSCRIBE
        case Kind.UNSUBSCRIBE:
            return Reason.UNSUBSCRIBE
        case _:
            return None


def held_by_words(row: Any) -> Reason | None:
    """The same for the judged columns that end a delivery."""
    if row.severity == Severity.HARD and row.fault in (Fault.RECIPIENT, Fault.DOMAIN):
        return Reason.HARD_BOUNCE
    if row.severity == Severity.SOFT and row.fault == Fault.RECIPIENT:
        return Reason.SOFT_BOUNCE
    return None


def attempt_key(delivery_id: str, epoch: int) -> str:
    return f"{delivery_id}/{epoch}"


FINAL_ATTEMPT = (
    (attempts.c.delivery_id == deliveries.c.id)
    & (attempts.c.epoch == deliveries.c.epoch)
    & deliveries.c.state.in_([State.BOUNCED.value, State.EXPIRED.value])
    & deliveries.c.accepted_at.is_(None)
    & attempts.c.result.in_(["refused", "deferred", "in_doubt"])
)
"""The attempt that ended a delivery."""


def facts_about(tx: Connection, address_hash: bytes, memory: Memory) -> list[Held]:
    """Every stored fact that may hold something against the address."""
    of = deliveries.c.address_hash == address_hash
    told = tx.execute(
        select(reports, deliveries.c.stream)
        .join(deliveries, deliveries.c.id == reports.c.delivery_id)
        .where(of)
        .order_by(reports.c.at.desc())
        .limit(MOST_FACTS)
    )
    found = [(row.id, held_by_report(row), row.at, row.stream, True) for row in told]
    said = tx.execute(
        select(attempts, deliveries.c.stream)
        .join(deliveries, FINAL_ATTEMPT)
        .where(of)
        .order_by(attempts.c.ended_at.desc())
        .limit(MOST_FACTS)
    )
    for row in said:
        key = attempt_key(row.delivery_id, row.epoch)
        found.append((key, held_by_words(row), row.ended_at, row.stream, False))
    return [
        Held(today, at, stream, late)
        for key, reason, at, stream, late in found
        if (today := memory.held.get(key, reason)) is not None
    ]


def lift_unheld(
    tx: Connection, delivery: Any, memory: Memory, now: float, limits: suppression.Limits
) -> None:
    """Take off what no stored fact about the delivery's address supports any more.

    To be called only when a fact about it has just been found to hold less than it did.
    """
    address = bytes(delivery.address_hash)
    entries = [e for e in _entries(tx, address, now) if _may_lift(tx, e, address)]
    if not entries:
        return
    facts = facts_about(tx, address, memory)
    for entry in entries:
        if not _supported(entry, facts, limits):
            suppression.lift(
                tx,
                Lift(
                    address,
                    ACTOR,
                    f"today's rules no longer say what {entry.rule or 'a report'} said",
                    now,
                    frozenset({entry.reason}),
                    entry.stream,
                ),
            )


def unmark(tx: Connection, delivery: Any, at: float, memory: Memory, *, late: bool) -> None:
    """Take back the soft mark of a fact's day, unless another fact of that day made it too."""
    address, day = bytes(delivery.address_hash), int(at // DAY)
    facts = facts_about(tx, address, memory)
    same = (h for h in facts if h.reason is Reason.SOFT_BOUNCE and h.late is late)
    if any(int(h.at // DAY) == day for h in same):
        return
    soft_marks.take_back(tx, address, day, late=late)


def _may_lift(tx: Connection, entry: Suppression, address: bytes) -> bool:
    """Whether we made it, from a fact about a delivery that is still stored."""
    if entry.actor != OURS or entry.delivery_id is None or entry.reason is Reason.MANUAL:
        return False
    if entry.reason is Reason.UNSUBSCRIBE and not _BY_REPORT.fullmatch(entry.evidence):
        return False
    owner = select(deliveries.c.id).where(
        deliveries.c.id == entry.delivery_id, deliveries.c.address_hash == address
    )
    return tx.execute(owner).first() is not None


def _supported(entry: Suppression, facts: Iterable[Held], limits: suppression.Limits) -> bool:
    held = [h for h in facts if entry.stream in (EVERY_STREAM, h.stream)]
    if any(h.reason is Reason.HARD_BOUNCE for h in held) and entry.reason in _BOUNCES:
        return True
    same = [h for h in held if h.reason is entry.reason]
    if entry.reason is Reason.SOFT_BOUNCE:
        return len({int(h.at // DAY) for h in same}) >= limits.soft_days
    return bool(same)


_BOUNCES = frozenset({Reason.HARD_BOUNCE, Reason.SOFT_BOUNCE})


def may_hold(tx: Connection, delivery: Any, reason: Reason, at: float, now: float) -> bool:
    """Whether a fact of time `at` may still be held against the address.

    Not if the same entry stands already, if a later mail to it stayed delivered, or if somebody
    took an entry of it off since.
    """
    address = bytes(delivery.address_hash)
    if any(entry.reason is reason for entry in _entries(tx, address, now)):
        return False
    lifted = select(audit.c.seq).where(
        audit.c.subject == address.hex(),
        audit.c.action == "suppression.lift",
        audit.c.at > at,
        audit.c.actor.not_in([ACTOR, OURS]),
    )
    if tx.execute(lifted.limit(1)).first() is not None:
        return False
    if reason not in _BOUNCES:
        return True
    alive = select(deliveries.c.id).where(
        deliveries.c.address_hash == address,
        deliveries.c.id != delivery.id,
        deliveries.c.accepted_at > at,
        deliveries.c.state == State.DELIVERED.value,
    )
    return tx.execute(alive.limit(1)).first() is None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a delivery and its address stand at one moment."""

    state: str
    entries: dict[tuple[str, str], Suppression]


def standing(tx: Connection, delivery: Any, now: float) -> Standing:
    state = select(deliveries.c.state).where(deliveries.c.id == delivery.id)
    entries = _entries(tx, bytes(delivery.address_hash), now)
    return Standing(
        str(tx.execute(state).scalar_one()), {(e.reason.value, e.stream): e for e in entries}
    )


def effects(before: Standing, after: Standing) -> tuple[Effect, ...]:
    """What became of the delivery and its address between two moments."""
    found = [
        Effect("lifted", entry.reason.value, entry)
        for key, entry in before.entries.items()
        if key not in after.entries
    ]
    found += [
        Effect("suppressed", entry.reason.value, entry)
        for key, entry in after.entries.items()
        if key not in before.entries
    ]
    if before.state != after.state:
        found.append(Effect("state", after.state, before=before.state))
    return tuple(found)


def listed(tx: Connection, delivery: Any, now: float) -> bool:
    """Whether the address has an entry that a replay might lift."""
    return any(e.actor == OURS for e in _entries(tx, bytes(delivery.address_hash), now))


def _entries(tx: Connection, address: bytes, now: float) -> list[Suppression]:
    return suppression.standing(tx, [address], now).get(address, [])

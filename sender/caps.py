"""Caps: how often one recipient hears from a stream, such as 3 messages in an hour.

A message over its stream's cap is put off to the moment at which the cap allows it; where that is
not before its deadline it is withheld, and the answer says so (`frequency`).  What counts is what
the recipient gets: deliveries accepted, at the time of that, and those that wait, at the time they
wait for; what failed or was withheld does not.

Asked within the transaction that submits, after the list of suppressions.  On PostgreSQL two of
them that write to the same address wait for each other, so that none can overlook the other.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, case, func, or_, select

from analysis.lifecycle import PENDING, State
from analysis.schema import deliveries
from analysis.store import IN_LIMIT, chunks
from analysis.verdict import Category, Fault
from sender.allowances import Rate, parse_rate

Row = dict[str, Any]

REASON = "frequency"
RULE = f"caps/{REASON}"
LONGEST = 60 * 86_400.0
"""Seconds from submission to delivery at most: a month ahead, and a month of trying."""
MOST = 100
"""Messages of a cap: what a recipient had in its time is looked at one by one."""
_INSTANT = 1e-6
"""Seconds that two times may seem apart for being summed as binary fractions."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A delivery that would like to go out from `start` on, before `deadline`."""

    delivery_id: str
    address_hash: bytes
    stream: str
    cap: Rate
    start: float
    deadline: float


@dataclass(frozen=True, slots=True)
class Over:
    """What the cap says: wait until then, or, as that is too late, do not go at all."""

    until: float
    withheld: bool
    evidence: str


def check(tx: Connection, wishes: Sequence[Wish], now: float) -> dict[str, Over]:
    """Delivery id to what its cap says, for those that may not go at once."""
    if not wishes:
        return {}
    had = _had(tx, wishes, now)
    over: dict[str, Over] = {}
    for wish in wishes:
        times = had.setdefault((wish.address_hash, wish.stream), [])
        until = earliest(times, wish.cap, wish.start)
        withheld = until >= wish.deadline
        if until > wish.start:
            over[wish.delivery_id] = Over(until, withheld, _evidence(wish))
        if not withheld:
            insort(times, until)
    return over


def earliest(times: Sequence[float], cap: Rate, start: float) -> float:
    """The first moment from `start` on at which one more keeps within the cap.

    `times`, in order, are those of the others.  No `cap.seconds` then hold more than `cap.count`.
    """
    moments = [start, *(at + cap.seconds for at in times if at + cap.seconds > start)]
    return next(at for at in moments if _fits(times, cap, at))


def _fits(times: Sequence[float], cap: Rate, at: float) -> bool:
    apart = cap.seconds - _INSTANT
    before, here = bisect_right(times, at - apart), bisect_right(times, at)
    if here - before >= cap.count:  # found at once, however many there are
        return False
    near = [*times[before:here], at, *times[here : bisect_left(times, at + apart)]]
    return all(last - first >= apart for first, last in zip(near, near[cap.count :], strict=False))


def _evidence(wish: Wish) -> str:
    return f"{wish.cap} is the most that a recipient gets in the stream {wish.stream}"


def parse_cap(text: str) -> Rate:
    """Read `3 per 1h`, or raise ValueError."""
    cap = parse_rate(text)
    if cap.count > MOST:
        raise ValueError(f"{text[:40]!r} allows more than {MOST} messages: that is no cap")
    return cap


def _had(
    tx: Connection, wishes: Sequence[Wish], now: float
) -> dict[tuple[bytes, str], list[float]]:
    """Address and stream to the times that count, in order."""
    hashes = sorted({wish.address_hash for wish in wishes})
    streams = sorted({wish.stream for wish in wishes})
    longest = max(wish.cap.seconds for wish in wishes)
    _lock(tx, hashes)
    found: dict[tuple[bytes, str], list[float]] = {}
    for chunk in chunks(hashes, IN_LIMIT):
        counted = and_(
            deliveries.c.address_hash.in_(chunk),
            deliveries.c.created_at > now - longest - LONGEST,
            deliveries.c.stream.in_(streams),
            or_(deliveries.c.accepted_at.is_not(None), waits),
            counted_at > now - longest,
        )
        query = select(deliveries.c.address_hash, deliveries.c.stream, counted_at).where(counted)
        for address_hash, stream, at in tx.execute(query.order_by(counted_at)):
            found.setdefault((bytes(address_hash), stream), []).append(at)
    return found


def _lock(tx: Connection, hashes: Iterable[bytes]) -> None:
    """In the order of addresses: two batches never form a ring."""
    if tx.dialect.name == "postgresql":
        for address_hash in hashes:
            number = int.from_bytes(address_hash[:8], signed=True)
            tx.execute(select(func.pg_advisory_xact_lock(number)))


waits = deliveries.c.state.in_(sorted(state.value for state in PENDING))
counted_at = case((waits, deliveries.c.next_at), else_=deliveries.c.accepted_at)


def answer(over: Over | None, stream: str, now: float) -> Row:
    """What an answer to the submission adds for a delivery that is over."""
    if over is None:
        return {}
    why: Row = {"reason": REASON, "until": over.until, "evidence": over.evidence}
    if not over.withheld:
        return {"put_off": why}
    return {
        "state": State.SUPPRESSED.value,
        "suppression": {**why, "stream": stream, "since": now},
    }


def columns(over: Over | None, now: float) -> Row:
    """What it changes in the delivery's row."""
    if over is None:
        return {}
    why: Row = {
        "reply": over.evidence,
        "category": Category.RATE_LIMIT.value,
        "fault": Fault.SENDER.value,
    }
    if not over.withheld:
        return {**why, "next_at": over.until, "rule": RULE}
    rule = f"suppressed/{REASON}"
    return {**why, "state": State.SUPPRESSED.value, "settled_at": now, "rule": rule}

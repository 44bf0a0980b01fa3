"""Feedback: a recipient says "did not get it", and is told what became of it and what to do.

Said by an application or by a signed link, of one delivery.  It is recorded and announced as
`delivery.feedback`, beside the bounces: mail that vanishes after its acceptance shows nowhere else.
Saying it again within `AGAIN` changes nothing, and no more than `MOST` are counted of a delivery.

Where nothing but soft bounces keeps mail from the address, the message is tried once more, as a
probe (`analysis.half_open`): somebody who asks for it is the best sign that the mailbox works
again.  Once for a delivery, and never a login code that has run out.

The answer is for who waits for the mail: no subject, no words of a mail server, no whole address,
for a link can be in the hands of somebody who only typed the address in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection, exists, select, update

from analysis.events import announce, event
from analysis.explain import Language, explain
from analysis.half_open import WINDOW
from analysis.lifecycle import State
from analysis.lookup import Json, told_of
from analysis.schema import deliveries, feedback, suppressions
from analysis.store import Store, insert_once
from analysis.suppression import EVERY_STREAM, Reason, Suppression, standing

AGAIN = 3_600.0
"""Seconds in which the same delivery's feedback counts once."""
MOST = 10
KIND = "delivery.feedback"

_LOST = frozenset({State.SUPPRESSED, State.BOUNCED, State.EXPIRED})
"""States from which another try can help."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the record says of a delivery once its feedback is in it."""

    delivery: Any  # a row of `lookup.told_of`
    entries: Sequence[Suppression]  # that hold for its stream
    counted: bool
    probe: bool  # the address may be tried once more


class Observer(Protocol):
    """Hears of every feedback that was counted, after its COMMIT."""

    def missed(self, stream: str, provider: str) -> None: ...


Again = Callable[[str, str], Awaitable[str | None]]
"""Message and recipient, sent once more; the id of the new message, or None."""


class Feedback:
    def __init__(
        self, store: Store, again: Again, observer: Observer, *, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._again = again
        self._observer = observer
        self._clock = clock

    async def hear(self, delivery_id: str, source: str, lang: Language) -> Json | None:
        """Record it and answer; None where the delivery is no longer kept.  `source`: api, link."""
        now = self._clock()
        heard = await self._store.write(lambda tx: record(tx, delivery_id, source, now))
        if heard is None:
            return None
        row = heard.delivery
        if heard.counted and row.probe is None:
            self._observer.missed(row.stream, row.provider)
        probe = await self._again(row.message_id, row.recipient) if heard.probe else None
        if probe is not None:
            await self._store.write(lambda tx: _probed(tx, delivery_id, probe))
        return _told(heard, probe, lang, now)


def record(tx: Connection, delivery_id: str, source: str, now: float) -> Heard | None:
    """Count it, unless it was counted lately; what is known of the delivery."""
    row = _find(tx, delivery_id)
    if row is None:
        return None
    counted = _count(tx, row, source, now)
    if counted:
        data = {"recipient": row.recipient, "stream": row.stream, "state": row.state}
        told = {**data, "provider": row.provider, "source": source}
        announce(
            tx,
            [event(KIND, at=now, message_id=row.message_id, delivery_id=row.id, data=told)],
        )
    hashed = bytes(row.address_hash)
    entries = [
        one
        for one in standing(tx, [hashed], now).get(hashed, [])
        if one.stream in (EVERY_STREAM, row.stream)
    ]
    return Heard(row, entries, counted, counted and _may_probe(tx, row, entries, now))


def find_in(tx: Connection, message_id: str) -> list[str]:
    """The deliveries of a message."""
    of_it = select(deliveries.c.id).where(deliveries.c.message_id == message_id)
    return list(tx.execute(of_it.order_by(deliveries.c.id)).scalars())


def forget(tx: Connection, before: float) -> int:
    """Forget what was said last before a time; how many."""
    gone = tx.execute(feedback.delete().where(feedback.c.last_at < before))
    return max(0, gone.rowcount)


def _find(tx: Connection, delivery_id: str) -> Any:
    message_id = tx.execute(
        select(deliveries.c.message_id).where(deliveries.c.id == delivery_id)
    ).scalar_one_or_none()
    if message_id is None:
        return None
    return next((row for row in told_of(tx, message_id) if row.id == delivery_id), None)


def _count(tx: Connection, row: Any, source: str, now: float) -> bool:
    said = {"last_at": now, "source": source, "state": row.state}
    first = {"delivery_id": row.id, "first_at": now, "times": 1, **said}
    if insert_once(tx, feedback, [first], returning="delivery_id"):
        return True
    again = tx.execute(
        update(feedback)
        .where(
            feedback.c.delivery_id == row.id,
            feedback.c.last_at <= now - AGAIN,
            feedback.c.times < MOST,
        )
        .values(times=feedback.c.times + 1, **said)
    )
    return again.rowcount == 1


def _may_probe(tx: Connection, row: Any, entries: Sequence[Suppression], now: float) -> bool:
    """Nothing but soft bounces stands against it, and nobody tried it lately."""
    if State(row.state) not in _LOST or not entries or row.probe is not None:
        return False
    if any(one.reason is not Reason.SOFT_BOUNCE for one in entries):
        return False
    if row.rank == 0 and row.deadline < now:  # a login code that has run out helps nobody
        return False
    lately = exists().where(
        suppressions.c.address_hash == bytes(row.address_hash),
        suppressions.c.probed_at > now - WINDOW,
    )
    probed = exists().where(feedback.c.delivery_id == row.id, feedback.c.probe_id.is_not(None))
    return not tx.execute(select(lately | probed)).scalar_one()


def _probed(tx: Connection, delivery_id: str, probe_id: str) -> None:
    tx.execute(
        update(feedback).where(feedback.c.delivery_id == delivery_id).values(probe_id=probe_id)
    )


def _told(heard: Heard, probe: str | None, lang: Language, now: float) -> Json:
    row = heard.delivery
    why = explain(row.recipient, row, heard.entries, lang=lang, now=now)
    return {
        "delivery_id": row.id,
        "recorded": heard.counted,
        "verdict": why["verdict"],
        "cause": why["cause"],
        "advice": why["advice"]["user"],
        "next_attempt": why["next_attempt"],
        "probe": None if probe is None else {"message_id": probe},
    }

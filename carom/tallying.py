"""What the loops report, collected for the judgement of incidents and written every few seconds.

One in each process, beside the metrics.  While the database is away the counts wait: they are
bounded by closed sets of labels.  What was said is kept for answers that somebody may have to mend
or understand: faults of ours, of the receiver, and whatever condemns an address.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from analysis import tallies
from analysis.decide import held_against
from analysis.facts import Kind
from analysis.ledger import Recorded
from analysis.lifecycle import Fact
from analysis.pause import pause
from analysis.providers import OTHER, PROVIDERS
from analysis.reply import Reply, Stage
from analysis.store import Store, StoreUnavailable
from analysis.suppression import Reason
from analysis.tallies import Collected, Key, Outcome
from analysis.verdict import Fault
from sender.record import Record

log = structlog.get_logger()

EVERY = 5.0

_OUTCOMES = {
    "accepted": Outcome.ACCEPTED,
    "refused": Outcome.REFUSED,
    "deferred": Outcome.DEFERRED,
    "in_doubt": Outcome.DEFERRED,
}
_TELLING = frozenset({Fault.SENDER, Fault.RECEIVER, Fault.NETWORK})


class Tallying:
    """Told of records by `carom.counting`; `serve` writes them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._collected = Collected()

    def attempted(self, record: Record) -> None:
        outcome = _OUTCOMES.get(record.result)
        if outcome is None or record.claim.probe is not None:
            return
        provider = record.provider if record.provider in PROVIDERS else OTHER
        if outcome is Outcome.ACCEPTED:
            self._collected.count(record.ended_at, Key(provider, outcome))
            return
        verdict = record.verdict
        key = Key(provider, outcome, verdict.fault.value, verdict.category.value)
        condemned = held_against(record.fact, verdict) is Reason.HARD_BOUNCE
        self._note(
            record.ended_at,
            key,
            record.reply,
            record.claim.delivery_id,
            condemned and record.fact is Fact.REFUSED,
            telling=verdict.fault in _TELLING or condemned,
        )

    def reported(self, fact: Recorded) -> None:
        """A bounce that came after the acceptance; it counts when it came."""
        if fact.delivery_id is None or fact.probe is not None or fact.kind is not Kind.BOUNCE:
            return
        verdict = fact.verdict
        provider = fact.provider if fact.provider in PROVIDERS else OTHER
        key = Key(provider, Outcome.REPORTED, verdict.fault.value, verdict.category.value)
        reply = Reply.read(verdict.evidence, stage=Stage.REPORT, provider=provider)
        self._note(
            self._clock(),
            key,
            reply,
            fact.delivery_id,
            verdict.suppress,
            telling=verdict.fault in _TELLING or verdict.suppress,
        )

    def _note(
        self,
        at: float,
        key: Key,
        reply: Reply,
        delivery_id: str,
        condemned: bool,
        *,
        telling: bool,
    ) -> None:
        self._collected.count(at, key)
        if condemned:
            dead = Key(key.provider, Outcome.CONDEMNED, key.fault, key.category)
            self._collected.count(at, dead)
        if telling:
            self._collected.heard(at, key, reply, delivery_id)

    async def write(self, store: Store) -> None:
        """Add what was collected; what cannot be written waits for the next time."""
        collected = self._collected
        if not collected:
            return
        self._collected = Collected()
        try:
            await store.write(lambda tx: tallies.add(tx, collected))
        except StoreUnavailable as error:
            collected.join(self._collected)
            self._collected = collected
            log.warning("tallies wait: the database is unavailable", error=str(error))

    async def serve(self, store: Store, stop: asyncio.Event) -> None:
        """Write every few seconds until `stop`, and what is left then."""
        while not stop.is_set():
            await pause(stop, EVERY)
            await self.write(store)

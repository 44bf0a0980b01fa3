"""The sender's loop: claim what is due, attempt it, record it, keep the leases.

One loop a process.  It claims no more than it has free places for, so that what it holds is under
way at once and a crash gives back at most `concurrency` deliveries.  The poll is the truth;
`wake` is a hint from whoever has just committed something due.

What came of an attempt is written by `sender.recorder`, whatever happens.

Stopping: no new claims, running attempts may finish within the grace, the rest are cancelled and
given back.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog
from sqlalchemy import Connection

from analysis import suppression
from analysis.pause import pause
from analysis.store import Store, StoreUnavailable
from sender import leases, queue, recorder, unsent
from sender.delivery import Attempts
from sender.leases import Held
from sender.pacing import Pacing
from sender.pacing_rounds import PacingRounds
from sender.places import Places
from sender.queue import Claim
from sender.recorder import Recorder
from sender.unsent import Expired

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pace:
    """Bounds of the loop.  Times in seconds."""

    concurrency: int = 200  # attempts under way at once
    per_domain: int = 20  # of these to one domain: a slow one must not take all the places
    claim_most: int = 200  # deliveries taken in one transaction
    gather: float = 0.005  # what ends within it is recorded together: half the cost at 900/s
    poll: float = 0.5
    lease: float = 60.0
    housekeeping: float = 4.0  # a dead node's work is taken over within its lease + 5 s
    grace: float = 20.0


class Observer(recorder.Observer, Protocol):
    """Hears of what its deadline overtook, too."""

    def expired(self, delivery: Expired) -> None: ...


class Worker:
    def __init__(
        self,
        store: Store,
        attempts: Attempts,
        *,
        node: str,
        gone: Callable[[str], bool],
        pace: Pace,
        limits: suppression.Limits,
        clock: Callable[[], float],
        observer: Observer,
        pacing: Pacing | None = None,
        rounds: PacingRounds | None = None,
    ) -> None:
        self._store = store
        self._attempts = attempts
        self._node = node
        self._gone = gone
        self._pace = pace
        self._clock = clock
        self._observer = observer
        self._pacing = pacing
        self._rounds = rounds  # None: what sites bear is for this process alone
        self._recorder = Recorder(
            store, gather=pace.gather, limits=limits, clock=clock, observer=observer
        )
        self._active: dict[asyncio.Task[None], Claim] = {}
        self._domains: Counter[str] = Counter()
        self._held_until: dict[Held, float] = {}  # of what is under way, as far as we know
        self._awake = asyncio.Event()
        self._more_waits = False  # the last claim left something due behind

    def wake(self) -> None:
        """Something due was committed: look now rather than at the next poll."""
        self._awake.set()

    async def serve(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set."""
        await self.take_back()
        if self._rounds is not None:
            await self._rounds.leave()
        keepers = [asyncio.create_task(self._keep())]
        if self._rounds is not None:
            keepers.append(asyncio.create_task(self._rounds.serve()))
        try:
            while not stop.is_set():
                for keeper in keepers:
                    if keeper.done():
                        keeper.result()  # a fault of ours: leases would run out unseen
                await self._round()
        finally:
            await self._finish()  # under kept leases: nobody else may try these meanwhile
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            if self._rounds is not None:
                await self._rounds.leave()

    async def take_back(self) -> None:
        """What processes of this machine held when they died is free again."""

        def reclaim(tx: Connection) -> int:
            dead = [node for node in leases.holders(tx) if self._gone(node)]
            return leases.reclaim(tx, now=self._clock(), nodes=dead, limit=100_000)

        try:
            if count := await self._store.write(reclaim):
                log.info("took back what dead processes held", count=count)
                self.wake()
        except StoreUnavailable as error:
            log.warning("nothing reclaimed: the database is unavailable", error=str(error))

    async def _round(self) -> None:
        hinted = self._awake.is_set()
        self._awake.clear()
        wanted = min(self._free, self._pace.claim_most)
        claims, until = list[Claim](), 0.0
        if wanted > 0 and (hinted or await self._is_due()):
            until = self._clock() + self._pace.lease  # no later than what the claim will say
            claims = await self._claim(wanted)
        for claim in claims:
            self._start(claim, until)
        self._more_waits = len(claims) == wanted or self._crowded()
        if len(claims) < wanted or not self._free:
            await self._rest()

    @property
    def _free(self) -> int:
        return self._pace.concurrency - len(self._active)

    def _crowded(self) -> bool:
        """Whether a domain or a site has all the places that it may have."""
        return bool(Places(self._pace.per_domain, self._domains, self._pacing, self._clock()).full)

    async def _is_due(self) -> bool:
        """Whether a poll that nobody hinted at need claim: most nodes are idle most of the time."""
        try:
            return await self._store.read(lambda tx: queue.due(tx, self._clock()))
        except StoreUnavailable as error:
            log.warning("cannot look: the database is unavailable", error=str(error))
            return False

    async def _claim(self, limit: int) -> list[Claim]:
        under_way = dict(self._domains)  # the work may run in another thread
        try:
            return await self._store.write(
                lambda tx: queue.claim(
                    tx,
                    node=self._node,
                    now=self._clock(),
                    lease=self._pace.lease,
                    limit=limit,
                    per_domain=self._pace.per_domain,
                    under_way=under_way,
                    sites=self._pacing,
                )
            )
        except StoreUnavailable as error:
            log.warning("cannot claim: the database is unavailable", error=str(error))
            return []

    async def _rest(self) -> None:
        """Wait for a hint, enough free places or the next poll, whichever comes first."""
        await pause(self._awake, self._pace.poll)

    def _start(self, claim: Claim, until: float) -> None:
        held = (claim.delivery_id, claim.epoch)
        self._held_until[held] = until
        claim = replace(claim, ours=lambda: self._clock() < self._held_until.get(held, 0.0))
        task = asyncio.create_task(self._deliver(claim))
        self._active[task] = claim
        self._domains[claim.domain] += 1
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        claim = self._active.pop(task)
        del self._held_until[claim.delivery_id, claim.epoch]
        domain = claim.domain
        self._domains[domain] -= 1
        if not self._domains[domain]:
            del self._domains[domain]
        # a claim is a transaction: take places by the quarter, not one by one
        pace, left = self._pace, self._pace.per_domain - self._domains[domain]
        if self._more_waits and self._free * 4 >= pace.concurrency and left * 4 >= pace.per_domain:
            self._awake.set()

    async def _deliver(self, claim: Claim) -> None:
        started = self._clock()
        try:
            done = await self._attempts.attempt(claim)
        except StoreUnavailable as error:
            # Nothing was sent yet: this is no attempt and must not use up a step of the schedule.
            log.warning("cannot prepare: the database is unavailable", error=str(error))
            done = self._attempts.waits(claim, started)
        except Exception:
            # Our own fault must not lose the delivery nor stop the others: it is tried again.
            log.exception("an attempt failed by our own fault", delivery=claim.delivery_id)
            done = self._attempts.failed(claim, started)
        await self._recorder.put(done)

    async def _keep(self) -> None:
        """Housekeeping: renew our leases, take back dead nodes' ones, end what is too late."""
        every = min(self._pace.housekeeping, self._pace.lease / 4)
        while True:
            await asyncio.sleep(every)
            held = [(claim.delivery_id, claim.epoch) for claim in self._active.values()]
            now = self._clock()
            try:
                kept = await self._store.write(
                    lambda tx, held=held, now=now: leases.renew(  # type: ignore[misc]
                        tx, held=held, until=now + self._pace.lease
                    )
                )
                self._renewed(held, kept, now + self._pace.lease)
                await self._store.write(lambda tx, now=now: leases.reclaim(tx, now=now))  # type: ignore[misc]
                late = await self._store.write(lambda tx, now=now: unsent.expire(tx, now=now))  # type: ignore[misc]
                for one in late:
                    self._observer.expired(one)
            except StoreUnavailable as error:
                log.warning("housekeeping waits: the database is unavailable", error=str(error))

    def _renewed(self, held: Sequence[Held], kept: Collection[Held], until: float) -> None:
        """What was ours until then, or is no more: it must get no final dot from us."""
        for one in held:
            if one in self._held_until:  # else it has ended meanwhile
                self._held_until[one] = until if one in kept else 0.0

    async def _finish(self) -> None:
        if self._active:
            await asyncio.wait(set(self._active), timeout=self._pace.grace)
        left = dict(self._active)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._recorder.close()
        try:
            await self._recorder.release(list(left.values()))
        except StoreUnavailable as error:
            log.warning("claims are left to their leases", count=len(left), error=str(error))

"""The reader's loop: claim raw reports, read them, enter what they establish.

Reading is pure and off the event loop; entering is one transaction for a whole batch, but for a
few thousand rows of aggregate reports at a time: anybody may send those, and whoever else wants to
write waits for the end of a transaction.  A mail that cannot be entered is put aside with the
reason, alone: its neighbours go in.  Whatever is read twice (a lease that ran out, a restart) is
recorded once, by the ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog
from sqlalchemy import Connection

from analysis import ledger, suppression
from analysis.aggregate_ledger import PURPOSES, AggregateLedger, Noted
from analysis.facts import Arrival, Kind, Reading
from analysis.ledger import Entered, Recorded
from analysis.pause import pause
from analysis.store import Store, StoreUnavailable
from ingest import inbox
from ingest.authenticity import LATER, Authenticity, ask_again
from ingest.inbox import Raw
from ingest.reading_desk import Unreadable
from ingest.reading_room import NoDesk

log = structlog.get_logger()

MOST_ROWS = 5_000
"""Of aggregate reports in one transaction, or one report: some 0.3 s."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Bounds of the loop.  Times in seconds."""

    batch: int = 50
    poll: float = 0.5
    lease: float = 120.0


@dataclass(frozen=True, slots=True)
class Postponed:
    """It is read again then: the DNS could not say who signed it."""

    until: float


Answer = Reading | Unreadable | Postponed


class Observer(Protocol):
    """Hears of every message that was read and every fact that was new, for metrics."""

    def read(self, kind: Kind) -> None: ...

    def reported(self, fact: Recorded) -> None: ...


class Reader:
    def __init__(
        self,
        store: Store,
        read: Callable[[Sequence[bytes]], Sequence[Reading | Unreadable]],
        *,
        owner_of: Callable[[str], str | None],
        node: str,
        gone: Callable[[str], bool],
        pace: Pace,
        limits: suppression.Limits,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        observer: Observer,
        aggregates: AggregateLedger | None = None,
        authenticity: Authenticity | None = None,
    ) -> None:
        """`read` parses messages, off the event loop, and raises nothing but `NoDesk`, which may
        pass; what has no reading is put aside.  `owner_of` gives the delivery that a VERP
        local part found inside a mail was issued for, or None if it is not genuine; `gone` says
        of another node's name that it surely runs no more; `aggregates` takes DMARC and TLS
        reports, `authenticity` says who signed them, without which nobody did."""
        self._store = store
        self._read = read
        self._owner_of = owner_of
        self._node = node
        self._gone = gone
        self._pace = pace
        self._limits = limits
        self._clock = clock
        self._new_id = new_id
        self._observer = observer
        self._aggregates = aggregates
        self._authenticity = authenticity
        self._awake = asyncio.Event()
        self._unfinished = True  # another start on this machine may have died in the middle
        self._claimed: list[Raw] = []  # not read yet
        self._in_hand: list[tuple[Raw, Answer]] = []  # read, and not entered yet

    def wake(self) -> None:
        """Something was stored: look now rather than at the next poll."""
        self._awake.set()

    async def serve(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set; the batch under way is finished."""
        while not stop.is_set():
            self._awake.clear()
            if not await self.round():
                await self._rest()
        if self._authenticity is not None:
            await self._authenticity.close()

    async def round(self) -> int:
        """Read one batch; returns how many messages it held.

        What was read while the database went away is kept and entered in the next round: its
        lease would hold it back for minutes, and an outage is no reason to put mail aside.
        """
        try:
            if not self._in_hand:
                self._in_hand = await self._next()
            count = len(self._in_hand)
            while self._in_hand:
                part = _at_once(self._in_hand)
                await self._enter(part)
                self._in_hand = self._in_hand[len(part) :]
        except StoreUnavailable as error:
            log.warning("cannot read reports: the database is unavailable", error=str(error))
            self._unfinished = not self._in_hand  # a claim may have been committed unseen
            return 0
        except NoDesk as error:
            log.warning("cannot read reports: no process to read in", error=str(error))
            return 0
        return count

    async def _next(self) -> list[tuple[Raw, Answer]]:
        """The next batch, read; first of all what this node began and did not finish."""
        if self._unfinished:
            await self._store.write(self._give_back)
            self._unfinished = False
        if not self._claimed:
            self._claimed = await self._claim()
        contents = [raw.content for raw in self._claimed]
        answers = await asyncio.to_thread(self._read, contents) if contents else []
        pairs: list[tuple[Raw, Answer]] = [
            (raw, answer if isinstance(answer, Unreadable) else meant(raw, answer))
            for raw, answer in zip(self._claimed, answers, strict=True)
        ]
        pairs = await self._proven(pairs)
        self._claimed = []
        return pairs

    async def _proven(self, pairs: list[tuple[Raw, Answer]]) -> list[tuple[Raw, Answer]]:
        """The same, with who signed each aggregate report; or when it is asked again."""
        doubtful = [
            (at, raw, answer)
            for at, (raw, answer) in enumerate(pairs)
            if isinstance(answer, Reading) and answer.signing.signatures and raw.purpose in PURPOSES
        ]
        if not doubtful or self._authenticity is None:
            return pairs
        signers = await self._authenticity.signers(
            [(reading, raw.received_at) for _, raw, reading in doubtful]
        )
        proven = list(pairs)
        for (at, raw, reading), signer in zip(doubtful, signers, strict=True):
            if signer is not LATER:
                proven[at] = raw, replace(reading, signed_by=signer)
            elif until := ask_again(raw.received_at, self._clock()):
                proven[at] = raw, Postponed(until)
        return proven

    async def _claim(self) -> list[Raw]:
        now, pace = self._clock(), self._pace
        return await self._store.write(
            lambda tx: inbox.claim(tx, node=self._node, now=now, lease=pace.lease, limit=pace.batch)
        )

    def _give_back(self, tx: Connection) -> None:
        dead = {node for node in inbox.holders(tx) if self._gone(node)}
        inbox.give_back(tx, {self._node, *dead})

    async def _enter(self, pairs: list[tuple[Raw, Answer]]) -> None:
        """Enter a batch together; if that fails, one by one, putting the culprit aside."""
        if not pairs:
            return
        try:
            entered, noted = await self._store.write(lambda tx: self._enter_all(tx, pairs))
        except StoreUnavailable:
            raise
        except Exception as error:
            if len(pairs) == 1:
                log.exception("a report was put aside", raw=pairs[0][0].id)
                reason = f"{type(error).__name__}: {error}"
                await self._store.write(lambda tx: inbox.put_aside(tx, pairs[0][0].id, reason))
                return
            for pair in pairs:
                await self._enter([pair])
            return
        for raw, answer in pairs:
            if isinstance(answer, Unreadable):
                log.error("a report was put aside", raw=raw.id, error=answer.why)
            elif isinstance(answer, Reading) and raw.id not in entered.waiting:
                self._observer.read(answer.kind)
        for fact in entered.facts:
            self._observer.reported(fact)
        if self._aggregates is not None:
            for report in noted:
                self._aggregates.heard(report)

    def _enter_all(
        self, tx: Connection, pairs: Sequence[tuple[Raw, Answer]]
    ) -> tuple[Entered, list[Noted]]:
        arrivals: list[Arrival] = []
        for raw, answer in pairs:
            if isinstance(answer, Unreadable):
                inbox.put_aside(tx, raw.id, answer.why)
            elif isinstance(answer, Postponed):
                inbox.postpone(tx, raw.id, answer.until)
            else:
                arrivals.append(arrival(tx, raw, answer, self._owner_of))
        now = self._clock()
        ours = self._aggregates
        if ours is not None:
            ours.hold(tx, arrivals)
        entered = ledger.enter_all(tx, arrivals, now=now, limits=self._limits, new_id=self._new_id)
        return entered, [] if ours is None else ours.enter(tx, arrivals, now)

    async def _rest(self) -> None:
        await pause(self._awake, self._pace.poll)


def _at_once(pairs: list[tuple[Raw, Answer]]) -> list[tuple[Raw, Answer]]:
    """The first of these that one transaction enters; one at least."""
    rows = 0
    for number, (_, answer) in enumerate(pairs):
        if isinstance(answer, Reading) and answer.aggregate is not None:
            rows += len(answer.aggregate.rows)
        if number and rows > MOST_ROWS:
            return pairs[:number]
    return pairs


def arrival(
    tx: Connection, raw: Raw, reading: Reading, owner_of: Callable[[str], str | None]
) -> Arrival:
    """A message with whose report it is: the envelope's token says, or a genuine one inside it.

    For a complaint our own Message-ID may say too.
    """
    about = raw.subject_id or (owner_of(reading.token) if reading.token else None)
    if about is None and reading.kind is Kind.COMPLAINT and reading.message_id:
        about = ledger.find_by_message_id(tx, reading.message_id)
    return Arrival(raw.id, raw.received_at, raw.purpose, about, reading)


def meant(raw: Raw, reading: Reading) -> Reading:
    """What a message means at the address it came to.

    Any mail a person sends to an unsubscribe address is a request to unsubscribe; what a machine
    sends there (a bounce, an out-of-office) is not.
    """
    if raw.purpose == "unsubscribe" and reading.kind is Kind.NORMAL:
        return replace(reading, kind=Kind.UNSUBSCRIBE)
    return reading

"""One attempt: a claim goes in, what came of it comes out.

The order is the promise: suppression asked once more, the way looked up, the message signed, the
conversation held, the answer judged.  Nothing here touches the database while anything is on the
network, and nothing a remote host does raises: the worst it can do is a `Record` that puts the
delivery off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

from analysis.decide import after_attempt
from analysis.lifecycle import Fact
from analysis.reply import Reply, Stage
from analysis.retry import Schedule, next_attempt
from analysis.suppression import Suppression
from analysis.verdict import Category, Fault, Severity, Verdict
from sender.queue import Claim, Prepared
from sender.record import Record
from sender.smtp import Envelope, Outcome, Result, Route


class Ways(Protocol):
    """Where a domain's mail goes; a `Reply` where it cannot go anywhere now."""

    async def route(self, domain: str, *, require_tls: bool = False) -> Route | Reply: ...


class Wires(Protocol):
    """Hands an envelope to the next host.  Never raises for what a remote host does."""

    async def deliver(self, route: Route, envelope: Envelope) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Attempts:
    """Everything an attempt needs, handed in once."""

    prepare: Callable[[Claim], Awaitable[Prepared]]
    ways: Ways
    wires: Wires
    finish: Callable[[Claim, bytes], bytes]  # per-delivery headers and signatures; CPU work
    signers: Executor
    judge: Callable[[Reply], Verdict]
    schedules: tuple[Schedule, ...]  # by rank
    clock: Callable[[], float]
    random: Callable[[], float]

    async def attempt(self, claim: Claim) -> Record:
        """Try a claimed delivery once.  Raises only for our own faults."""
        started = self.clock()
        ready = await self.prepare(claim)
        if ready.withheld is not None:
            return self._withheld(claim, ready.withheld, started)
        if ready.content is None:
            return self._record(claim, _OUR_LOSS, started)
        way = await self.ways.route(claim.domain, require_tls=claim.require_tls)
        if isinstance(way, Reply):
            return self._record(claim, Outcome(Result.DEFERRED, way, way.host, ""), started)
        signed = await asyncio.get_running_loop().run_in_executor(
            self.signers, self.finish, claim, ready.content
        )
        in_utf8 = not signed.partition(b"\r\n\r\n")[0].isascii()  # RFC 6532 headers
        envelope = Envelope(claim.return_path, claim.recipient, signed, in_utf8)
        return self._record(claim, await self.wires.deliver(way, envelope), started, way.provider)

    def failed(self, claim: Claim, started: float) -> Record:
        """The record of an attempt that our own fault ended: put off, nobody blamed."""
        return self._record(claim, _OUR_FAULT, started)

    def _withheld(self, claim: Claim, entry: Suppression, started: float) -> Record:
        reply = Reply(None, None, entry.evidence)
        verdict = Verdict(
            Category(entry.category or Category.UNKNOWN),
            Fault.RECIPIENT,
            Severity.NONE,
            False,
            f"suppressed/{entry.reason.value}",
            entry.evidence,
            1.0,
        )
        return Record(
            claim, Fact.WITHHELD, "withheld", reply, verdict, "other", started, self.clock()
        )

    def _record(
        self, claim: Claim, outcome: Outcome, started: float, provider: str = "other"
    ) -> Record:
        ended = self.clock()
        accepted = outcome.result is Result.ACCEPTED
        verdict = _FINE if accepted else self.judge(outcome.reply)
        fact = after_attempt(outcome.result.value, verdict, tries=claim.attempts + 1)
        next_at = None
        if fact is Fact.PUT_OFF:
            next_at = self._next(claim, ended)
            fact = Fact.SPENT if next_at is None else fact
        return Record(
            claim,
            fact,
            outcome.result.value,
            outcome.reply,
            verdict,
            provider,
            started,
            ended,
            next_at,
            outcome.address,
            outcome.tls_version,
            outcome.tls_policy.value,
        )

    def _next(self, claim: Claim, now: float) -> float | None:
        return next_attempt(
            self.schedules[claim.rank],
            now=now,
            attempt=claim.attempts + 1,
            deadline=claim.deadline,
            random=self.random,
        )


_FINE = Verdict(Category.UNKNOWN, Fault.UNKNOWN, Severity.NONE, False, "accepted", "", 1.0)
_OUR_FAULT = Outcome(
    Result.DEFERRED, Reply(None, "4.3.0", "trouble of our own; see the log", Stage.UNKNOWN), "", ""
)
_OUR_LOSS = Outcome(
    Result.DEFERRED, Reply(None, "4.3.0", "the message's content is gone", Stage.UNKNOWN), "", ""
)

"""One attempt: a claim goes in, what came of it comes out.

The order is the promise: suppression asked once more, the way looked up, the message signed, the
conversation held, the answer judged.  Nothing here touches the database while anything is on the
network, and nothing a remote host does raises: the worst it can do is a `Record` that puts the
delivery off.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from analysis.decide import after_attempt
from analysis.hint import wait_hint
from analysis.lifecycle import Fact
from analysis.reply import Reply, Stage
from analysis.retry import Schedule, next_attempt
from analysis.suppression import Suppression
from analysis.verdict import Category, Fault, Severity, Verdict
from sender.pacing import Pacing
from sender.places import Held
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
    finish: Callable[[tuple[Claim, bytes]], Awaitable[bytes]]  # headers of its own, signatures
    judge: Callable[[Reply], Verdict]
    schedules: tuple[Schedule, ...]  # by rank
    clock: Callable[[], float]
    random: Callable[[], float]
    pacing: Pacing | None = None  # None: as fast as the connections go

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
            # class 5 is our own resolver's sure word; a remote host's never ends a delivery so
            sure = way.stage is Stage.DNS and way.permanent
            result = Result.REFUSED if sure else Result.DEFERRED
            return self._record(claim, Outcome(result, way, way.host, ""), started)
        if self.pacing is None:
            return await self._send(claim, ready.content, way, started)
        admitted = await self.pacing.enter(way, claim.domain)
        if isinstance(admitted, Held):
            return self._held_back(claim, admitted, started, way.provider)
        with admitted:
            done = await self._send(claim, ready.content, admitted.bounded(way), started)
            admitted.heard(done.result, done.reply, done.verdict)
            return done

    async def _send(self, claim: Claim, content: bytes, way: Route, started: float) -> Record:
        signed = await self.finish((claim, content))
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

    def _held_back(self, claim: Claim, held: Held, started: float, provider: str) -> Record:
        return Record(
            claim,
            Fact.HELD_BACK,
            "held",
            Reply(None, None, held.verdict.evidence),
            held.verdict,
            provider,
            started,
            self.clock(),
            held.until,
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
            next_at = self._next(claim, ended, _asked_wait(outcome.reply))
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

    def _next(self, claim: Claim, now: float, hint: float | None) -> float | None:
        return next_attempt(
            self.schedules[claim.rank],
            now=now,
            attempt=claim.attempts + 1,
            deadline=claim.deadline,
            random=self.random,
            hint=hint,
        )


def _asked_wait(reply: Reply) -> float | None:
    return None if reply.code is None else wait_hint(reply.text)


_FINE = Verdict(Category.UNKNOWN, Fault.UNKNOWN, Severity.NONE, False, "accepted", "", 1.0)
_OUR_FAULT = Outcome(
    Result.DEFERRED, Reply(None, "4.3.0", "trouble of our own; see the log", Stage.UNKNOWN), "", ""
)
_OUR_LOSS = Outcome(
    Result.DEFERRED, Reply(None, "4.3.0", "the message's content is gone", Stage.UNKNOWN), "", ""
)

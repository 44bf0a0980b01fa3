"""One attempt: a claim goes in, what came of it comes out.

The order is the promise: suppression asked once more, the way looked up or chosen, the message
signed, the conversation held, the answer judged.  A way that fails of its own is not the message's
trouble: the next one is tried within the same attempt.  Nothing here touches the database while
anything is on the network, and nothing a remote host does raises: the worst it can do is a `Record`
that puts the delivery off.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
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
from sender.route_choice import Chosen, Mail, Next, RouteChoice
from sender.route_health import as_deferred
from sender.smtp import Envelope, Outcome, Result, Route
from sender.submit import RANKS
from sender.tls_report import PROBE as TLS_REPORT

SHORTLY = 5.0
"""Seconds that a claim waits which our own database could not prepare."""


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
    choice: RouteChoice | None = None  # None: `ways` for everything
    undeterred: Ways | None = None  # for TLS reports, which failing TLS must not stop

    async def attempt(self, claim: Claim) -> Record:
        """Try a claimed delivery once.  Raises only for our own faults."""
        started = self.clock()
        ready = await self.prepare(claim)
        if ready.withheld is not None:
            return self._withheld(claim, ready.withheld, started)
        if ready.content is None:
            return self._record(claim, _OUR_LOSS, started)
        if self.choice is not None:
            return await self._by_choice(self.choice, claim, ready.content, started)
        ways = self.ways
        if claim.probe == TLS_REPORT and self.undeterred is not None:
            ways = self.undeterred
        way = await ways.route(claim.domain, require_tls=claim.require_tls)
        if isinstance(way, Reply):
            return self._nowhere(claim, way, started)
        return await self._along(claim, ready.content, way, started)

    async def _by_choice(
        self, choice: RouteChoice, claim: Claim, content: bytes, started: float
    ) -> Record:
        """Along the first way that works; the last word where none does."""
        mail = Mail(
            claim.delivery_id, claim.domain, claim.stream, _CLASSES[claim.rank], claim.require_tls
        )
        passed: set[str] = set()
        done: Record | None = None
        while True:
            way = await choice.way(mail, passed)
            match way:
                case Chosen():
                    with way:
                        done = await self._along(claim, content, way.route, started, way)
                        told = way.heard(done.result, done.reply)
                    if told is Next.NOWHERE:
                        return done
                    if told is Next.OTHER_ROUTE:
                        passed.add(way.name)
                case Held():
                    return self._held_back(claim, way, started, "other")
                case Reply():
                    return self._nowhere(claim, way, started)
                case None:
                    assert done is not None
                    return done

    def _nowhere(self, claim: Claim, why: Reply, started: float) -> Record:
        # class 5 is our own resolver's sure word; a remote host's never ends a delivery so
        sure = why.stage is Stage.DNS and why.permanent
        result = Result.REFUSED if sure else Result.DEFERRED
        return self._record(claim, Outcome(result, why, why.host, ""), started)

    async def _along(
        self,
        claim: Claim,
        content: bytes,
        way: Route,
        started: float,
        chosen: Chosen | None = None,
    ) -> Record:
        """One conversation, when pacing admits it."""
        if self.pacing is None:
            return await self._send(claim, content, way, started)
        admitted = await self.pacing.enter(way, claim.domain)
        if isinstance(admitted, Held):
            return self._held_back(claim, admitted, started, way.provider)
        with admitted:
            done = await self._send(claim, content, admitted.bounded(way), started)
            if chosen is None or not chosen.own_trouble(done.result, done.reply):
                admitted.heard(done.result, done.reply, done.verdict)
            return done

    async def _send(self, claim: Claim, content: bytes, way: Route, started: float) -> Record:
        signed = await self.finish((claim, content))
        in_utf8 = not signed.partition(b"\r\n\r\n")[0].isascii()  # RFC 6532 headers
        envelope = Envelope(claim.return_path, claim.recipient, signed, in_utf8, claim.ours)
        if claim.probe == TLS_REPORT:
            way = replace(way, domain="")  # RFC 8460 section 3: not in the next report
        outcome = as_deferred(await self.wires.deliver(way, envelope), way)
        return self._record(claim, outcome, started, way.provider)

    def waits(self, claim: Claim, started: float) -> Record:
        """The record of a claim that could not be prepared: given back, and no attempt."""
        return self._held_back(claim, Held(self.clock() + SHORTLY, _NOT_READ), started, "other")

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


_CLASSES = {rank: name for name, rank in RANKS.items()}
_NOT_READ = Verdict(
    Category.SYSTEM,
    Fault.UNKNOWN,
    Severity.NONE,
    False,
    "own/database",
    "held back: our database could not be read for a moment",
    1.0,
)
_FINE = Verdict(Category.UNKNOWN, Fault.UNKNOWN, Severity.NONE, False, "accepted", "", 1.0)
_OUR_FAULT = Outcome(
    Result.DEFERRED, Reply(None, "4.3.0", "trouble of our own; see the log", Stage.UNKNOWN), "", ""
)
_OUR_LOSS = Outcome(
    Result.DEFERRED, Reply(None, "4.3.0", "the message's content is gone", Stage.UNKNOWN), "", ""
)

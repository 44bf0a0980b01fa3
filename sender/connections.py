"""Kept connections: the pool that every outbound delivery goes through.

Owns which connection a message travels on.  Tries a route's hosts in order, those that lately would
not talk last, while the trouble is before the mail transaction (RFC 5321 section 5.1).  Keeps a
connection for the next message to the same site from the same address of ours on the same terms.
Bounds everything: connections in all, per site and address of ours, messages per connection, idle
time, addresses tried and the time spent on them.

A kept connection may have died unseen, or say 421 at its next use.  That is nobody's attempt: if
it fails before MAIL is answered, the message goes on a fresh connection.

Deliveries over the bounds wait their turn, first come first served within a site.  How many may
wait is up to the caller.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiosmtplib import SMTPException

from analysis.reply import Reply, Stage
from sender.smtp import Envelope, Host, Outcome, Result, Route, Timeouts, Tls, TlsMode
from sender.smtp_session import Session, unverified_tls, verified_tls
from sender.smtp_transaction import transact
from sender.tls_report import Failing, TlsReport
from sender.unreachable import Unreachable

_EHLO_NAME = re.compile(r"[!-~]{1,255}", re.ASCII)
_BEFORE_MAIL = frozenset({Stage.CONNECT, Stage.BANNER, Stage.EHLO, Stage.STARTTLS})


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the pool; a connection is open from before its connect until it is cut."""

    total: int = 200  # connections
    per_site: int = 20  # connections; large providers refuse more from one address
    messages: int = 100  # per connection, then a new one: lets the receiver balance its load
    idle: float = 15.0  # seconds a connection is kept unused; many hosts hang up after 30
    addresses: int = 5  # tried per delivery, as in the defaults of Postfix
    search: float = 300.0  # seconds after which no further address is tried

    def __post_init__(self) -> None:
        if min(self.total, self.per_site, self.messages, self.addresses) < 1:
            raise ValueError("limits of connections must be at least 1")


@dataclass(slots=True, eq=False)
class _Site:
    """Deliveries to one site: `users` hold or await a turn, `held` of them have one."""

    turns: asyncio.Semaphore
    most: int  # connections: as many as a route of it has allowed
    users: int = 0
    held: int = 0
    idle: dict[Session, float] = field(default_factory=dict)  # since when; longest first

    def allow(self, most: int) -> None:
        """More turns from now on, also for those who wait.  Fewer are the callers' own affair:
        `sender.pacing` begins no more conversations than it has a share in."""
        for _ in range(most - self.most):
            self.turns.release()
        self.most = max(self.most, most)


class Connections:
    """Deliver envelopes along routes over at most `limits.total` connections.

    Says EHLO as `ehlo_name`, the name that our address resolves to.
    `tls` verifies certificates in mode VERIFIED (default: the system's authorities).
    `report` hears what came of TLS.
    `clock` is monotonic seconds.  Use within one event loop.
    """

    def __init__(
        self,
        *,
        ehlo_name: str,
        timeouts: Timeouts = Timeouts(),  # noqa: B008  frozen
        limits: Limits = Limits(),
        tls: ssl.SSLContext | None = None,
        report: TlsReport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not _EHLO_NAME.fullmatch(ehlo_name):
            raise ValueError(f"not a host name to say EHLO with: {ehlo_name!r}")
        self._ehlo_name = ehlo_name
        self._timeouts = timeouts
        self._limits = limits
        self._verified = tls or verified_tls()
        self._unverified = unverified_tls()
        self._report = report
        self._clock = clock
        self._unreachable = Unreachable(clock)
        self._sites: dict[tuple[str, str | None], _Site] = {}
        self._turns = asyncio.Semaphore(limits.total)
        self._held = 0
        self._idle: dict[Session, _Site] = {}  # longest first
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    async def deliver(self, route: Route, envelope: Envelope) -> Outcome:
        """Hand `envelope` to the first host of `route` that will talk.

        Never raises for anything a remote host does.  When cancelled, the connection is cut; the
        message may or may not have been accepted.  RuntimeError after `close`.
        """
        async with self._turn(route) as site:
            outcome = await self._on_kept(site, route, envelope)
            if outcome is None or (outcome.reused and _talk_elsewhere(outcome)):
                outcome = await self._on_fresh(site, route, envelope)
            return outcome

    async def close(self) -> None:
        """Take no more; say QUIT on every idle connection, wait for the answers, cut.

        Connections in use are cut when their delivery ends.
        """
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        leaving = list(self._idle)
        for session in leaving:
            self._forget(session)
        await asyncio.gather(*(self._say_goodbye(session) for session in leaving))

    @asynccontextmanager
    async def _turn(self, route: Route) -> AsyncIterator[_Site]:
        """The right to one open connection to a site, in turn."""
        if self._closed:
            raise RuntimeError("connections are closed")
        name, most = _pool(route), route.connections or self._limits.per_site
        site = self._sites.setdefault(name, _Site(asyncio.Semaphore(most), most))
        site.allow(most)
        site.users += 1
        try:
            async with site.turns, self._turns:
                site.held += 1
                self._held += 1
                try:
                    yield site
                finally:
                    site.held -= 1
                    self._held -= 1
        finally:
            site.users -= 1
            self._drop_unused(name)

    def _drop_unused(self, name: tuple[str, str | None]) -> None:
        site = self._sites.get(name)
        if site is not None and not site.users and not site.idle:
            del self._sites[name]

    async def _on_kept(self, site: _Site, route: Route, envelope: Envelope) -> Outcome | None:
        session = self._take(site, route)
        if session is None or not await session.renew():
            return None
        return await self._attempt(site, session, envelope, reused=True)

    async def _on_fresh(self, site: _Site, route: Route, envelope: Envelope) -> Outcome:
        """Try hosts in order.  Of several failures, one in a host's own words tells the most."""
        began = self._clock()
        best: Outcome | None = None
        for host in self._unreachable.last(route.hosts)[: self._limits.addresses]:
            if best is not None and self._clock() - began >= self._limits.search:
                break
            outcome = await self._meet(site, route, host, envelope)
            if not _talk_elsewhere(outcome):
                self._unreachable.forget(host)
                return outcome
            self._unreachable.note(host)
            if best is None or best.reply.code is None or outcome.reply.code is not None:
                best = outcome
        assert best is not None
        return best

    async def _meet(self, site: _Site, route: Route, host: Host, envelope: Envelope) -> Outcome:
        """Open a connection to `host` and deliver; in the clear if TLS fails and need not work."""
        self._make_room(site)
        ways = self._ways(route.terms(host))
        for tls in ways:
            session = self._session(route, host)
            problem = await session.open(tls)
            if tls is ways[0]:
                self._tell(session, problem)
            if problem is None or problem.stage is not Stage.STARTTLS:
                break
        if problem is not None:
            return _outcome(session, Result.DEFERRED, problem, reused=False)
        return await self._attempt(site, session, envelope, reused=False)

    def _session(self, route: Route, host: Host) -> Session:
        ehlo_name = route.ehlo_name or self._ehlo_name
        return Session(host, route, ehlo_name=ehlo_name, timeouts=self._timeouts)

    def _ways(self, terms: Tls) -> tuple[ssl.SSLContext | None, ...]:
        """How to open a session on these terms: the next one where TLS fails in the one before.

        None is in the clear, and only ever follows where nobody forbids it.
        """
        match terms.mode:
            case TlsMode.NONE:
                return (None,)
            case TlsMode.VERIFIED:
                return (self._verified,)
            case TlsMode.OPPORTUNISTIC if terms.trial:
                return (self._verified, self._unverified, None)
            case TlsMode.OPPORTUNISTIC:
                return (self._unverified, None)
            case TlsMode.REQUIRED | TlsMode.DANE:
                return (self._unverified,)

    def _tell(self, session: Session, problem: Reply | None) -> None:
        """Count what came of TLS; nothing is known where it never came to that."""
        result = session.failing
        if result is None and problem is None and session.tls_version is not None:
            result = Failing.OK
        domain = session.route.domain
        if self._report is not None and result is not None and domain:
            self._report.note(domain, session.terms.kind, session.host.name, result)

    async def _attempt(
        self, site: _Site, session: Session, envelope: Envelope, *, reused: bool
    ) -> Outcome:
        result, reply = await transact(session, envelope)
        if not session.usable:
            session.close()
        elif self._closed or session.messages >= self._most(session.route):
            session.leave()
        else:
            self._keep(site, session)
        return _outcome(session, result, reply, reused=reused)

    def _most(self, route: Route) -> int:
        return route.connection_messages or self._limits.messages

    def _keep(self, site: _Site, session: Session) -> None:
        site.idle[session] = self._clock()
        self._idle[session] = site
        if self._sweep is None:
            self._plan_sweep()

    def _take(self, site: _Site, route: Route) -> Session | None:
        """The kept connection used last that suits `route`; those found dead or stale are left."""
        for session in reversed(list(site.idle)):
            if not session.usable or self._stale(site, session):
                self._forget(session).leave()
            elif _suits(session, route):
                return self._forget(session)
        return None

    def _stale(self, site: _Site, session: Session) -> bool:
        return self._clock() - site.idle[session] >= self._limits.idle

    def _forget(self, session: Session) -> Session:
        site = self._idle.pop(session)
        del site.idle[session]
        return session

    def _make_room(self, site: _Site) -> None:
        """Leave idle connections so that those held and those idle stay within the bounds.

        A turn is held for the connection to come, and turns are bounded, so enough are idle.
        """
        while site.held + len(site.idle) > site.most:
            self._forget(next(iter(site.idle))).leave()
        while self._held + len(self._idle) > self._limits.total:
            name = _pool(next(iter(self._idle)).route)
            self._forget(next(iter(self._idle))).leave()
            self._drop_unused(name)

    def _plan_sweep(self) -> None:
        self._sweep = asyncio.get_running_loop().call_later(self._limits.idle, self._leave_stale)

    def _leave_stale(self) -> None:
        self._sweep = None
        for session, site in list(self._idle.items()):
            if not session.usable or self._stale(site, session):
                self._forget(session).leave()
                self._drop_unused(_pool(session.route))
        if self._idle:
            self._plan_sweep()

    async def _say_goodbye(self, session: Session) -> None:
        try:
            await session.quit(timeout=self._timeouts.quit)
        except (SMTPException, OSError):
            session.close()


def _pool(route: Route) -> tuple[str, str | None]:
    """What shares kept connections and their bound: receivers count by the address they see."""
    return route.site, route.source_address


def _suits(session: Session, route: Route) -> bool:
    """Same host, same terms: a connection must not lend its TLS or sign-in to another route."""
    kept = session.route
    return session.host in route.hosts and (
        (kept.tls, kept.implicit_tls, kept.username, kept.password, kept.source_address)
        == (route.tls, route.implicit_tls, route.username, route.password, route.source_address)
    )


def _talk_elsewhere(outcome: Outcome) -> bool:
    """Whether the trouble was with the connection rather than with the message.

    Until MAIL is answered nothing has been asked of the host, so another connection, or another
    host, may be tried within the same attempt.
    """
    reply = outcome.reply
    if outcome.result is not Result.DEFERRED:
        return False
    if reply.stage in _BEFORE_MAIL:
        return True
    return reply.stage in (Stage.AUTH, Stage.MAIL) and reply.code in (None, 421)


def _outcome(session: Session, result: Result, reply: Reply, *, reused: bool) -> Outcome:
    host = session.host
    version, verified, policy = session.tls_version, session.tls_verified, session.terms.policy
    return Outcome(result, reply, host.name, host.address, version, verified, reused, policy)

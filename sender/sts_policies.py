"""The MTA-STS policies of the world, as far as we send there: looked up, remembered, renewed.

What a domain once promised binds until its `max_age` is over, whatever its DNS or its policy host
say meanwhile (RFC 8461 section 5.1): somebody who can silence both must not be able to open the way
in the clear.  So policies outlive this process on a `Shelf`.

In memory a domain is asked about once in `Bounds.again`; with a policy in force nobody waits for
that.  Only the first message to a domain waits, for a TXT record that is mostly not there.  One
look at a domain is under way at a time, however many want it.  The policy host must lie where
strangers may send us (`analysis.destination`); redirects are not followed (section 3.3).

`of` raises StoreUnavailable where the shelf cannot be read: without it nobody knows what binds.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from analysis.destination import IPNetwork, refusal
from analysis.store import StoreUnavailable
from sender.https_get import Fetched, Target, Unfetched, fetch
from sender.mta_sts import Mode, Policy, read_policy, record_id
from sender.resolver import Found, Resolver, Trouble, addresses, check_name
from sender.tls_report import Failing, Kind, TlsReport

log = structlog.get_logger()

MAX_POLICY = 65_536
"""Octets: the bound that RFC 8461 section 3.3 suggests."""
_ADDRESSES = 3


@dataclass(frozen=True, slots=True)
class Bounds:
    """Times in seconds."""

    again: float = 900.0  # between looks at a domain's record
    retry: float = 300.0  # after a fetch that failed: RFC 8461 section 3.3
    fresh: float = 86_400.0  # a policy is fetched anew daily, so that blocking us must last
    fetch: float = 15.0  # one GET; a minute, as the RFC suggests, is long for a login code
    fetches: int = 20  # at once
    domains: int = 20_000  # remembered in memory


@dataclass(frozen=True, slots=True)
class Kept:
    """A policy as it was fetched."""

    policy: Policy
    record: str  # the id that the DNS gave for it
    fetched_at: float

    @property
    def until(self) -> float:
        return self.fetched_at + self.policy.max_age


class Shelf(Protocol):
    """Where policies outlive the process.  Raises StoreUnavailable."""

    async def load(self, domain: str) -> Kept | None: ...

    async def save(self, domain: str, kept: Kept) -> None: ...

    async def stale(self, before: float, now: float) -> list[str]:
        """Domains whose policy is in force and was fetched before then, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class _Known:
    kept: Kept | None
    look_at: float


class StsPolicies:
    """`tls` verifies policy hosts; `allowed` are networks that one may lie in although they are not
    public; `clock` is Unix seconds."""

    def __init__(
        self,
        resolver: Resolver,
        shelf: Shelf,
        *,
        tls: ssl.SSLContext,
        clock: Callable[[], float],
        report: TlsReport,
        allowed: Sequence[IPNetwork] = (),
        port: int = 443,
        bounds: Bounds | None = None,
    ) -> None:
        self._resolver = resolver
        self._shelf = shelf
        self._tls = tls
        self._clock = clock
        self._report = report
        self._allowed = tuple(allowed)
        self._port = port
        self._bounds = bounds or Bounds()
        self._places = asyncio.Semaphore(self._bounds.fetches)
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[_Known]] = {}

    async def of(self, domain: str) -> Policy | None:
        """The policy in force for mail to `domain` (A-labels), enforced or in testing."""
        now = self._clock()
        known = self._known.get(domain)
        if known is None or now >= known.look_at:
            task = self._look(domain, known)
            if known is None or not _in_force(known.kept, now):
                # one who gives up must not take the answer away from the others
                known = await asyncio.shield(task)
        return known.kept.policy if known.kept and _in_force(known.kept, now) else None

    async def renew(self) -> int:
        """Fetch anew what was fetched longest ago, whoever writes there; how many were looked at.

        RFC 8461 section 3.3: an attacker must then block us for as long as the policy lasts.
        """
        now = self._clock()
        domains = await self._shelf.stale(now - self._bounds.fresh, now)
        for domain in domains:
            if domain not in self._known:
                await asyncio.shield(self._look(domain, None))
            await asyncio.shield(self._look(domain, self._known.get(domain)))
        return len(domains)

    async def close(self) -> None:
        """Give up all looks under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _look(self, domain: str, known: _Known | None) -> asyncio.Task[_Known]:
        task = self._under_way.get(domain)
        if task is None:
            task = asyncio.create_task(self._learn(domain, known))
            self._under_way[domain] = task
            task.add_done_callback(lambda done: self._ended(domain, done))
        return task

    def _ended(self, domain: str, task: asyncio.Task[_Known]) -> None:
        del self._under_way[domain]
        if not task.cancelled() and (error := task.exception()):
            log.warning("an MTA-STS policy is not known", domain=domain, error=str(error))

    async def _learn(self, domain: str, known: _Known | None) -> _Known:
        """Look at the shelf if it is the first time, else at the record and what it leads to."""
        if known is None and _in_force(kept := await self._shelf.load(domain), self._clock()):
            fresh = _Known(kept, look_at=0.0)  # good for now; the next one looks closer
        else:
            fresh = await self._newest(domain, known.kept if known is not None else None)
        self._known[domain] = fresh
        self._known.move_to_end(domain)
        while len(self._known) > self._bounds.domains:
            self._known.popitem(last=False)
        return fresh

    async def _newest(self, domain: str, kept: Kept | None) -> _Known:
        record = await self._record(domain)
        now = self._clock()
        if record is None or (kept is not None and self._as_before(kept, record, now)):
            return _Known(kept, now + self._bounds.again)
        try:
            async with self._places:
                policy = await self._fetched(domain)
        except _Unusable as trouble:
            self._report.note(domain, Kind.STS, "", trouble.kind)
            log.info("no MTA-STS policy could be fetched", domain=domain, why=str(trouble))
            return _Known(kept, now + self._bounds.retry)
        kept = Kept(policy, record, now)
        try:
            await self._shelf.save(domain, kept)
        except StoreUnavailable as error:
            log.warning("an MTA-STS policy is kept in memory only", domain=domain, error=str(error))
        return _Known(kept, now + self._bounds.again)

    def _as_before(self, kept: Kept, record: str, now: float) -> bool:
        age = now - kept.fetched_at
        return kept.record == record and age < min(self._bounds.fresh, kept.policy.max_age / 2)

    async def _record(self, domain: str) -> str | None:
        try:
            answer = await self._resolver.ask(f"_mta-sts.{domain}", "TXT")
        except ValueError:  # too long with the label in front
            return None
        return record_id(answer.records) if isinstance(answer, Found) else None

    async def _fetched(self, domain: str) -> Policy:
        host = f"mta-sts.{domain}"
        trouble: Unfetched | None = None
        for address in await self._addresses(host):
            target = Target(host, address, "/.well-known/mta-sts.txt", self._port)
            try:
                found = await fetch(target, self._tls, most=MAX_POLICY, seconds=self._bounds.fetch)
            except Unfetched as error:
                trouble = error
                continue
            return _read(found)
        kind = Failing.STS_WEBPKI if trouble and trouble.certificate else Failing.STS_FETCH
        raise _Unusable(kind, str(trouble or "the policy host has no address"))

    async def _addresses(self, host: str) -> list[str]:
        try:
            check_name(host)
        except ValueError as error:
            raise _Unusable(Failing.STS_FETCH, str(error)) from error
        answers = await asyncio.gather(*(self._resolver.ask(host, kind) for kind in ("A", "AAAA")))
        found = addresses(answers)
        vetted = [address for address in found if refusal(address, self._allowed) is None]
        if found and not vetted:
            raise _Unusable(Failing.STS_FETCH, "the policy host is out of bounds")
        if not found and any(isinstance(answer, Trouble) for answer in answers):
            raise _Unusable(Failing.STS_FETCH, "the DNS gave no address of the policy host")
        return vetted[:_ADDRESSES]


class _Unusable(Exception):
    def __init__(self, kind: Failing, why: str) -> None:
        super().__init__(why)
        self.kind = kind


def _read(found: Fetched) -> Policy:
    if found.content_type != "text/plain":
        raise _Unusable(Failing.STS_INVALID, f"the policy is not text/plain: {found.content_type}")
    try:
        return read_policy(found.content)
    except ValueError as error:
        raise _Unusable(Failing.STS_INVALID, str(error)) from error


def _in_force(kept: Kept | None, now: float) -> bool:
    return kept is not None and now < kept.until and kept.policy.mode is not Mode.NONE

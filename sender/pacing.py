"""Pacing: every conversation passes here, and every answer teaches how fast the next may follow.

One `sender.throttle` for each source address and provider, or site (the mail exchangers that
domains share) where the provider is none of ours or counts by site.  `enter` gives a `Pass` at
once or after a short wait for a turn, or says until when the site is `Held`; a delivery held back
is no attempt and burns no retry.

Learns which sites are behind a domain, so that the queue can leave alone what could not go anyway
(`sender.places.Sites`): several where mail takes several routes or goes from several addresses of
ours, and then the domain waits only while all of them do.  Everything is in the memory of one
process and bounded: what was used longest ago is forgotten first.  Use within one event loop,
except as `Sites`.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any

from analysis.hint import wait_hint
from analysis.providers import OTHER
from analysis.reply import Reply
from analysis.verdict import Category, Fault, Severity, Verdict
from sender.allowances import Allowance, Allowances
from sender.heard import Heard, heard
from sender.places import Held
from sender.smtp import Route
from sender.throttle import Throttle

MOST_SITES = 10_000
MOST_DOMAINS = 50_000
MOST_WAYS = 8
"""Of one domain that are remembered: routes and addresses of ours, those used last."""
SHORTLY = 1.0
"""Seconds after which a delivery that found all turns taken asks again."""


@dataclass(slots=True, eq=False)
class _Site:
    name: str  # said to people: the provider, or else the domain
    provider: str
    throttle: Throttle
    held_by: Category = Category.RATE_LIMIT  # what suspended it
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)

    def wake(self, now: float) -> None:
        """Let in as many as may begin; all of them while nobody may, to hear so."""
        places = self.throttle.room(now)
        if self.throttle.suspended(now):
            places = len(self.waiting)
        while self.waiting and places > 0:
            turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                places -= 1

    def held(self, now: float) -> Held | None:
        """Whether everything to this site waits, and until when."""
        if not self.throttle.suspended(now):
            return None
        rule = "unreachable" if self.held_by is Category.NETWORK else "suspended"
        return _held(self.throttle.until, self.held_by, rule, self.throttle.why)


class Pass:
    """The right to one conversation, for the length of a `with` block; `heard` what came of it."""

    __slots__ = ("_clock", "_site", "_wave")

    def __init__(self, site: _Site, clock: Callable[[], float]) -> None:
        self._site = site
        self._clock = clock
        self._wave = site.throttle.begin(clock())

    def bounded(self, route: Route) -> Route:
        """The route with the bounds of its connections."""
        allowed = self._site.throttle.allowance
        return replace(
            route,
            connections=allowed.connections,
            connection_messages=allowed.connection_messages,
        )

    def heard(self, result: str, reply: Reply, verdict: Verdict) -> None:
        """Learn from an answer: what it came to, the words, the judgement on them."""
        site, throttle, now = self._site, self._site.throttle, self._clock()
        why, by = "", Category.RATE_LIMIT
        match heard(result, reply, verdict):
            case Heard.TAKEN:
                throttle.taken()
            case Heard.SLOWER:
                why = f"{site.name} asked us to slow down ({str(reply)[:300]})"
                throttle.slower(now, self._wave, why, hint=wait_hint(reply.text))
            case Heard.SILENT:
                why, by = f"{site.name} does not answer ({reply.text[:300]})", _SILENCE
                throttle.silent(now, self._wave, why)
        if why and throttle.why is why:
            site.held_by = by

    def __enter__(self) -> Pass:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._site.throttle.end()
        self._site.wake(self._clock())


class Pacing:
    """`clock` is Unix seconds: what is held back is put off to a time that others read."""

    def __init__(
        self,
        allowances: Allowances,
        *,
        clock: Callable[[], float],
        chance: Callable[[], float],
        most_sites: int = MOST_SITES,
        most_domains: int = MOST_DOMAINS,
    ) -> None:
        self._allowances = allowances
        self._clock = clock
        self._chance = chance
        self._most_sites = most_sites
        self._most_domains = most_domains
        self._sites: dict[str, _Site] = {}  # used longest ago first
        self._ways_to: dict[str, dict[_Way, str]] = {}  # domain to the site behind each way
        self._eased: dict[str, float] = {}  # provider to what is left of its allowance

    async def enter(self, route: Route, domain: str) -> Pass | Held:
        """Wait for a turn if few do; `Held` where the site is suspended or its turns are taken."""
        site = self._find(route, domain)
        while True:
            now = self._clock()
            if (held := site.held(now)) is not None:
                return held
            if site.throttle.room(now) > 0:
                return Pass(site, self._clock)
            if (soon := self._crowded(site, now)) is not None:
                return soon
            turn = asyncio.get_running_loop().create_future()
            site.waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    site.wake(self._clock())  # a turn given to us goes to the next
                raise

    def site_of(self, domain: str) -> str | None:
        """The site behind a domain, or several in one name."""
        ways = self._ways_to.get(domain)
        if ways is None:
            return None
        return next(iter(ways.values())) if len(ways) == 1 else _AND.join(sorted(ways.values()))

    def share(self, site: str, now: float) -> int | Held:
        """As many may await their turn as may talk: a free turn is then taken at once."""
        shares = [self._share(name, now) for name in site.split(_AND)]
        open_ = [share for share in shares if not isinstance(share, Held)]
        if open_:
            return sum(open_)
        return min((s for s in shares if isinstance(s, Held)), key=lambda held: held.until)

    def _share(self, site: str, now: float) -> int | Held:
        found = self._sites.get(site)
        if found is None:
            return MOST_SITES
        throttle = found.throttle
        if (held := found.held(now)) is not None:
            return held
        return int(min(2 * throttle.places, throttle.under_way + throttle.tokens(now)))

    def ease(self, factors: Mapping[str, float]) -> None:
        """What is left of the allowance of each provider from now on; of others all of it."""
        if factors == self._eased:
            return
        self._eased = dict(factors)
        now = self._clock()
        for site in self._sites.values():
            site.throttle.ease = self._eased.get(site.provider, 1.0)
            site.wake(now)

    def suspended(self) -> Counter[str]:
        """How many sites are suspended, by provider."""
        now = self._clock()
        return Counter(s.provider for s in self._sites.values() if s.throttle.suspended(now))

    def _crowded(self, site: _Site, now: float) -> Held | None:
        """Held for a moment where the rate is used up, or enough wait already."""
        throttle = site.throttle
        if wait := throttle.next_token(now):
            why = f"{throttle.allowance.rate} is the most that we send to {site.name}"
        elif len(site.waiting) >= throttle.places:
            wait = SHORTLY
            why = f"as many conversations with {site.name} as it allows are under way"
        else:
            return None
        until = now + wait + SHORTLY * self._chance()
        return _held(until, Category.RATE_LIMIT, "full", why)

    def _find(self, route: Route, domain: str) -> _Site:
        provider = route.provider if route.domain or not route.fixed else OTHER  # a relay is itself
        allowance = self._allowances.of(provider, fixed=route.fixed)
        key = _key(route, allowance)
        site = self._sites.pop(key, None)
        if site is None:
            _bound(self._sites, self._most_sites)
            shown = route.domain or route.site if provider == OTHER else provider
            if route.source_address:
                shown = f"{shown} (from {route.source_address})"
            site = _Site(shown, provider, Throttle(allowance))
            site.throttle.ease = self._eased.get(provider, 1.0)
        self._sites[key] = site  # last: used just now
        self._learn(domain, route, key)
        return site

    def _learn(self, domain: str, route: Route, key: str) -> None:
        ways = dict(self._ways_to.pop(domain, {}))  # a copy: other threads read the old one
        way = (route.site if route.by_relay else "", route.source_address)
        ways.pop(way, None)
        _bound(ways, MOST_WAYS)
        ways[way] = key
        _bound(self._ways_to, self._most_domains)
        self._ways_to[domain] = ways


def _key(route: Route, allowance: Allowance) -> str:
    """What shares a throttle.  Behind a fixed host domains are slow or quick one by one."""
    if route.fixed:
        key = f"{route.domain} by {route.site}" if route.domain else route.site
    elif route.provider == OTHER or allowance.per_site:
        key = route.site
    else:
        key = route.provider
    return f"{key} from {route.source_address}" if route.source_address else key


_SILENCE = Category.NETWORK
_AND = "\n"
_Way = tuple[str, str | None]
"""A relay's site, or none for the domain's own exchangers; the address of ours."""


def _bound(entries: dict[Any, Any], most: int) -> None:
    if len(entries) >= most:
        del entries[next(iter(entries))]


def _held(until: float, category: Category, rule: str, why: str) -> Held:
    fault = Fault.NETWORK if category is Category.NETWORK else Fault.SENDER
    text = f"held back: {why}"
    return Held(until, Verdict(category, fault, Severity.SOFT, False, f"pacing/{rule}", text, 1.0))

"""Pacing: every conversation passes here, and every answer teaches how fast the next may follow.

One `sender.throttle` for each source address and provider, or site (the mail exchangers that
domains share) where the provider is none of ours or counts by site.  `enter` gives a `Pass` at
once or after a short wait for a turn, or says until when the site is `Held`; a delivery held back
is no attempt and burns no retry.

Learns which sites are behind a domain (`sender.behind`), so that the queue can leave alone what
could not go anyway (`sender.places.Sites`): where there are several, the domain waits only while
all of them do.  Everything is in the memory of one process and bounded: what was used longest ago
is forgotten first.  What it may use of each site it is told by `hold`, where several nodes share
(`sender.pacing_leases`).  Use within one event loop, except as `Sites`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import islice
from math import isinf
from types import TracebackType

from analysis.hint import wait_hint
from analysis.pause import pause
from analysis.providers import OTHER
from analysis.reply import Reply
from analysis.verdict import Category, Verdict
from sender.allowances import Allowance, Allowances
from sender.behind import MOST_DOMAINS, Behind, make_room, sites_in
from sender.heard import Heard, heard
from sender.pacing_shares import ALL, Cut, Holding, Share, Wanted
from sender.places import Held
from sender.site import Site, held_back
from sender.smtp import Route
from sender.throttle import Throttle

MOST_SITES = 10_000
MOST_SHARED = 1_000
"""Sites, used last, that other nodes are told of."""
PATIENCE = 5.0
"""Seconds that a delivery waits while this node asks for its shares."""
ROUNDS = 4
"""Rounds of sharing that a delivery waits for a first part of a site that is new to this node."""
SHORTLY = 1.0
"""Seconds after which a delivery that found all turns taken asks again."""


class Pass:
    """The right to one conversation, for the length of a `with` block; `heard` what came of it."""

    __slots__ = ("_clock", "_site", "_wave")

    def __init__(self, site: Site, clock: Callable[[], float]) -> None:
        self._site = site
        self._clock = clock
        self._wave = site.throttle.begin(clock())

    def bounded(self, route: Route) -> Route:
        """The route with the bounds of its connections."""
        allowed = self._site.throttle.allowance
        return replace(
            route,
            connections=max(1, self._site.throttle.held),
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
        self._sites: dict[str, Site] = {}  # used longest ago first
        self._behind = Behind(most_domains)
        self._eased: dict[str, float] = {}  # provider to what is left of its allowance
        self._holding, self._held_until = ALL, float("inf")
        self._cuts: Mapping[str, Cut] = {}  # what other nodes were told lately
        self._awake = asyncio.Event()
        self._awake.set()
        self._next = asyncio.Event()  # set, and another put in its place, by each `hold`
        self.stirred = asyncio.Event()
        """Set where somebody would send for whom this node holds nothing yet."""

    async def enter(self, route: Route, domain: str) -> Pass | Held:
        """Wait for a turn if few do; `Held` where the site is suspended or its turns are taken."""
        site, key = self._find(route, domain)
        rounds = ROUNDS
        while True:
            if not self.holds and not await self._renewed(site):
                until = self._clock() + SHORTLY
                return held_back(until, Category.RATE_LIMIT, "unshared", _UNSHARED)
            now = self._clock()
            if (held := site.held(now)) is not None:
                return held
            if site.throttle.room(now) > 0:
                return Pass(site, self._clock)
            if rounds and not self._holding.settled(key):
                rounds -= 1
                await self._stir(site, self._next)
                continue
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
        return self._behind.site_of(domain)

    def share(self, site: str, now: float) -> int | Held:
        """As many may await their turn as may talk: a free turn is then taken at once."""
        shares = [self._share(name, now) for name in sites_in(site)]
        open_ = [share for share in shares if not isinstance(share, Held)]
        if open_:
            return sum(open_)
        return min((s for s in shares if isinstance(s, Held)), key=lambda held: held.until)

    def _share(self, site: str, now: float) -> int | Held:
        found = self._sites.get(site)
        if found is None:
            return MOST_SITES
        return found.asked(now)

    def hold(self, holding: Holding, until: float) -> None:
        """What this node may use of each site from now on; nothing after `until`."""
        before, self._holding, self._held_until = self._holding, holding, until
        self._awake.set()
        self._next.set()
        self._next = asyncio.Event()
        now = self._clock()
        for key in holding.changed_from(before, self._sites):
            site = self._sites[key]
            site.throttle.hold(now, self._part(key, site.throttle.allowance))
            site.wake(now)

    def sleep(self) -> None:
        """Hold nothing until the next `hold`, which whoever would send waits for."""
        self._awake.clear()

    @property
    def holds(self) -> bool:
        """Whether this node may use its shares now."""
        return self._awake.is_set() and self._clock() < self._held_until

    @property
    def holding(self) -> Holding:
        return self._holding

    async def _renewed(self, site: Site) -> bool:
        """Wait until this node holds something again; False where that takes too long."""
        self.sleep()
        return await self._stir(site, self._awake)

    async def _stir(self, site: Site, told: asyncio.Event) -> bool:
        """Have the shares renewed now rather than within a second, and wait for it."""
        site.refused = True
        self.stirred.set()
        return await pause(told, PATIENCE)

    def wanted(self) -> dict[str, Wanted]:
        """What this node could use of the sites that it writes to; ask about once a second."""
        now = self._clock()
        found = ((key, site.wanted(now)) for key, site in self._recent())
        return {key: wanted for key, wanted in found if wanted is not None}

    def cuts(self) -> dict[str, Cut]:
        """What sites asked of us lately, or of others."""
        now = self._clock()
        found = ((key, site.cut(now)) for key, site in self._recent())
        return {key: cut for key, cut in found if cut is not None}

    def _recent(self) -> list[tuple[str, Site]]:
        return list(islice(reversed(self._sites.items()), MOST_SHARED))

    def told(self, cuts: Mapping[str, Cut]) -> None:
        """What sites asked of other nodes."""
        now, self._cuts = self._clock(), cuts
        for key in cuts.keys() & self._sites.keys():
            self._sites[key].told(now, cuts[key])

    def _part(self, key: str, allowance: Allowance) -> Share | None:
        if self._holding.everything:
            return None
        return self._holding.of(key, allowance.connections)

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

    def _crowded(self, site: Site, now: float) -> Held | None:
        """Held for a moment where the rate is used up, or enough wait already."""
        throttle = site.throttle
        if wait := throttle.next_token(now):
            wait = SHORTLY if isinf(wait) else wait
            why = f"{throttle.allowance.rate} is the most that we send to {site.name}"
        elif len(site.waiting) >= throttle.places:
            wait = SHORTLY
            why = f"as many conversations with {site.name} as it allows are under way"
        else:
            return None
        site.refused = True
        until = now + wait + SHORTLY * self._chance()
        return held_back(until, Category.RATE_LIMIT, "full", why)

    def _find(self, route: Route, domain: str) -> tuple[Site, str]:
        """The site, and the key that its shares are kept by."""
        provider = route.provider if route.domain or not route.fixed else OTHER  # a relay is itself
        allowance = self._allowances.of(provider, fixed=route.fixed)
        key = _key(route, allowance)
        site = self._sites.pop(key, None)
        if site is None:
            make_room(self._sites, self._most_sites)
            shown = route.domain or route.site if provider == OTHER else provider
            if route.source_address:
                shown = f"{shown} (from {route.source_address})"
            site = Site(shown, provider, Throttle(allowance, share=self._part(key, allowance)))
            site.throttle.ease = self._eased.get(provider, 1.0)
            if (cut := self._cuts.get(key)) is not None:
                site.told(self._clock(), cut)
        self._sites[key] = site  # last: used just now
        self._behind.learn(domain, route, key)
        return site, key


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
_UNSHARED = "the database is asked how much of each site this node may use"

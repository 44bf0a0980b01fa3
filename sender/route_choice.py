"""The choice of a route: by what a message is, what works now, and what may go out today.

The routes that match a message are tried in the order of the settings.  Where the first of them has
a share, all that match and have one are drawn lots for, the same lot for a delivery on every try
(`sender.shares`).  A route that is out, has no source address that works, or has sent what its
warm-up allows today gives its deliveries to the next one, unless it has no failover.  After the
last one comes the host that the operator named for everything (`[sender] relay`); direct MX only
where no route matches, because an address that nobody prepared is no way out.  What `static_mx`
names, a domain or all of them, keeps its host: no relay is asked.

`way` gives a `Chosen` to go along, or says that all wait (`Held`: no attempt), or what the DNS
says (`Reply`), or None where nothing is left but ways that this attempt has already been.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from types import TracebackType

from analysis.reply import Reply, Stage
from analysis.verdict import Category
from sender.places import Held
from sender.route_health import Bounds, RouteHealth, Use, own_trouble, waiting
from sender.routes import Relay, Routes
from sender.shares import ranked
from sender.smtp import Result, Route
from sender.sources import Source, Sources
from sender.warmup import DAY, Ladder, Taken, Warmup, next_day

DEFAULT = "default"
"""The name of the way of messages that no route is for."""


@dataclass(frozen=True, slots=True)
class Mail:
    """What a route is chosen by."""

    delivery_id: str
    domain: str
    stream: str
    class_: str
    require_tls: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """Which mail; what is empty matches all.  A domain with a dot in front is a suffix."""

    streams: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()

    def fits(self, mail: Mail, provider: str) -> bool:
        return (
            (not self.streams or mail.stream in self.streams)
            and (not self.classes or mail.class_ in self.classes)
            and (not self.providers or provider in self.providers)
            and (not self.domains or not self.domains.isdisjoint(_names(mail.domain)))
        )


def _names(domain: str) -> Iterator[str]:
    """`a.example.net`, `.example.net`, `.net`."""
    yield domain
    _, dot, rest = domain.partition(".")
    while dot:
        yield dot + rest
        _, dot, rest = rest.partition(".")


@dataclass(frozen=True, slots=True)
class Plan:
    """A route of the settings."""

    name: str
    relay: Relay | None = None  # None: direct to the mail exchangers
    match: Match = Match()
    sources: tuple[Source, ...] = ()
    share: float | None = None
    failover: bool = True
    ladder: Ladder | None = None
    bounds: Bounds = field(default_factory=Bounds)


class Next(Enum):
    """Where a delivery may go at once after a conversation."""

    NOWHERE = auto()  # that was its try
    SAME_ROUTE = auto()  # from another address of ours
    OTHER_ROUTE = auto()


class Chosen:
    """A way to go along, for the length of a `with` block; `heard` what came of it."""

    __slots__ = ("_choice", "_place", "_use", "name", "route")

    def __init__(
        self,
        name: str,
        route: Route,
        choice: RouteChoice,
        use: Use | None = None,
        place: Taken | None = None,
    ) -> None:
        self.name = name
        self.route = route
        self._choice = choice
        self._use = use
        self._place = place

    def heard(self, result: str, reply: Reply) -> Next:
        """What a conversation came to, and where the delivery may be tried next at once."""
        if result == Result.ACCEPTED:
            self._place = None  # used for good
        if self._use is None:
            return Next.NOWHERE
        if reply.stage is Stage.CONNECT and self._source_lost():
            return Next.SAME_ROUTE
        if self.own_trouble(result, reply):
            self._use.failed(str(reply))
            return Next.OTHER_ROUTE
        if result not in ("held", "withheld"):
            self._use.worked()
        return Next.NOWHERE

    def own_trouble(self, result: str, reply: Reply) -> bool:
        """Whether an answer is about this route, which then learns of it in place of pacing."""
        return self._use is not None and self.route.by_relay and own_trouble(result, reply)

    def _source_lost(self) -> bool:
        source = self.route.source_address
        return source is not None and not self._choice.sources.usable(source, doubted=True)

    def __enter__(self) -> Chosen:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._place is not None:
            self._choice.warmup.give_back(self._place)
        if self._use is not None:
            self._use.__exit__(kind, error, trace)


@dataclass(slots=True)
class RouteChoice:
    """`plans` in the order of the settings, with names of their own.  `clock` is Unix seconds."""

    plans: Sequence[Plan]
    routes: Routes
    sources: Sources
    warmup: Warmup
    clock: Callable[[], float]
    health: Mapping[str, RouteHealth] = field(init=False)
    _asks_provider: bool = field(init=False)

    def __post_init__(self) -> None:
        self.health = {p.name: RouteHealth(p.name, self.clock, p.bounds) for p in self.plans}
        self._asks_provider = any(p.match.providers or p.ladder for p in self.plans)

    def out(self) -> dict[str, bool]:
        """Whether each route is out now."""
        return {name: health.out for name, health in self.health.items()}

    async def way(self, mail: Mail, passed: Collection[str] = ()) -> Chosen | Held | Reply | None:
        """`passed`: routes that this attempt has been along, and that failed it."""
        provider = await self.routes.provider(mail.domain) if self._asks_provider else None
        candidates = self._candidates(mail, provider)
        if not candidates:
            return await self._default(mail)
        waits: list[Held] = []
        failing = False  # one that failed this attempt is not out: the schedule knows what then
        for plan in candidates:
            if plan.name in passed:
                found: Chosen | Held | Reply | None = self.health[plan.name].held()
            else:
                found = await self._along(plan, mail, provider)
            if isinstance(found, Held):
                waits.append(found)
            elif found is not None:
                return found
            failing = failing or found is None
            if not plan.failover:
                break
        else:
            if self.routes.is_named(mail.domain):
                return await self._default(mail)
        return None if failing else min(waits, key=lambda held: held.until)

    def _candidates(self, mail: Mail, provider: str | None) -> list[Plan]:
        """Those that match, in the order to try them."""
        fixed = self.routes.is_fixed(mail.domain)
        fitting = [
            p
            for p in self.plans
            if p.match.fits(mail, provider or "") and not (fixed and p.relay is not None)
        ]
        if not fitting or fitting[0].share is None:
            return fitting
        sharing = {plan.name: plan for plan in fitting if plan.share is not None}
        lots = ranked(mail.delivery_id, {name: p.share or 1.0 for name, p in sharing.items()})
        return [sharing[name] for name in lots] + [p for p in fitting if p.share is None]

    async def _default(self, mail: Mail) -> Chosen | Reply:
        found = await self.routes.route(mail.domain, require_tls=mail.require_tls)
        return found if isinstance(found, Reply) else Chosen(DEFAULT, found, self)

    async def _along(self, plan: Plan, mail: Mail, provider: str | None) -> Chosen | Held | Reply:
        use = self.health[plan.name].enter()
        if isinstance(use, Held):
            return use
        chosen: Chosen | Held | Reply | None = None
        try:
            chosen = await self._made(plan, mail, provider, use)
        finally:
            if not isinstance(chosen, Chosen):
                use.__exit__(None, None, None)
        return chosen

    async def _made(
        self, plan: Plan, mail: Mail, provider: str | None, use: Use
    ) -> Chosen | Held | Reply:
        route = await self._hosts(plan, mail, provider)
        if isinstance(route, Reply):
            if plan.relay is None:
                return route  # the DNS on the domain: true of every way
            use.failed(str(route))
            health = self.health[plan.name]
            why = f"the route {plan.name} has no host now: {route.text}"
            return health.held() or waiting(
                self.clock() + plan.bounds.first, why, "out", Category.NETWORK
            )
        if plan.sources:
            source = self.sources.pick(plan.sources, mail.delivery_id, route.hosts)
            if isinstance(source, Held):
                return source
            route = _from(source, route)
        place = await self._place(plan, route)
        if isinstance(place, Held):
            return place
        return Chosen(plan.name, route, self, use, place)

    async def _hosts(self, plan: Plan, mail: Mail, provider: str | None) -> Route | Reply:
        if plan.relay is None:
            return await self.routes.by_mx(mail.domain, require_tls=mail.require_tls)
        return await self.routes.by_relay(
            plan.relay, mail.domain, require_tls=mail.require_tls, provider=provider
        )

    async def _place(self, plan: Plan, route: Route) -> Taken | Held | None:
        """A place on today's step of the ladder; None where there is no bound today."""
        now = self.clock()
        limit = None if plan.ladder is None else plan.ladder.limit(int(now // DAY))
        if limit is None:
            return None
        source = route.source_address or f"route {plan.name}"
        place = await self.warmup.take(source, route.provider, limit) if limit else None
        if place is not None:
            return place
        why = f"{limit} messages a day is what {source} sends to {route.provider} while it warms up"
        return waiting(next_day(now), why, "warmup", Category.RATE_LIMIT)


def _from(source: Source, route: Route) -> Route:
    """The route from an address of ours, to the hosts that it reaches."""
    return replace(
        route,
        hosts=tuple(filter(source.reaches, route.hosts)),
        source_address=source.address,
        ehlo_name=source.ehlo_name,
    )

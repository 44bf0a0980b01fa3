"""Incidents, reputation and blocklists, wired: what is judged how often, and by which process.

Duties, each done by one process of all: `incidents` every few seconds (the tallies of everybody),
`reputation` every ten minutes (a count over the deliveries of a day), `blocklists` as set.  Loops
of each process: its own tallies are written, and a sender asks which providers it must go easy on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import structlog

from analysis import blocklisted, breaker, incident_judging, incidents, reputation, tallies
from analysis.destination import refusal
from analysis.duties import Duty
from analysis.incident_policy import Do, Policy, shipped
from analysis.incidents import Change
from analysis.pause import pause
from analysis.store import Store, StoreUnavailable
from carom.engine import Engine
from carom.settings import Settings
from sender import blocklists
from sender.blocklists import Blocklists
from sender.pacing import Pacing
from sender.resolver import Resolver

log = structlog.get_logger()

JUDGE_EVERY = 10.0
MEASURE_EVERY = 600.0
FORGET_EVERY = 1_800.0
EASE_EVERY = 2.0


def duties(engine: Engine) -> list[Duty]:
    """The duties of reputation; blocklists are asked only where the settings name any."""
    settings, store, new_id = engine.settings, engine.store, engine.new_id
    policy = shipped()
    spike = breaker.Spike() if settings.suppression.breaker else None

    async def judge(now: float) -> None:
        told(await judged(store, policy, spike, now, new_id))

    async def measure(now: float) -> None:
        measured = await store.read(lambda tx: reputation.measure(tx, now))
        changes = await store.write(
            lambda tx: reputation.follow(tx, policy, measured, now=now, new_id=new_id)
        )
        told(changes)

    async def forget(now: float) -> None:
        await store.write(lambda tx: tallies.forget(tx, now))

    found = [
        Duty("incidents", JUDGE_EVERY, judge),
        Duty("reputation", MEASURE_EVERY, measure),
        Duty("tallies", FORGET_EVERY, forget),
    ]
    if settings.reputation.blocklists:
        check = checking(settings, store, engine.resolver, policy, new_id)
        found.append(Duty("blocklists", settings.reputation.check_every, check))
    return found


async def judged(
    store: Store,
    policy: Policy,
    spike: breaker.Spike | None,
    now: float,
    new_id: Callable[[], str],
) -> list[Change]:
    """Everything that is judged by tallies; `spike` None: the breaker is switched off."""
    totals = await store.read(lambda tx: incident_judging.look(tx, policy, now))
    changes = await store.write(
        lambda tx: incident_judging.judge_all(tx, policy, totals, now=now, new_id=new_id)
    )
    if spike is not None:
        deaths = await store.read(lambda tx: breaker.look(tx, spike, now))
        changes += await store.write(
            lambda tx: breaker.judge_all(tx, policy, spike, deaths, now=now, new_id=new_id)
        )
    return changes


def checking(
    settings: Settings,
    store: Store,
    resolver: Resolver,
    policy: Policy,
    new_id: Callable[[], str],
) -> Callable[[float], Awaitable[None]]:
    """The check of blocklists as a duty."""
    known = blocklists.shipped()
    lists = [known[name] for name in settings.reputation.blocklists]
    remove = {one.name: one.remove for one in lists}
    checks = Blocklists(resolver, lists)

    async def check(now: float) -> None:
        found = await checks.check(subjects(settings))
        rows = [
            blocklisted.Standing(
                one.list, one.subject, one.kind, one.state, one.said, remove[one.list]
            )
            for one in found
        ]
        told(
            await store.write(
                lambda tx: blocklisted.follow(tx, policy, rows, now=now, new_id=new_id)
            )
        )

    return check


def subjects(settings: Settings) -> list[str]:
    """What receivers know us by: addresses, the domains of From and of bounces."""
    ours = settings.reputation
    sources = [source for route in settings.sender.routes for source in route.source]
    public = [source.address for source in sources if refusal(source.address) is None]
    domains = [settings.sender.domain, settings.ingest.domain, *ours.domains]
    found = [*map(str, ours.addresses or public), *domains]
    return list(dict.fromkeys(name for name in found if name))


async def keep_easing(
    pacing: Pacing, store: Store, stop: asyncio.Event, *, clock: Callable[[], float]
) -> None:
    """Go easy on providers with an open incident, until `stop`; back to normal by stages."""
    policy = shipped()
    while not stop.is_set():
        try:
            now = clock()
            pacing.ease(await store.read(lambda tx, now=now: incidents.factors(tx, policy, now)))  # type: ignore[misc]
        except StoreUnavailable as error:
            log.warning("pacing stays as it is: the database is unavailable", error=str(error))
        await pause(stop, EASE_EVERY)


def told(changes: Iterable[Change]) -> None:
    for change in changes:
        log.warning(
            "incident",
            what=_WORDS[change.do],
            incident=change.incident_id,
            kind=change.place.kind,
            provider=change.place.provider,
            subject=change.place.subject,
        )


_WORDS = {Do.OPEN: "opened", Do.REOPEN: "opened again", Do.CLOSE: "closed"}

"""Ways out, made from the settings: the resolver, mail exchangers, the relay, policies of TLS."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from datetime import date
from typing import Any

from analysis.store import Store
from carom.errors import SettingsError
from carom.settings import Settings
from carom.settings.routing import Route as RouteSettings
from carom.settings.sending import Provider
from carom.settings.sending import Relay as RelaySettings
from carom.settings.units import Endpoint
from carom.settings.words import RelayTls
from sender.allowances import Allowance, Allowances, parse_rate, shipped
from sender.mx import MailExchange
from sender.resolver import Bounds, Resolver
from sender.route_choice import Match, Plan, RouteChoice
from sender.route_health import Bounds as OutBounds
from sender.routes import Relay, Routes
from sender.smtp import TlsMode
from sender.smtp_session import verified_tls
from sender.sources import Source, Sources
from sender.sts_policies import StsPolicies
from sender.tls_report import TlsReport
from sender.tls_store import PolicyShelf
from sender.tls_terms import TlsTerms
from sender.warmup import Ladder, Warmup, parse_steps


def resolver(settings: Settings) -> Resolver:
    """The resolver of these settings; close it when done."""
    dns = settings.sender.dns
    return Resolver(
        [(server.host, server.port) for server in dns.nameservers],
        clock=time.monotonic,
        bounds=Bounds(dns.timeout, dns.lifetime, dns.concurrency, dns.cache),
        trust_ad=dns.trust_ad,
    )


def authorities(settings: Settings) -> ssl.SSLContext:
    """Wants certificates that hold, by the authorities of these settings."""
    file = settings.sender.tls.authorities
    try:
        return verified_tls(None if file is None else str(file))
    except (OSError, ssl.SSLError) as error:
        words = getattr(error, "strerror", None) or "no certificate in it"
        raise SettingsError(f"[sender.tls] authorities: {file}: {words}") from error


def sts_policies(
    settings: Settings,
    authorities: ssl.SSLContext,
    resolver: Resolver,
    store: Store,
    report: TlsReport,
    clock: Callable[[], float],
) -> StsPolicies | None:
    """The MTA-STS policies, None where they are switched off; close them when done."""
    if not settings.sender.tls.mta_sts:
        return None
    return StsPolicies(
        resolver,
        PolicyShelf(store),
        tls=authorities,
        clock=clock,
        report=report,
        allowed=settings.sender.allow_networks,
    )


def allowances(settings: Settings) -> Allowances:
    """The ceilings of pacing: shipped, and what these settings go over."""
    sender = settings.sender
    return Allowances(
        Allowance(sender.site_connections, sender.connection_messages),
        shipped(),
        {name: _gone_over(given) for name, given in settings.providers.items()},
    )


def _gone_over(given: Provider) -> dict[str, Any]:
    values = given.model_dump(exclude_none=True)
    return values | ({"rate": parse_rate(given.rate)} if given.rate else {})


def routes(
    settings: Settings, resolver: Resolver, chance: Callable[[], float], tls: TlsTerms | None = None
) -> Routes:
    """The routes of these settings.  `chance` gives numbers from 0 up to 1."""
    sender = settings.sender
    exchange = MailExchange(
        resolver,
        random=chance,
        static={domain: str(target) for domain, target in sender.static_mx.items()},
        allowed=sender.allow_networks,
    )
    relay = _relay(sender.relay, sender.relay.host) if sender.relay is not None else None
    return Routes(exchange, relay=relay, static=frozenset(sender.static_mx), tls=tls)


def choice(settings: Settings, routes: Routes, warmup: Warmup) -> RouteChoice | None:
    """The choice among `[sender] routes`; None where there are none."""
    plans = [_plan(route) for route in settings.sender.routes]
    clock = warmup.clock
    return RouteChoice(plans, routes, Sources(clock=clock), warmup, clock) if plans else None


def _plan(given: RouteSettings) -> Plan:
    return Plan(
        given.name,
        relay=_relay(given, given.host, given.name) if given.host else None,
        match=Match(
            frozenset(given.stream),
            frozenset(given.domain),
            frozenset(given.provider),
            frozenset(given.class_),
        ),
        sources=tuple(Source(str(s.address), s.hostname or None) for s in given.source),
        share=given.share,
        failover=given.failover,
        ladder=_ladder(given),
        bounds=OutBounds(given.failures, given.window, given.probe),
    )


def _ladder(given: RouteSettings) -> Ladder | None:
    if given.warmup is None:
        return None
    first = given.warmup.since.toordinal() - date(1970, 1, 1).toordinal()
    return Ladder(parse_steps(given.warmup.ladder), first)


_MODES = {
    RelayTls.REQUIRED: TlsMode.VERIFIED,
    RelayTls.IMPLICIT: TlsMode.VERIFIED,
    RelayTls.OPPORTUNISTIC: TlsMode.OPPORTUNISTIC,
    RelayTls.NONE: TlsMode.NONE,
}


def _relay(given: RelaySettings | RouteSettings, host: Endpoint, name: str = "") -> Relay:
    """A password asks for verified TLS, unless the relay is on loopback or TLS is ruled out."""
    mode = _MODES[given.tls]
    if given.user and mode is TlsMode.OPPORTUNISTIC:
        mode = TlsMode.NONE if host.host in ("127.0.0.1", "::1") else TlsMode.VERIFIED
    return Relay(
        host.host,
        host.port,
        tls=mode,
        implicit_tls=given.tls is RelayTls.IMPLICIT,
        username=given.user or None,
        password=given.password.get_secret_value() or None,
        name=name,
    )

"""The doctor, made from the settings: what is ours, what it asks with, what is measured here.

Used by `carom doctor` once and by the service every hour.  The resolver is its own, so that nothing
remembered stands between it and the DNS.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import socket
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from ulid import ULID

from analysis.address import AddressError, parse_mailbox
from analysis.destination import refusal
from analysis.store import Store
from carom import policy_host, risks, ways
from carom.settings import Settings
from carom.settings.keyfiles import published_keys, token_keys
from ingest.recipients import DMARC_REPORTS, TLS_REPORTS
from sender.blocklists import shipped
from sender.doctor import machine, measuring
from sender.doctor.asking import Desk
from sender.doctor.calls import Errand
from sender.doctor.examine import Told, Tools, examine
from sender.doctor.finding import Finding, checks
from sender.doctor.machine import Limits
from sender.doctor.ours import Ours
from sender.doctor.transport import PolicyHost
from sender.mx import MailExchange
from sender.resolver import Answer, Bounds, Resolver
from sender.sources import Source, bind_trouble
from sender.tokens import Tokens

DAY = 86_400.0
Findings = dict[str, list[Finding]]


async def examination(
    settings: Settings,
    store: Store,
    *,
    file: Path | None = None,
    domain: str = "",
    told: Told | None = None,
) -> Findings:
    """Every check, by its name in the order they are told; `domain`: of this From only."""
    resolver = _resolver(settings)
    try:
        mine = await ours(settings, Desk(resolver), domain)
        world, here = await asyncio.gather(
            examine(mine, _tools(settings, resolver, mine), time.time(), told),
            _here(settings, store, file, told),
        )
    finally:
        await resolver.close()
    whole = {**world, **here}
    return {name: whole[name] for name in checks()}


async def look_up(settings: Settings, name: str, rdtype: str) -> Answer:
    """What the DNS says now."""
    resolver = _resolver(settings)
    try:
        return await Desk(resolver).ask(name, rdtype)
    finally:
        await resolver.close()


async def ours(settings: Settings, desk: Desk, domain: str = "") -> Ours:
    """What is ours.  Where no address is named, what this machine and its host name show."""
    sender, bounces = settings.sender, settings.ingest.domain
    routed = [
        Source(str(source.address), source.hostname or None)
        for route in sender.routes
        for source in route.source
    ]
    # an address that is not public is seen as another one, which only the operator can name
    public = [source for source in routed if refusal(source.address) is None]
    named = [*public, *(Source(str(a)) for a in settings.reputation.addresses)]
    sources = {source.address: source for source in reversed(named)}
    if not sources and sender.relay is None:
        sources = {a: Source(a) for a in await _shown(sender.hostname, desk)}
    return Ours(
        domains=(domain,) if domain else tuple(dict.fromkeys(_from_domains(settings))),
        bounces=bounces,
        hostname=sender.hostname,
        default=sender.domain,
        sources=tuple(reversed(sources.values())),
        routed=tuple({source.address: source for source in routed}.values()),
        local=frozenset(_listening(settings)),
        keys=published_keys(settings),
        dmarc_reports=f"{DMARC_REPORTS}@{bounces}" if bounces else "",
        tls_reports=f"{TLS_REPORTS}@{bounces}" if bounces else "",
        offers_tls=settings.ingest.tls is not None,
        sts_policy=policy_host.policy(settings) if bounces else "",
        sts_id=policy_host.policy_id(settings) if bounces else "",
        allowed=tuple(sender.allow_networks),
        overlap=settings.dkim.overlap_days * DAY,
        longest=settings.dkim.rotate_days * DAY,
    )


async def _shown(hostname: str, desk: Desk) -> list[str]:
    """Public addresses of this machine, else those that its host name leads to."""
    own = [a for a in map(_own_address, ("192.0.2.1", "2001:db8::1")) if a and not refusal(a)]
    return own or [a for a in (await desk.addresses(hostname))[0] if not refusal(a)][:8]


def _own_address(towards: str) -> str | None:
    """The address that this machine would send from; no packet leaves it."""
    family = socket.AF_INET6 if ":" in towards else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((towards, 25))
            return str(probe.getsockname()[0])
    except OSError:
        return None


def _from_domains(settings: Settings) -> Iterator[str]:
    if settings.sender.domain:
        yield settings.sender.domain
    for stream in settings.streams.values():
        try:
            if stream.from_:
                yield parse_mailbox(stream.from_).address.domain
        except AddressError:  # said where it is used, by `create_app`
            continue


def _listening(settings: Settings) -> Iterator[str]:
    try:
        address = ip_address(settings.ingest.listen.host)
    except ValueError:
        return
    if not address.is_unspecified:
        yield str(address)


def _resolver(settings: Settings) -> Resolver:
    dns = settings.sender.dns
    servers = [(server.host, server.port) for server in dns.nameservers]
    bounds = Bounds(min(dns.timeout, 3.0), min(dns.lifetime, 6.0), dns.concurrency)
    return Resolver(servers, clock=time.monotonic, bounds=bounds, trust_ad=dns.trust_ad)


def _tools(settings: Settings, resolver: Resolver, mine: Ours) -> Tools:
    sender, doctor = settings.sender, settings.doctor
    known = shipped()
    errand = Errand(
        token=_return_path(settings),
        nobody=f"doctor-{secrets.token_hex(8)}@{settings.ingest.domain}",
        port=doctor.mx_port,
        seconds=doctor.timeout,
        receivers=tuple(doctor.receivers),
        local=frozenset(a for a in mine.addresses if bind_trouble(a) is None),
    )
    fixed = {domain: str(target) for domain, target in sender.static_mx.items()}
    if sender.relay is not None:
        fixed = {"*": str(sender.relay.host)}
    return Tools(
        resolver,
        MailExchange(resolver, random=random.random, static=fixed, allowed=sender.allow_networks),
        errand,
        PolicyHost(ways.authorities(settings), seconds=doctor.timeout),
        tuple(known[name] for name in settings.reputation.blocklists),
    )


def _return_path(settings: Settings) -> str:
    """A genuine one, of no delivery; nothing is ever sent to it."""
    tokens = Tokens(token_keys(settings.tokens))
    subject = str(ULID()).lower()
    return tokens.return_path(subject, settings.ingest.domain, expires=time.time() + DAY)


async def _here(settings: Settings, store: Store, file: Path | None, told: Told | None) -> Findings:
    """What is measured on this machine."""
    found, clock = await measuring.database(store, time.time)
    clocks = [machine.judge_clock(clock)] if clock is not None else []
    if (server := settings.doctor.time_server) is not None:
        seconds = min(settings.doctor.timeout, 5.0)
        measured = await measuring.time_server(
            server.host, server.port, clock=time.time, seconds=seconds
        )
        clocks.append(machine.judge_clock(measured))
    here = {
        "clock": clocks,
        "limits": list(machine.judge_limits(_limits(settings))),
        "database": list(machine.judge_database(found)),
        "settings": risks.examine(settings, file),
    }
    if told is not None:
        for name, findings in here.items():
            told(name, findings)
    return here


def _limits(settings: Settings) -> Limits:
    connections = (
        settings.sender.concurrency
        + settings.ingest.limits.connections
        + settings.submission.limits.connections
        + settings.api.connections
    )
    return Limits(
        files=measuring.open_files(),
        connections=connections,
        ports=measuring.local_ports(),
        sending=settings.sender.concurrency,
        disk=_disk(settings),
    )


def _disk(settings: Settings) -> tuple[str, int] | None:
    """Of a SQLite file; a PostgreSQL server's disk is not ours to see."""
    url = settings.database.url
    if not url.startswith("sqlite:///"):
        return None
    folder = Path(url.removeprefix("sqlite:///")).absolute().parent
    free = measuring.free_octets(folder)
    return None if free is None else (str(folder), free)

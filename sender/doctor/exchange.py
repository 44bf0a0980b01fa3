"""MX of the bounce domain: do bounces find the way to us?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from analysis.destination import refusal
from sender.doctor.asking import MOST_NAMES, Desk, exchangers
from sender.doctor.finding import Finding, found
from sender.doctor.ours import Ours, joined, mx_record
from sender.resolver import Answer, Trouble, check_name


@dataclass(frozen=True, slots=True)
class Led:
    """Where an MX host leads."""

    addresses: tuple[str, ...]
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """The findings, and the addresses that are worth a call: host and address."""

    findings: tuple[Finding, ...]
    calls: tuple[tuple[str, str], ...] = ()


async def examine(ours: Ours, desk: Desk) -> Way:
    if not ours.bounces:
        return Way((found("mx.unset"),))
    answer = await desk.ask(ours.bounces, "MX")
    hosts = [host for host in exchangers(answer)[:MOST_NAMES] if _is_host(host)]
    led = await asyncio.gather(*(desk.addresses(host) for host in hosts))
    leads = {host: Led(tuple(a), why) for host, (a, why) in zip(hosts, led, strict=True)}
    return judge(ours, answer, leads)


def judge(ours: Ours, answer: Answer, leads: Mapping[str, Led]) -> Way:
    domain, record = ours.bounces, mx_record(ours)
    if isinstance(answer, Trouble):
        return Way((found("mx.trouble", domain, trouble=answer.why),))
    hosts = exchangers(answer)
    if not hosts:
        return Way((found("mx.absent", domain, record=record),))
    if hosts == [""] or hosts == ["."]:
        return Way((found("mx.null", domain, record=record),))
    amiss = [*_many(domain, hosts, record), *_each(ours, hosts[:MOST_NAMES], leads)]
    calls = tuple(_calls(ours, leads))
    return Way((*amiss, *_whose(ours, leads)), calls)


def _many(domain: str, hosts: list[str], record: str) -> Iterator[Finding]:
    if len(hosts) > MOST_NAMES:
        yield found("mx.many", domain, count=len(hosts), looked_at=MOST_NAMES, record=record)


def _each(ours: Ours, hosts: list[str], leads: Mapping[str, Led]) -> Iterator[Finding]:
    for host in hosts:
        led = leads.get(host)
        if led is None:
            yield found("mx.no_host", ours.bounces, host=host, record=mx_record(ours))
        elif led.trouble and not led.addresses:
            yield found("mx.trouble", ours.bounces, trouble=f"{host}: {led.trouble}")
        elif not led.addresses:
            yield found("mx.no_address", ours.bounces, host=host)
        for address in led.addresses if led else ():
            if why := refusal(address, ours.allowed):
                yield found("mx.private", ours.bounces, host=host, address=address, why=why)
                break


def _whose(ours: Ours, leads: Mapping[str, Led]) -> Iterator[Finding]:
    """A host is ours by its name or by its addresses."""
    there = {host: led for host, led in leads.items() if led.addresses}
    own = [h for h, led in there.items() if h == ours.hostname or ours.addresses & {*led.addresses}]
    strange = [host for host in there if host not in own]
    if not own and strange:
        addresses = joined([a for host in strange for a in there[host].addresses])
        yield found(
            "mx.elsewhere",
            ours.bounces,
            hosts=joined(strange),
            addresses=addresses,
            record=mx_record(ours),
        )
    elif own and strange:
        yield found("mx.partly", ours.bounces, hosts=joined(strange))
    elif own:
        addresses = joined([a for host in own for a in there[host].addresses])
        yield found("mx.ok", ours.bounces, hosts=joined(own), addresses=addresses)


def _calls(ours: Ours, leads: Mapping[str, Led]) -> Iterator[tuple[str, str]]:
    for host, led in leads.items():
        for address in led.addresses[:2]:
            if refusal(address, ours.allowed) is None:
                yield host, address


def _is_host(name: str) -> bool:
    try:
        return "." in check_name(name)
    except ValueError:
        return False

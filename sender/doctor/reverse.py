"""Reverse DNS: does each source address have a name that leads back, and does the EHLO name fit?"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence

import dns.reversename

from analysis.destination import refusal
from sender.doctor.asking import Desk, names
from sender.doctor.finding import Finding, found
from sender.doctor.ours import TTL, Ours, address_type, joined
from sender.resolver import Answer, Trouble
from sender.sources import Source

MOST_SOURCES = 64
_LOCAL = ("localhost", "local", "localdomain", "internal", "lan", "home", "invalid", "test")


async def examine(ours: Ours, desk: Desk) -> list[Finding]:
    if not ours.sources:
        return [*_ehlo_name(ours.hostname), found("reverse_dns.no_sources")]
    each = await asyncio.gather(*(_source(ours, s, desk) for s in ours.sources[:MOST_SOURCES]))
    spoken = dict.fromkeys(ours.ehlo_name(source) for source in ours.sources)
    local = [finding for name in spoken for finding in _ehlo_name(name)]
    return [*local, *(finding for findings in each for finding in findings)]


async def _source(ours: Ours, source: Source, desk: Desk) -> list[Finding]:
    answer = await desk.ask(pointer_name(source.address), "PTR")
    back = {}
    for name in names(answer):
        back[name] = await desk.addresses(name)
    ehlo = ours.ehlo_name(source)
    there = await desk.addresses(ehlo)
    return [judge(ours, source, answer, back), *judge_ehlo(ehlo, source.address, there)]


def pointer_name(address: str) -> str:
    return dns.reversename.from_address(address).to_text(omit_final_dot=True)


def judge(
    ours: Ours,
    source: Source,
    answer: Answer,
    back: Mapping[str, tuple[Sequence[str], str]],
) -> Finding:
    address = source.address
    wanted = f"{pointer_name(address)}. {TTL} IN PTR {ours.ehlo_name(source)}."
    if isinstance(answer, Trouble):
        return found("reverse_dns.trouble", address, trouble=answer.why)
    called = list(back)
    if not called:
        return found("reverse_dns.absent", address, record=wanted)
    true = [name for name in called if address in back[name][0]]
    if not true:
        troubles = [trouble for _, trouble in back.values() if trouble]
        if troubles:
            return found("reverse_dns.trouble", address, trouble=troubles[0])
        kind = address_type(address)
        return found(
            "reverse_dns.unconfirmed", address, name=joined(called), type=kind, record=wanted
        )
    if ours.ehlo_name(source) not in true and looks_generic(true[0], address):
        return found("reverse_dns.generic", address, name=true[0], record=wanted)
    return found("reverse_dns.ok", address, name=true[0])


def judge_ehlo(name: str, address: str, there: tuple[Sequence[str], str]) -> Iterator[Finding]:
    """A receiver that looks the EHLO name up should come to the address that spoke."""
    addresses, trouble = there
    if any(_ehlo_name(name)):
        return
    if trouble and not addresses:
        yield found("reverse_dns.trouble", name, trouble=trouble)
    elif not addresses:
        yield found("reverse_dns.ehlo_absent", name, address=address)
    elif address not in addresses and refusal(address) is None:
        kind = address_type(address)
        told = joined(addresses)
        yield found("reverse_dns.ehlo_other", name, addresses=told, address=address, type=kind)


def _ehlo_name(name: str) -> Iterator[Finding]:
    if "." not in name or name.rpartition(".")[2] in _LOCAL:
        yield found("reverse_dns.ehlo_local", name)


def looks_generic(name: str, address: str) -> bool:
    """Names that a provider gives by rule hold the numbers of the address."""
    if ":" in address:
        return False
    numbers = re.findall(r"[0-9]{1,3}", name)
    return len(set(address.split(".")) & {number.lstrip("0") or "0" for number in numbers}) >= 3

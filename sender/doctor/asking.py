"""Questions of the doctor to the DNS: any name may come from a stranger, any answer may be a bomb.

A name that is none is a trouble like any other.  Texts are joined, decoded without failing and cut;
a few of each answer are looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import dns.rdata
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.PTR import PTR
from dns.rdtypes.txtbase import TXTBase

from sender.resolver import Answer, Found, Trouble, addresses

MOST_TEXT = 4_096
"""Octets of one TXT record; everything we read fits in a tenth of it."""
MOST_NAMES = 10
"""Hosts of an MX set and names of an address that are looked at."""


class Asked(Protocol):
    """What is asked of `sender.resolver.Resolver`."""

    async def ask(self, name: str, rdtype: str) -> Answer: ...


class Desk:
    """Asks for one examination."""

    def __init__(self, resolver: Asked) -> None:
        self._resolver = resolver

    async def ask(self, name: str, rdtype: str) -> Answer:
        try:
            return await self._resolver.ask(name, rdtype)
        except ValueError as error:
            return Trouble(str(error))

    async def addresses(self, name: str) -> tuple[list[str], str]:
        """The addresses of a host, and why they may not be all: trouble in words, or nothing."""
        answers = await asyncio.gather(self.ask(name, "A"), self.ask(name, "AAAA"))
        trouble = next((answer.why for answer in answers if isinstance(answer, Trouble)), "")
        return addresses(answers), trouble


def texts(answer: Answer) -> list[str]:
    """The TXT records of an answer, each as one text."""
    records: Sequence[dns.rdata.Rdata] = answer.records if isinstance(answer, Found) else ()
    return [
        b"".join(record.strings)[:MOST_TEXT].decode("utf-8", "replace")
        for record in records
        if isinstance(record, TXTBase)
    ]


def exchangers(answer: Answer) -> list[str]:
    """The hosts of an MX answer, best first, lower case; `.` for a null MX."""
    records = answer.records if isinstance(answer, Found) else ()
    pairs = sorted(
        (record.preference, record.exchange.to_text(omit_final_dot=True).lower())
        for record in records
        if isinstance(record, MX)
    )
    return list(dict.fromkeys(name for _, name in pairs))


def names(answer: Answer) -> list[str]:
    """The names of a PTR answer."""
    records = answer.records if isinstance(answer, Found) else ()
    found = [
        record.target.to_text(omit_final_dot=True).lower()
        for record in records
        if isinstance(record, PTR)
    ]
    return found[:MOST_NAMES]


def tags(text: str) -> dict[str, str]:
    """A tag list, `v=DKIM1; p=...` (RFC 6376 section 3.2).  ValueError where it is none."""
    found: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        name = name.strip()
        if not part.strip():
            continue
        if not equals or not name.isidentifier() or not name.isascii():
            raise ValueError(f"{part.strip()[:60]!r} is no tag=value")
        if name in found:
            raise ValueError(f"{name}= stands twice")
        found[name] = value.strip()
    return found

"""DNS blocklists: whether an address or a domain of ours stands on one.

A question is a name: the octets of an IPv4 address reversed, the nibbles of an IPv6 one
(RFC 5782 section 2), a domain as it is, below the list's zone.  An answer is an address whose sense
is the list's own; blocklists.toml holds the senses.  An answer that says "you may not ask" is no
listing, an answer that nobody has a sense for is none either, and a zone is believed only while its
test points answer as they must: some resolvers answer everything, some lists answer nothing.

`check` never raises for what DNS does; what cannot be known is `unsure`.
"""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

from sender.resolver import Absent, Answer, Found, check_name

State = Literal["listed", "clear", "unsure"]
Kind = Literal["ip", "domain"]

AT_ONCE = 8
"""Questions about blocklists on the wire: their operators count."""


class Asked(Protocol):
    """What is asked of `sender.resolver.Resolver`."""

    async def ask(self, name: str, rdtype: str) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Blocklist:
    name: str
    zone: str
    kinds: tuple[str, ...]  # ip, domain
    remove: str  # where to ask for delisting
    test_listed: str
    test_clear: str
    codes: Mapping[str, str] = field(default_factory=dict)
    bits: Mapping[str, str] = field(default_factory=dict)  # of the last octet
    refusals: Mapping[str, str] = field(default_factory=dict)

    def question(self, subject: str) -> str:
        """The name to ask for; ValueError where `subject` is none that the list knows."""
        kind = kind_of(subject)
        if kind not in self.kinds and subject not in (self.test_listed, self.test_clear):
            raise ValueError(f"{self.name} lists no {kind}")
        return f"{_reversed(subject) if kind == 'ip' else subject}.{self.zone}"

    def sense(self, code: str) -> str | None:
        """What a code means if it is a listing."""
        if code in self.codes:
            return self.codes[code]
        head, _, last = code.rpartition(".")
        if not self.bits or head != "127.0.0" or code in self.refusals:
            return None
        found = [words for bit, words in self.bits.items() if int(last) & int(bit)]
        return "; ".join(found) or None


@dataclass(frozen=True, slots=True)
class Checked:
    """Where a subject stands with a list, and the words for it."""

    list: str
    subject: str
    kind: Kind
    state: State
    said: str


def kind_of(subject: str) -> Kind:
    try:
        ip_address(subject)
    except ValueError:
        return "domain"
    return "ip"


def _reversed(subject: str) -> str:
    match ip_address(subject):
        case IPv4Address() as four:
            return ".".join(reversed(str(four).split(".")))
        case IPv6Address() as six:
            return ".".join(reversed(six.exploded.replace(":", "")))


def read(blocklist: Blocklist, answer: Answer) -> tuple[State, str]:
    """What an answer says of its subject."""
    match answer:
        case Found(records):
            codes = [str(record) for record in records]
        case Absent():
            return "clear", ""
        case trouble:
            return "unsure", trouble.why
    senses = [f"{code} {sense}" for code in codes if (sense := blocklist.sense(code))]
    if senses:
        return "listed", "; ".join(senses)[:500]
    refused = [f"{c} {blocklist.refusals[c]}" for c in codes if c in blocklist.refusals]
    strange = ", ".join(codes)[:100]
    return "unsure", "; ".join(refused) or f"answered {strange}, which is no listing known here"


class Blocklists:
    """Checks subjects against lists, a few questions at a time."""

    def __init__(self, resolver: Asked, lists: Sequence[Blocklist]) -> None:
        self._resolver = resolver
        self._lists = tuple(lists)
        self._places = asyncio.Semaphore(AT_ONCE)

    async def check(self, subjects: Iterable[str]) -> list[Checked]:
        """Where each subject stands with each list that knows its kind."""
        wanted = tuple(dict.fromkeys(subjects))
        results = await asyncio.gather(*(self._list(one, wanted) for one in self._lists))
        return [checked for found in results for checked in found]

    async def _list(self, one: Blocklist, subjects: Sequence[str]) -> list[Checked]:
        concerned = [s for s in subjects if kind_of(s) in one.kinds]
        if not concerned:
            return []
        if (why := await self._broken(one)) is not None:
            return [Checked(one.name, s, kind_of(s), "unsure", why) for s in concerned]
        return list(await asyncio.gather(*(self._subject(one, s) for s in concerned)))

    async def _broken(self, one: Blocklist) -> str | None:
        """Why the list cannot be believed from here, by its test points; None: it can be."""
        listed, clear = await asyncio.gather(
            self._ask(one, one.test_listed), self._ask(one, one.test_clear)
        )
        if listed[0] != "listed":
            return f"its test entry is not listed: {listed[1] or 'no such name'}"
        if clear[0] == "listed":
            return (
                f"it lists what is never listed ({clear[1]}): the resolver or the zone is at fault"
            )
        return None

    async def _subject(self, one: Blocklist, subject: str) -> Checked:
        return Checked(one.name, subject, kind_of(subject), *await self._ask(one, subject))

    async def _ask(self, one: Blocklist, subject: str) -> tuple[State, str]:
        async with self._places:
            return read(one, await self._resolver.ask(one.question(subject), "A"))


def shipped() -> Mapping[str, Blocklist]:
    """The lists of blocklists.toml by name."""
    text = Path(__file__).with_name("blocklists.toml").read_text(encoding="utf-8")
    return MappingProxyType({n: _blocklist(n, row) for n, row in tomllib.loads(text).items()})


def _blocklist(name: str, row: Mapping[str, Any]) -> Blocklist:
    fields = {**row, "kinds": tuple(row["kinds"]), "zone": check_name(row["zone"])}
    return Blocklist(name=name, **fields)

"""Where the mail of a domain goes: RFC 5321 section 5.1, RFC 7505, and fixed hosts.

Asked for a domain, `MailExchange.route` gives `Exchangers` to connect to, in the order to try
them, or a `Reply` of stage DNS that says why there are none.  Only what the DNS says for certain
is worded as lasting (class 5); everything else may pass (class 4):

    5.1.2   the domain does not exist (NXDOMAIN), or is no host name at all
    5.1.10  null MX: the domain takes no mail (RFC 7505 section 4)
    5.4.4   the domain exists and has neither MX nor address
    4.4.3   the DNS could not say: timeout, SERVFAIL, CNAME loop; in other words where it is our own
            resolver that answers nothing
    4.4.4   its mail exchangers are unusable: no addresses, or only such as strangers may not
            send us to (`analysis.destination`); their mistake, and often mended within hours

`static` sends a domain, or every other one under `*`, to a fixed `host:port`, which is the
operator's word and may be loopback.  Addresses are literal and vetted: whoever connects does not
look them up again.  Raises ValueError only for a wrong `static`, when it is made.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from itertools import chain
from typing import TypeAlias

import dns.rdata
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA

from analysis.destination import IPNetwork, refusal
from analysis.reply import Reply, Stage, clean
from sender.resolver import Absent, Found, Resolver, Trouble, check_name
from sender.smtp import Host

MAX_HOSTS = 5
"""Names of mail exchangers that are looked at, best first."""
MAX_ADDRESSES = 5
PER_HOST = 2
"""Addresses of one host where there are several hosts: one machine must not use up the tries."""

_TARGET = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:\s]+)):([0-9]{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Exchangers:
    """The way to a domain's mailboxes.  `hosts` is never empty."""

    domain: str
    hosts: tuple[Host, ...]  # in the order to try them
    names: tuple[str, ...]  # all mail exchangers, best first: they tell the provider and the site
    implicit: bool = False  # no MX: the domain's own addresses
    static: bool = False
    authenticated: bool = False  # DNSSEC vouches for the MX answer
    secure: frozenset[str] = frozenset()  # names with addresses that DNSSEC vouches for


MxAnswer: TypeAlias = Exchangers | Reply


@dataclass(frozen=True, slots=True)
class _Found:
    """What a name's addresses came to."""

    hosts: tuple[Host, ...] = ()
    trouble: str = ""  # the DNS could not say
    denied: str = ""  # there are some, out of bounds
    authenticated: bool = False


class MailExchange:
    """Finds the hosts of domains.

    `static`: recipient domain, or `*`, to `host:port`.  `allowed`: networks that an MX may lie in
    although they are not public.  `random`: numbers from 0 up to 1, for hosts of equal preference.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        random: Callable[[], float],
        static: Mapping[str, str] | None = None,
        allowed: Sequence[IPNetwork] = (),
        ipv6: bool = True,
        port: int = 25,
    ) -> None:
        self._resolver = resolver
        self._random = random
        self._static = {d.lower(): parse_target(target) for d, target in (static or {}).items()}
        self._allowed = tuple(allowed)
        self._types = ("A", "AAAA") if ipv6 else ("A",)
        self._port = port

    async def route(self, domain: str) -> MxAnswer:
        """Return the hosts for mail to `domain` (A-labels), or the reason why there are none."""
        folded = domain.lower()
        target = self._static.get(folded) or self._static.get("*")
        if target is not None:
            return await self.fixed(*target, domain=folded)
        try:
            name = check_name(domain)
        except ValueError:
            return _failure("5.1.2", f"{clean(domain, 80)!r} is not a domain name")
        if "." not in name:
            return _failure("5.1.2", f"{name} is not a domain name: it has one label only")
        return await self._by_mx(name)

    async def fixed(self, host: str, port: int, *, domain: str = "") -> MxAnswer:
        """Return the addresses of a host the operator named, which may lie anywhere."""
        if literals := _literals(host):
            hosts = tuple(Host(host, address, port) for address in literals)
            return Exchangers(domain, hosts, (host,), static=True)
        found = await self._addresses(host, port, anywhere=True)
        if found.hosts:
            return Exchangers(domain, found.hosts[:MAX_ADDRESSES], (host,), static=True)
        if found.trouble:
            return await self._unknown(found.trouble)
        return _failure("4.4.4", f"the fixed mail server {host} has no address")

    async def _by_mx(self, domain: str) -> MxAnswer:
        answer = await self._resolver.ask(domain, "MX")
        if isinstance(answer, Trouble):
            return await self._unknown(answer.why)
        if isinstance(answer, Found):
            return await self._explicit(domain, answer)
        if not answer.exists:
            return _failure("5.1.2", f"{domain} does not exist in the DNS")
        return await self._implicit(domain, answer)

    async def _explicit(self, domain: str, answer: Found) -> MxAnswer:
        names = self._in_order(answer.records)
        if names == ["."]:
            return _failure("5.1.10", f"{domain} takes no mail: null MX")
        usable = [name for name in names if _is_host(name)]
        looked_at = usable[:MAX_HOSTS]
        found = await asyncio.gather(*(self._addresses(name, self._port) for name in looked_at))
        hosts = _chosen(each.hosts for each in found)
        if hosts:
            secure = frozenset(
                name for name, each in zip(looked_at, found, strict=True) if each.authenticated
            )
            return Exchangers(
                domain, hosts, tuple(usable), authenticated=answer.authenticated, secure=secure
            )
        return await self._unreachable(found)

    async def _implicit(self, domain: str, answer: Absent) -> MxAnswer:
        """RFC 5321 section 5.1: without MX the domain itself is the host."""
        found = await self._addresses(domain, self._port)
        if found.hosts:
            return Exchangers(
                domain,
                found.hosts[:MAX_ADDRESSES],
                (domain,),
                implicit=True,
                authenticated=answer.authenticated,
                secure=frozenset({domain} if found.authenticated else ()),
            )
        if found.trouble or found.denied:
            return await self._unreachable([found])
        return _failure("5.4.4", f"{domain} has no mail server: neither MX nor address")

    async def _unreachable(self, found: Sequence[_Found]) -> Reply:
        for each in found:
            if each.trouble:
                return await self._unknown(each.trouble)
        for each in found:
            if each.denied:
                return _failure("4.4.4", f"the mail servers named are out of bounds: {each.denied}")
        return _failure("4.4.4", "none of the mail servers named has an address")

    async def _unknown(self, why: str) -> Reply:
        """Temporary replies name no domain: one called `nullmx.example` must not read as a
        verdict."""
        if await self._resolver.at_work():
            return _failure("4.4.3", f"the DNS gave no answer: {why}")
        return _failure("4.4.3", f"our own resolver gives no answers: {why}")

    def _in_order(self, records: Iterable[dns.rdata.Rdata]) -> list[str]:
        """Names by preference, by chance within one; once each."""
        exchangers = [
            (record.preference, self._random(), record.exchange.to_text(omit_final_dot=True))
            for record in records
            if isinstance(record, MX)
        ]
        return list(dict.fromkeys(name.lower() for *_, name in sorted(exchangers)))

    async def _addresses(self, name: str, port: int, *, anywhere: bool = False) -> _Found:
        answers = await asyncio.gather(*(self._resolver.ask(name, kind) for kind in self._types))
        trouble = next((answer.why for answer in answers if isinstance(answer, Trouble)), "")
        kinds = [self._shuffled(answer) for answer in answers]
        hosts, denied = [], ""
        # IPv4 first, then by turns: receivers refuse IPv6 for want of PTR and reputation more often
        for address in _by_turns(kinds):
            why = None if anywhere else refusal(address, self._allowed)
            if why is None:
                hosts.append(Host(name, address, port))
            else:
                denied = denied or f"{address} is {why}"
        there = [answer for answer in answers if isinstance(answer, Found)]
        secure = bool(there) and all(answer.authenticated for answer in there)
        return _Found(tuple(hosts), trouble, denied, secure)

    def _shuffled(self, answer: Found | Absent | Trouble) -> list[str]:
        records = answer.records if isinstance(answer, Found) else ()
        addresses = [record.address for record in records if isinstance(record, A | AAAA)]
        return sorted(addresses, key=lambda _: self._random())


def parse_target(text: str) -> tuple[str, int]:
    """Read `host:port` or `[IPv6 address]:port`, or raise ValueError."""
    match = _TARGET.fullmatch(text)
    if match is None or not 1 <= int(match[3]) <= 65_535:
        raise ValueError(f"{text[:80]!r} is no host:port, such as 127.0.0.1:2526")
    host, port = match[1] or match[2].lower(), int(match[3])
    if not _literals(host):
        try:
            host = check_name(host)
        except ValueError as error:
            raise ValueError(f"{text[:80]!r} is no host:port: {error}") from None
    return host, port


@lru_cache(256)
def _literals(host: str) -> tuple[str, ...]:
    """The addresses that need no DNS: a literal one, and localhost (RFC 6761 section 6.3)."""
    if host == "localhost":
        return ("127.0.0.1", "::1")
    try:
        return (str(ip_address(host)),)
    except ValueError:
        return ()


def _is_host(name: str) -> bool:
    """Whether an MX names a host that is worth a question: not `.`, `localhost`, an IP address."""
    try:
        return "." in check_name(name)
    except ValueError:
        return False


def _by_turns(kinds: Sequence[Sequence[str]]) -> list[str]:
    longest = max(map(len, kinds), default=0)
    return [kind[turn] for turn in range(longest) for kind in kinds if turn < len(kind)]


def _chosen(found: Iterable[tuple[Host, ...]]) -> tuple[Host, ...]:
    """At most `MAX_ADDRESSES` in the order to try them, from more than one host if there are."""
    reachable = [hosts for hosts in found if hosts]
    each = PER_HOST if len(reachable) > 1 else MAX_ADDRESSES
    return tuple(chain.from_iterable(hosts[:each] for hosts in reachable))[:MAX_ADDRESSES]


def _failure(enhanced: str, text: str) -> Reply:
    return Reply(None, enhanced, text, Stage.DNS)

"""Questions to the DNS, asked once: answers are shared while under way and remembered after.

Owns the bounds that dnspython leaves to its caller: one question on the wire however many ask it,
a limit of open questions (a burst loses packets and reads as failure), a cache with floor and
ceiling for every kind of answer, a deadline that no jump of the wall clock moves.

What comes back is data.  `Found`: records.  `Absent`: the DNS says there are none, and whether the
name exists at all.  `Trouble`: nobody could say; timeouts, SERVFAIL, REFUSED, CNAME loops and
referrals are all of this kind and all temporary.  Whose trouble it is, `at_work` tells: servers
that cannot name those of the root, which every resolver knows, have no way to the DNS, and no
domain is to blame.  Raises `ValueError` for text that is no host
name, before anything is asked; never for what a server does.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rdata
import dns.rdatatype
import dns.resolver
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA

from analysis.reply import clean

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$)(?:{_LABEL}\.)*(?![0-9]){_LABEL}", re.ASCII)
_UDP_PAYLOAD = 1_232  # fits every path without fragments: DNS Flag Day 2020
MAX_RECORDS = 100
"""Records of one answer that are kept: an answer may carry thousands."""


@dataclass(frozen=True, slots=True)
class Found:
    records: tuple[dns.rdata.Rdata, ...]
    authenticated: bool = False  # validated by DNSSEC: AD, from a resolver that is trusted


@dataclass(frozen=True, slots=True)
class Absent:
    """`exists`: the name is there, without records of this type; else NXDOMAIN (RFC 2308)."""

    exists: bool
    authenticated: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    why: str  # cleaned, in plain words: `timeout`, `the server answered SERVFAIL`


_ROOT = "", "NS"
_NEVER = Absent(exists=False, authenticated=False)
"""What is said of `.invalid` without asking anybody (RFC 6761 section 6.4)."""


Answer = Found | Absent | Trouble


@dataclass(frozen=True, slots=True)
class Bounds:
    """Times in seconds."""

    timeout: float = 5.0  # one question to one server
    lifetime: float = 15.0  # all tries of one question
    concurrency: int = 100  # questions on the wire
    cache: int = 20_000  # answers remembered
    least: float = 30.0  # an answer is kept so long whatever its TTL: a send asks often
    most: float = 3_600.0
    absent_most: float = 900.0  # a domain that was just repaired is seen soon
    trouble: float = 15.0  # RFC 2308 section 7 allows five minutes


class Resolver:
    """Asks `nameservers`, pairs of address and port, or the system's where there are none.

    `clock` counts seconds and never jumps; it ages the cache.  `trust_ad`: the servers validate
    DNSSEC, and what they call authentic is (RFC 6840 section 5.8).  It is believed over loopback
    only: on any longer way somebody could set the bit.
    """

    def __init__(
        self,
        nameservers: Sequence[tuple[str, int]] = (),
        *,
        clock: Callable[[], float],
        bounds: Bounds | None = None,
        trust_ad: bool = False,
    ) -> None:
        self._bounds = bounds or Bounds()
        self._clock = clock
        self._dns = _configured(nameservers, self._bounds)
        self.trusted = trust_ad and all(_on_loopback(one) for one in self._dns.nameservers)
        self._places = asyncio.Semaphore(self._bounds.concurrency)
        self._under_way: dict[tuple[str, str], asyncio.Task[Answer]] = {}
        self._cache: OrderedDict[tuple[str, str], tuple[float, Answer]] = OrderedDict()
        self._works: tuple[float, bool] = (0.0, True)  # believed until then

    async def ask(self, name: str, rdtype: str) -> Answer:
        """Return the records of `rdtype` (`MX`, `A`, ...) of a host name in A-labels."""
        key = (check_name(name), rdtype)
        if key[0].rpartition(".")[2] == "invalid":
            return _NEVER
        if (known := self._remembered(key)) is not None:
            return known
        return await self._shared(key)

    async def at_work(self) -> bool:
        """Whether our own servers answer; to be asked after `Trouble`.  Remembered as long as that
        is; a server that refuses to tell of the root is one that answers."""
        until, works = self._works
        if self._clock() < until:
            return works
        answer = await self._shared(_ROOT)
        works = not isinstance(answer, Trouble) or "REFUSED" in answer.why
        self._works = self._clock() + self._bounds.trouble, works
        return works

    async def _shared(self, key: tuple[str, str]) -> Answer:
        """Ask once however many want to know."""
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._find(key))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key))
        # One who gives up must not take the answer away from the others.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Give up all questions under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _remembered(self, key: tuple[str, str]) -> Answer | None:
        until, answer = self._cache.get(key, (0.0, None))
        if answer is not None and self._clock() < until:
            self._cache.move_to_end(key)
            return answer
        return None

    async def _find(self, key: tuple[str, str]) -> Answer:
        async with self._places:
            answer, lasts = await self._query(*key)
        self._cache[key] = (self._clock() + lasts, answer)
        self._cache.move_to_end(key)
        while len(self._cache) > self._bounds.cache:
            self._cache.popitem(last=False)
        return answer

    async def _query(self, name: str, rdtype: str) -> tuple[Answer, float]:
        """Ask the servers; also how many seconds the answer may be believed."""
        question = dns.name.from_text(f"{name}.")
        try:
            # dnspython's own lifetime follows the wall clock, this one does not
            async with asyncio.timeout(self._bounds.lifetime):
                answer = await self._dns.resolve(
                    question, rdtype, search=False, raise_on_no_answer=False
                )
        except dns.resolver.NXDOMAIN as error:
            response = error.response(question)  # type: ignore[no-untyped-call]
            absent = Absent(exists=False, authenticated=self._authentic(response))
            return absent, self._bounded(response, self._bounds.absent_most)
        except (dns.exception.DNSException, OSError) as error:  # TimeoutError is an OSError
            return Trouble(_why(error)), self._bounds.trouble
        authenticated = self._authentic(answer.response)
        if answer.rrset is not None:
            records = tuple(answer.rrset)[:MAX_RECORDS]
            return Found(records, authenticated), self._bounded(answer.response, self._bounds.most)
        if _is_referral(answer.response):
            return Trouble("the server answered with a referral"), self._bounds.trouble
        absent = Absent(exists=True, authenticated=authenticated)
        return absent, self._bounded(answer.response, self._bounds.absent_most)

    def _authentic(self, response: dns.message.Message) -> bool:
        return self.trusted and bool(response.flags & dns.flags.AD)

    def _bounded(self, response: dns.message.QueryMessage, most: float) -> float:
        ttl = response.resolve_chaining().minimum_ttl
        return min(max(ttl, self._bounds.least), most)


def addresses(answers: Iterable[Answer]) -> list[str]:
    """The literal addresses in answers about A and AAAA, in their order."""
    return [
        str(record.address)
        for answer in answers
        if isinstance(answer, Found)
        for record in answer.records
        if isinstance(record, A | AAAA)
    ]


def check_name(name: str) -> str:
    """Return a host name in A-labels lower-cased and without a final dot, or raise ValueError.

    Underscores pass, since the world has them; a last label that begins with a digit does not,
    since it would be an IP address.
    """
    # ASCII first: U+212A, the Kelvin sign, would fold to a `k`
    folded = name.lower().removesuffix(".") if name.isascii() else ""
    if not _NAME.fullmatch(folded):
        raise ValueError(f"not a host name: {clean(name, 80)!r}")
    return folded


def _configured(
    nameservers: Sequence[tuple[str, int]], bounds: Bounds
) -> dns.asyncresolver.Resolver:
    try:
        resolver = dns.asyncresolver.Resolver(configure=not nameservers)
    except dns.resolver.NoResolverConfiguration:
        # as the C library does where there is no resolv.conf
        return _configured([("127.0.0.1", 53)], bounds)
    if nameservers:
        resolver.nameservers = [dns.nameserver.Do53Nameserver(*server) for server in nameservers]
    resolver.timeout = bounds.timeout
    resolver.lifetime = bounds.lifetime
    resolver.set_flags(dns.flags.RD | dns.flags.AD)  # AD asks for AD: RFC 6840 section 5.7
    resolver.use_edns(0, 0, _UDP_PAYLOAD)
    return resolver


def _on_loopback(nameserver: object) -> bool:
    """Without a port, as `resolv.conf` gives them, or with one."""
    address = getattr(nameserver, "address", nameserver)
    try:
        return ip_address(str(address)).is_loopback
    except ValueError:  # a URL: DNS over HTTPS
        return False


def _is_referral(response: dns.message.Message) -> bool:
    """No answer, but other servers to ask (RFC 2308 section 2.2): nothing was said."""
    types = {rrset.rdtype for rrset in response.authority}
    return dns.rdatatype.NS in types and dns.rdatatype.SOA not in types


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError | dns.exception.Timeout):
        return "timeout"
    said = getattr(error, "kwargs", {}).get("errors") or [(None, None, None, error)]
    last = said[-1][3]
    if isinstance(last, OSError):
        return f"the name server cannot be reached ({last.strerror or type(last).__name__})"
    return f"the server answered {last}" if isinstance(last, str) else f"{type(last).__name__}"

"""SPF of the return path and of the EHLO name: may our addresses send?  RFC 7208.

pyspf reads the records; it asks through our own resolver, from a thread, within a deadline and for
a bounded number of names, whatever a record includes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dns.rdata
import spf  # type: ignore[import-untyped]
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.PTR import PTR
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA
from dns.rdtypes.txtbase import TXTBase

from sender.doctor.asking import Desk, texts
from sender.doctor.finding import Finding, found
from sender.doctor.ours import Ours, mechanism, spf_record
from sender.resolver import Answer, Found, Trouble

MOST_RECORD = 2_000
"""Octets of a record that are read; RFC 7208 section 3.4 wants 450."""
MOST_QUESTIONS = 120
"""Of one reading; ten lookups of ten MX hosts each, and some."""
SECONDS = 10.0
CROWDED = 8
"""Lookups of a record that leave little room for more: ten are allowed."""

Lookup = Callable[[str, str], Answer]


@dataclass(frozen=True, slots=True)
class Read:
    """What a receiver makes of a record: RFC 7208 section 2.6, and the reason in words."""

    result: str
    why: str = ""
    lookups: int = 0


async def examine(ours: Ours, desk: Desk) -> list[Finding]:
    if not ours.bounces:
        return []
    answer = await desk.ask(ours.bounces, "TXT")
    if (amiss := record_amiss(ours, answer)) is not None:
        return [amiss]
    if not ours.sources:
        return [found("spf.no_sources", ours.bounces)]
    findings = list(_open(ours, answer))
    for source in ours.sources:
        read = await evaluate(desk, source.address, ours.bounces, ours.ehlo_name(source))
        findings += judge(ours, source.address, read)
        helo = ours.ehlo_name(source)
        read = await evaluate(desk, source.address, "", helo)
        findings += judge_helo(ours, source.address, helo, read)
    return findings


def record_amiss(ours: Ours, answer: Answer) -> Finding | None:
    """What is wrong with the record before any address comes into play."""
    record = spf_record(ours, ours.bounces)
    if isinstance(answer, Trouble):
        return found("spf.trouble", ours.bounces, trouble=answer.why)
    ours_are = _records(answer)
    if not ours_are:
        return found("spf.none", ours.bounces, record=record)
    if len(ours_are) > 1:
        return found("spf.two", ours.bounces, count=len(ours_are), record=record)
    return None


def judge(ours: Ours, address: str, read: Read) -> Iterator[Finding]:
    domain, record = ours.bounces, spf_record(ours, ours.bounces)
    told: dict[str, Any] = {"address": address, "mechanism": mechanism(address), "record": record}
    match read.result:
        case "pass" if read.lookups >= CROWDED:
            yield found("spf.many", domain, count=read.lookups)
        case "pass":
            yield found("spf.ok", domain, address=address)
        case "neutral" | "none":
            yield found("spf.neutral", domain, **told)
        case "permerror" if "lookup" in read.why.lower() or "MX records" in read.why:
            yield found("spf.lookups", domain, trouble=read.why)
        case "permerror":
            yield found("spf.error", domain, trouble=read.why, record=record)
        case "temperror":
            yield found("spf.trouble", domain, trouble=read.why)
        case other:
            yield found("spf.refused", domain, result=other, **told)


def judge_helo(ours: Ours, address: str, helo: str, read: Read) -> Iterator[Finding]:
    """None at all is usual for an EHLO name; one that contradicts us is not."""
    if read.result in ("fail", "softfail", "permerror"):
        record = spf_record(ours, helo)
        yield found("spf.helo", helo, address=address, result=read.result, record=record)


def _open(ours: Ours, answer: Answer) -> Iterator[Finding]:
    (record,) = _records(answer)
    if any(term.lower() in ("+all", "all") for term in record.split()[1:]):
        yield found("spf.open", ours.bounces, record=spf_record(ours, ours.bounces))


def _records(answer: Answer) -> list[str]:
    return [t for t in texts(answer) if t.lower() == "v=spf1" or t[:7].lower() == "v=spf1 "]


async def evaluate(desk: Desk, address: str, domain: str, helo: str) -> Read:
    """What a receiver makes of mail from `address`; `domain` empty: of the EHLO name alone."""
    loop = asyncio.get_running_loop()
    until = time.monotonic() + SECONDS

    def ask(name: str, rdtype: str) -> Answer:
        left = until - time.monotonic()
        if left <= 0:
            return Trouble("no answer in time")
        future = asyncio.run_coroutine_threadsafe(desk.ask(name, rdtype), loop)
        try:
            return future.result(left)
        except TimeoutError:
            future.cancel()
            return Trouble("no answer in time")

    sender = f"bounce@{domain}" if domain else ""
    return await asyncio.to_thread(_evaluate, ask, address, sender, helo)


def _evaluate(ask: Lookup, address: str, sender: str, helo: str) -> Read:
    query = _Query(ask, i=address, s=sender, h=helo, strict=True, querytime=0)
    try:
        result, _, why = query.check()
    except Exception as error:  # noqa: BLE001  pyspf lets slip whatever a hostile record provokes
        return Read("permerror", f"{type(error).__name__} in reading the record", query.lookups)
    return Read(str(result), str(why).removeprefix("SPF Permanent Error: "), query.lookups)


class _Query(spf.query):  # type: ignore[misc]
    """pyspf with our resolver in place of its own."""

    def __init__(self, ask: Lookup, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._ask = ask
        self._asked = 0

    def dns(
        self, name: object, qtype: str, cnames: object = None, ignore_void: bool = False
    ) -> list[Any]:
        """As pyspf wants it: plain values of the type asked, CNAMEs followed."""
        del cnames
        key = str(name).rstrip(".").lower(), qtype
        if key not in self.cache:
            self.cache[key] = self._values(*key)
        values: list[Any] = list(self.cache[key])
        if not values and not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                raise spf.PermError(f"more than {spf.MAX_VOID_LOOKUPS} lookups found nothing")
        return values

    def _values(self, name: str, qtype: str) -> list[Any]:
        self._asked += 1
        if self._asked > MOST_QUESTIONS:
            raise spf.PermError(f"more than {MOST_QUESTIONS} DNS lookups")
        answer = self._ask(name, qtype)
        if isinstance(answer, Trouble):
            if answer.why.startswith("not a host name"):
                return []
            raise spf.TempError(f"{name}: {answer.why}")
        return _plain(answer.records, qtype) if isinstance(answer, Found) else []


def _plain(records: Sequence[dns.rdata.Rdata], qtype: str) -> list[Any]:
    found_there: list[Any] = []
    for record in records:
        match record:
            case A() | AAAA():
                found_there.append(record.address)
            case MX():
                found_there.append((record.preference, record.exchange.to_text(True)))
            case PTR():
                found_there.append(record.target.to_text(True))
            case TXTBase():
                if sum(map(len, record.strings)) <= MOST_RECORD:
                    found_there.append(record.strings)
                elif record.strings[0][:6].lower() == b"v=spf1":
                    raise spf.PermError(f"the record is longer than {MOST_RECORD} octets")
    del qtype
    return found_there

"""From mail exchangers to hosts with terms of TLS: asks for the policies, and lets them be judged.

TLSA records are asked for only where DNSSEC vouches for the MX and for the host's addresses: in a
zone that is not signed there can be none that count, and many of its servers would not answer
(RFC 7672 section 2.2.1).  What binds is looked up before every attempt and costs nothing once it is
in memory.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from analysis.reply import Reply, Stage
from sender.mx import Exchangers
from sender.resolver import Found, Resolver, Trouble
from sender.sts_policies import StsPolicies
from sender.tls_policy import Judged, Promise, judge
from sender.tls_report import TlsReport
from sender.tlsa import usable


@dataclass(frozen=True, slots=True)
class TlsTerms:
    """`sts` is None where MTA-STS is switched off; DANE works where the resolver is trusted."""

    resolver: Resolver
    sts: StsPolicies | None
    report: TlsReport
    dane: bool = True

    async def secure(self, found: Exchangers, *, require: bool = False) -> Exchangers | Reply:
        """The mail exchangers that may be used, with their terms; a Reply (4.7.5) if none may."""
        sts = await self.sts.of(found.domain) if self.sts is not None else None
        promises = await self._promises(found)
        judged = judge(found, sts, promises, require=require)
        for objection in judged.objections:
            self.report.note(found.domain, objection.kind, objection.host, objection.failing)
        return replace(found, hosts=judged.hosts) if judged.hosts else _refusal(judged)

    async def _promises(self, found: Exchangers) -> dict[str, Promise]:
        if not (self.dane and found.authenticated and found.secure):
            return {}
        ports = {host.name: host.port for host in found.hosts if host.name in found.secure}
        answers = await asyncio.gather(*(self._promise(*each) for each in ports.items()))
        return dict(zip(ports, answers, strict=True))

    async def _promise(self, name: str, port: int) -> Promise:
        try:
            answer = await self.resolver.ask(f"_{port}._tcp.{name}", "TLSA")
        except ValueError:  # too long with the labels in front: nothing can be published there
            return Promise()
        if isinstance(answer, Trouble):
            return Promise(trouble=answer.why)
        if isinstance(answer, Found) and answer.authenticated:
            records = usable(answer.records)
            return Promise(records, unusable=not records)
        return Promise()


def _refusal(judged: Judged) -> Reply:
    first = judged.objections[0]
    return Reply(None, "4.7.5", first.why, Stage.STARTTLS, host=first.host)

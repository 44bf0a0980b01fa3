"""One examination: every check of what the world sees, at once, within a bounded time.

A check that has not ended in time is `unknown`; it keeps no other from being told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sender.blocklists import Blocklist, Blocklists, Checked
from sender.doctor import (
    calls,
    dmarc_check,
    exchange,
    reverse,
    signatures,
    spf_check,
    transport,
)
from sender.doctor.asking import Asked, Desk
from sender.doctor.calls import Errand
from sender.doctor.finding import Finding, checks, found
from sender.doctor.ours import Ours
from sender.doctor.transport import PolicyHost
from sender.mx import MailExchange

SECONDS = 45.0
"""For one check."""
MOST = 200
"""Findings of one check: a hostile zone must not fill the table or the screen."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What an examination asks with.  `exchange`: how mail really goes out."""

    resolver: Asked
    exchange: MailExchange
    errand: Errand
    policy_host: PolicyHost
    lists: Sequence[Blocklist] = ()
    seconds: float = SECONDS


Told = Callable[[str, Sequence[Finding]], None]


async def examine(
    ours: Ours, tools: Tools, now: float, told: Told | None = None
) -> dict[str, list[Finding]]:
    """The findings by check; `told` hears of each check as it ends."""
    desk = Desk(tools.resolver)

    async def way_in() -> Mapping[str, list[Finding]]:
        way = await exchange.examine(ours, desk)
        listener = await calls.examine_listener(ours, way.calls, tools.errand)
        return {"mx": list(way.findings), "listener": listener}

    def alone(name: str, work: Awaitable[list[Finding]]) -> Awaitable[Mapping[str, list[Finding]]]:
        async def named() -> Mapping[str, list[Finding]]:
            return {name: await work}

        return named()

    out = calls.examine_outbound(ours, tools.exchange, ours.routed, tools.errand)
    work = {
        ("mx", "listener"): way_in(),
        ("outbound",): alone("outbound", out),
        ("spf",): alone("spf", spf_check.examine(ours, desk)),
        ("dkim",): alone("dkim", signatures.examine(ours, desk, now)),
        ("dmarc",): alone("dmarc", dmarc_check.examine(ours, desk)),
        ("mta_sts",): alone("mta_sts", transport.examine_sts(ours, desk, tools.policy_host)),
        ("tls_rpt",): alone("tls_rpt", transport.examine_reports(ours, desk)),
        ("reverse_dns",): alone("reverse_dns", reverse.examine(ours, desk)),
        ("blocklists",): alone("blocklists", _blocklists(ours, tools)),
    }
    ended = await asyncio.gather(
        *(_bounded(names, one, tools.seconds, told) for names, one in work.items())
    )
    findings = {name: those for one in ended for name, those in one.items()}
    return {name: findings[name] for name in checks() if name in findings}


async def _bounded(
    names: Iterable[str],
    work: Awaitable[Mapping[str, list[Finding]]],
    seconds: float,
    told: Told | None,
) -> dict[str, list[Finding]]:
    try:
        async with asyncio.timeout(seconds):
            done = {name: those[:MOST] for name, those in (await work).items()}
    except TimeoutError:
        done = {name: [found(f"{name}.late", seconds=f"{seconds:g}")] for name in names}
    if told is not None:
        for name, those in done.items():
            told(name, those)
    return done


async def _blocklists(ours: Ours, tools: Tools) -> list[Finding]:
    if not tools.lists:
        return [found("blocklists.none")]
    asked = Blocklists(tools.resolver, tools.lists)
    domains = dict.fromkeys((*ours.domains, ours.bounces, ours.hostname))
    subjects = [*sorted(source.address for source in ours.sources), *filter(None, domains)]
    return judge_blocklists(await asked.check(subjects), tools.lists)


def judge_blocklists(checked: Sequence[Checked], lists: Sequence[Blocklist]) -> list[Finding]:
    remove = {one.name: one.remove for one in lists}
    listed = [
        found("blocklists.listed", c.subject, list=c.list, said=c.said, remove=remove[c.list])
        for c in checked
        if c.state == "listed"
    ]
    unsure = {c.list: c.said for c in checked if c.state == "unsure"}
    silent = [found("blocklists.unsure", list=name, said=said) for name, said in unsure.items()]
    clear: dict[str, list[str]] = {}
    for c in checked:
        if c.state == "clear":
            clear.setdefault(c.subject, []).append(c.list)
    fine = [found("blocklists.ok", s, lists=", ".join(names)) for s, names in clear.items()]
    return [*listed, *silent, *fine]

"""MTA-STS and TLS-RPT of the bounce domain: what we promise to those who send bounces to us."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analysis.destination import refusal
from sender.doctor.asking import Desk, exchangers
from sender.doctor.finding import Finding, found
from sender.doctor.ours import Ours, txt_record
from sender.https_get import Target, Unfetched, fetch
from sender.mta_sts import Mode, Policy, read_policy, record_id
from sender.resolver import Answer, Found, Trouble
from sender.tls_rua import asked

MOST_POLICY = 65_536
"""Octets: RFC 8461 section 3.3."""


@dataclass(frozen=True, slots=True)
class PolicyHost:
    """How the policy is fetched."""

    tls: ssl.SSLContext
    port: int = 443
    seconds: float = 10.0


async def examine_sts(ours: Ours, desk: Desk, way: PolicyHost) -> list[Finding]:
    if not ours.bounces:
        return []
    answer = await desk.ask(f"_mta-sts.{ours.bounces}", "TXT")
    if isinstance(answer, Trouble):
        return [found("mta_sts.trouble", ours.bounces, trouble=answer.why)]
    if not isinstance(answer, Found):
        return [found("mta_sts.unused", ours.bounces)]
    published = record_id(answer.records)
    if published is None:
        return [found("mta_sts.syntax", ours.bounces)]
    content = await _fetched(ours, desk, way)
    if isinstance(content, str):
        return [found("mta_sts.unreachable", ours.bounces, trouble=content)]
    hosts = exchangers(await desk.ask(ours.bounces, "MX"))
    judged = list(judge_policy(ours, content, hosts))
    if content == ours.sts_policy.encode() and published != ours.sts_id:
        judged.append(found("mta_sts.stale_id", ours.bounces, id=ours.sts_id))
    return judged


async def _fetched(ours: Ours, desk: Desk, way: PolicyHost) -> bytes | str:
    """The policy, or why there is none."""
    host = f"mta-sts.{ours.bounces}"
    there, trouble = await desk.addresses(host)
    why = trouble or f"{host} has no address"
    for address in there[:3]:
        if bounds := refusal(address, ours.allowed):
            why = f"{host} leads to {address}, which is {bounds}"
            continue
        target = Target(host, address, "/.well-known/mta-sts.txt", way.port)
        try:
            found_there = await fetch(target, way.tls, most=MOST_POLICY, seconds=way.seconds)
        except Unfetched as error:
            why = str(error)
            continue
        return found_there.content
    return why


def judge_policy(ours: Ours, content: bytes, hosts: Sequence[str]) -> Iterator[Finding]:
    try:
        policy: Policy = read_policy(content)
    except ValueError as error:
        yield found("mta_sts.policy", ours.bounces, trouble=str(error))
        return
    if policy.mode is Mode.NONE:
        yield found("mta_sts.ok", ours.bounces, mode=policy.mode.value)
        return
    outside = [host for host in hosts if not policy.allows(host)]
    for host in outside[:3]:
        yield found("mta_sts.mx", ours.bounces, host=host, mode=policy.mode.value)
    if not ours.offers_tls:
        yield found("mta_sts.no_tls", ours.bounces)
    elif not outside:
        yield found("mta_sts.ok", ours.bounces, mode=policy.mode.value)


async def examine_reports(ours: Ours, desk: Desk) -> list[Finding]:
    if not ours.bounces:
        return []
    return [judge_reports(ours, await desk.ask(f"_smtp._tls.{ours.bounces}", "TXT"))]


def judge_reports(ours: Ours, answer: Answer) -> Finding:
    name = f"_smtp._tls.{ours.bounces}"
    record = txt_record(name, f"v=TLSRPTv1; rua=mailto:{ours.tls_reports}")
    if isinstance(answer, Trouble):
        return found("tls_rpt.trouble", name, trouble=answer.why)
    if not isinstance(answer, Found):
        return found("tls_rpt.absent", name, record=record)
    wanted = asked(answer.records)
    told = ", ".join([*(address.wire for address in wanted.mail), *wanted.https])
    if not told:
        return found("tls_rpt.syntax", name, record=record)
    mail = {address.wire.lower() for address in wanted.mail}
    if ours.tls_reports.lower() not in mail:
        return found("tls_rpt.elsewhere", name, rua=told, ours=ours.tls_reports, record=record)
    return found("tls_rpt.ok", name, rua=told)

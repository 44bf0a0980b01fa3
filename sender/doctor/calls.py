"""SMTP connections of the doctor: into our own listener, and out to receivers on port 25.

A call is cut after a few seconds and never hands a message over.  Our listener is known by what no
other server can tell apart: a return path with a genuine token is taken, an address that does not
exist is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aiosmtplib import SMTPException

from analysis.reply import Reply, Stage
from sender.doctor.finding import Finding, found
from sender.doctor.ours import Ours, joined
from sender.mx import MailExchange
from sender.smtp import Host, Route, Timeouts, TlsMode
from sender.smtp_session import Session
from sender.sources import Source, bind_trouble

AT_ONCE = 8
MOST_CALLS = 6
"""Addresses of our MX that are called."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What the calls need.  `token`: a return path of ours; `nobody`: no address of ours."""

    token: str
    nobody: str
    port: int = 25
    seconds: float = 10.0
    receivers: tuple[str, ...] = ()  # domains whose mail exchangers are called
    local: frozenset[str] = frozenset()  # addresses on this machine, where silence is certain


@dataclass(frozen=True, slots=True)
class Heard:
    """What our own listener said; None: the call did not come so far."""

    trouble: Reply | None = None  # no connection, no greeting
    greeting: str = ""
    token: Reply | None = None
    nobody: Reply | None = None
    tls: bool = False


async def examine_listener(
    ours: Ours, calls: Sequence[tuple[str, str]], errand: Errand
) -> list[Finding]:
    """`calls`: hosts and addresses of the MX, as `exchange.examine` found them."""
    if not calls:
        return [found("listener.nobody")]
    chosen = calls[:MOST_CALLS]
    heard = await asyncio.gather(*(_call(ours, *call, errand) for call in chosen))
    return [
        finding
        for (host, address), one in zip(chosen, heard, strict=True)
        for finding in judge_listener(f"{host} [{address}]:{errand.port}", address, one, errand)
    ]


async def _call(ours: Ours, name: str, address: str, errand: Errand) -> Heard:
    session = _session(Host(name, address, errand.port), ours.hostname, errand.seconds)
    try:
        async with asyncio.timeout(4 * errand.seconds):
            if (trouble := await session.open(None)) is not None:
                return Heard(trouble)
            tls = session.supports_extension("starttls")
            greeting = session.last_ehlo_response
            try:
                token, nobody = [await _rcpt(session, to) for to in (errand.token, errand.nobody)]
            except (SMTPException, OSError) as error:
                return Heard(session.explain(error), tls=tls)
            return Heard(None, str(greeting).partition("\n")[0], token, nobody, tls)
    except TimeoutError:
        return Heard(Reply(None, "4.4.2", "too slow", Stage.RCPT))
    finally:
        session.leave()


async def _rcpt(session: Session, address: str) -> Reply:
    """What is said to a recipient of a bounce; nothing is sent to it."""
    session.stage = Stage.MAIL
    began = await session.execute_command(b"MAIL FROM:<>")
    if began.code != 250:
        return session.said(began)
    session.stage = Stage.RCPT
    answered = await session.execute_command(f"RCPT TO:<{address}>".encode())
    await session.execute_command(b"RSET")
    return session.said(answered)


def judge_listener(subject: str, address: str, heard: Heard, errand: Errand) -> Iterator[Finding]:
    if heard.trouble is not None:
        yield _no_answer(subject, address, heard.trouble, errand)
    elif heard.token is None or heard.nobody is None:
        yield found("listener.silent", subject, reply="")
    elif _class(heard.token) == 4:
        yield found("listener.put_off", subject, reply=_told(heard.token))
    elif _class(heard.token) != 2:
        yield found("listener.stranger", subject, banner=heard.greeting, reply=_told(heard.token))
    elif _class(heard.nobody) == 2:
        yield found("listener.trusting", subject, reply=_told(heard.nobody))
    else:
        yield found("listener.ok", subject)
        if not heard.tls:
            yield found("listener.no_tls", subject)


def _no_answer(subject: str, address: str, reply: Reply, errand: Errand) -> Finding:
    """Silence of an address that is not on this machine may be our own router's doing."""
    if reply.stage is not Stage.CONNECT:
        return found("listener.silent", subject, reply=_told(reply))
    if "refused" in reply.text or address in errand.local:
        return found("listener.refused", subject, trouble=reply.text)
    return found(
        "listener.unanswered", subject, trouble=reply.text, address=address, port=errand.port
    )


@dataclass(frozen=True, slots=True)
class Tried:
    """One call out: the host, and the reply that stood in the way."""

    host: str
    trouble: Reply | None


async def examine_outbound(
    ours: Ours, exchange: MailExchange, sources: Sequence[Source], errand: Errand
) -> list[Finding]:
    """From each source that routes name; from wherever the system chooses where there are none."""
    if not errand.receivers:
        return [found("outbound.none")]
    ways = await asyncio.gather(*(exchange.route(domain) for domain in errand.receivers))
    hosts = [way.hosts[0] for way in ways if not isinstance(way, Reply)]
    if not hosts:
        said = [way.text for way in ways if isinstance(way, Reply)]
        return [found("outbound.dns", trouble=said[0])]
    origins = sources or (Source(""),)
    return [await _outbound(ours, source, hosts, errand) for source in origins]


async def _outbound(ours: Ours, source: Source, hosts: Sequence[Host], errand: Errand) -> Finding:
    if source.address and (trouble := bind_trouble(source.address)):
        return found("outbound.source", source.address, trouble=trouble)
    able = [host for host in hosts if not source.address or source.reaches(host)]
    tried = await asyncio.gather(*(_try(ours, source, host, errand) for host in able[:AT_ONCE]))
    return judge_outbound(source.address, tried)


async def _try(ours: Ours, source: Source, host: Host, errand: Errand) -> Tried:
    name = ours.ehlo_name(source)
    session = _session(host, name, errand.seconds, source.address or None)
    try:
        async with asyncio.timeout(3 * errand.seconds):
            return Tried(host.name, await session.open(None))
    except TimeoutError:
        return Tried(host.name, Reply(None, "4.4.2", "too slow", Stage.BANNER))
    finally:
        session.leave()


def judge_outbound(source: str, tried: Sequence[Tried]) -> Finding:
    """One that greets us is enough; one that refuses us after connecting is no closed port."""
    origin = f" from {source}" if source else ""
    told = {"from": origin}
    if not tried:
        return found("outbound.dns", trouble=f"no host of the family of {source}")
    for one in tried:
        if one.trouble is None:
            return found("outbound.ok", source, host=one.host, **told)
    for one in tried:
        if one.trouble is not None and one.trouble.code is not None:
            return found(
                "outbound.refused", source, host=one.host, reply=_told(one.trouble), **told
            )
    hosts = joined([one.host for one in tried])
    why = next(one.trouble.text for one in tried if one.trouble is not None)
    return found("outbound.blocked", source, hosts=hosts, trouble=why, **told)


def _session(host: Host, name: str, seconds: float, source: str | None = None) -> Session:
    route = Route(host.name, (host,), tls=TlsMode.NONE, source_address=source)
    wait = Timeouts(
        connect=seconds, banner=seconds, ehlo=seconds, mail=seconds, rcpt=seconds, quit=1.0
    )
    return Session(host, route, ehlo_name=name, timeouts=wait)


def _class(reply: Reply) -> int:
    return (reply.code or 400) // 100


def _told(reply: Reply) -> str:
    return " ".join(str(part) for part in (reply.code, reply.enhanced, reply.text) if part)

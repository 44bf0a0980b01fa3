"""Aggregate reports, made from the settings: what is ours in others', and our own of TLS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial

import structlog

from analysis.address import AddressError, parse_mailbox
from analysis.aggregate_ledger import AggregateLedger, Noted, Standing
from analysis.alignment import Ours
from analysis.duties import Duty
from analysis.facts import Kind
from analysis.metrics import Metrics
from analysis.organisation import organisational_domain
from carom.engine import Engine
from carom.errors import SettingsError
from carom.settings import Settings
from carom.settings.reports import Signed
from ingest.authenticity import Authenticity
from sender.doctor.asking import texts
from sender.resolver import Resolver, Trouble
from sender.tls_report_file import Reporter
from sender.tls_report_post import ReportPost
from sender.tls_reporting import EVERY, TlsReporting

log = structlog.get_logger()


def ledger(settings: Settings, metrics: Metrics, new_id: Callable[[], str]) -> AggregateLedger:
    """What the reader enters reports into."""

    def heard(noted: Noted) -> None:
        metrics.aggregates.heard(noted)
        if noted.refused:
            log.warning("an aggregate report was not counted", raw=noted.raw_id, why=noted.refused)
        elif noted.standing is Standing.LEFT_OUT:
            log.info("an aggregate report was left out: nobody signed it", raw=noted.raw_id)
        if noted.unknown:
            log.info("unknown sources use our domain", raw=noted.raw_id, sources=noted.unknown)

    wanted = {Kind.DMARC_AGGREGATE: settings.dmarc.signed, Kind.TLS_RPT: settings.tlsrpt.signed}
    required = frozenset(kind for kind, signed in wanted.items() if signed is Signed.REQUIRE)
    return AggregateLedger(cache(partial(ours, settings)), new_id, heard, required)


def authenticity(resolver: Resolver) -> Authenticity:
    """What asks for the keys of those who report."""

    async def ask(name: str) -> list[str] | None:
        try:
            answer = await resolver.ask(name, "TXT")
        except ValueError:  # too long for a name
            return []
        return None if isinstance(answer, Trouble) else texts(answer)

    return Authenticity(ask)


def ours(settings: Settings) -> Ours:
    """Domains we send as, and the organisational domain above each: its policy covers us."""
    domains = {domain for domain in _domains(settings) if domain}
    above = {organisational_domain(domain) for domain in domains}
    keys = settings.dkim.keys
    return Ours(
        frozenset(domains | above),
        settings.ingest.domain,
        frozenset((key.domain or settings.sender.domain, key.selector) for key in keys),
        tuple(settings.dmarc.sources),
    )


def duties(engine: Engine) -> list[Duty]:
    """Our own TLS reports, where they are wanted."""
    if not engine.settings.sender.tls.reports:
        return []
    return [Duty("tls-reports", EVERY, tls_reporting(engine).do)]


def tls_reporting(engine: Engine) -> TlsReporting:
    """Raises `SettingsError` for a contact that is no address."""
    sender = engine.settings.sender
    post = ReportPost(engine.resolver, engine.authorities, tuple(sender.allow_networks))
    return TlsReporting(
        engine.store,
        engine.resolver,
        engine.intake.accept,
        _reporter(engine.settings),
        post=post,
        most=sender.tls.report_most,
    )


def _reporter(settings: Settings) -> Reporter:
    contact = settings.sender.tls.report_contact or f"postmaster@{settings.ingest.domain}"
    submitter = settings.sender.domain or settings.sender.hostname
    try:
        return Reporter(submitter, submitter, parse_mailbox(contact).address.wire)
    except AddressError as error:
        raise SettingsError(f"[sender.tls] report_contact: {error}") from error


def _domains(settings: Settings) -> Iterator[str]:
    yield from (settings.sender.domain, settings.ingest.domain, settings.sender.hostname)
    yield from settings.dmarc.domains
    yield from (key.domain for key in settings.dkim.keys)
    for stream in settings.streams.values():
        try:
            yield parse_mailbox(stream.from_).address.domain if stream.from_ else ""
        except AddressError:  # said where it is used, by `create_app`
            continue

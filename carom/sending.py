"""What sends, made from the settings: how much at once, over which connections, signed by what."""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from analysis import links, retry
from analysis.batch import Batch
from analysis.providers import PROVIDERS
from analysis.rulesource import RulebookSource
from analysis.store import Store
from carom.settings import Settings
from carom.settings.keyfiles import dkim_keys
from sender import queue
from sender.allowances import Allowances, portion
from sender.connections import Connections, Limits
from sender.delivery import Attempts
from sender.outgoing import Outgoing, Unsubscribe
from sender.queue import Claim, Prepared
from sender.routes import Routes
from sender.signing import Signer
from sender.smtp import Timeouts
from sender.submit import RANKS
from sender.tls_report import TlsReport
from sender.tokens import Tokens
from sender.worker import Pace

SIGNED_AT_ONCE = 8
"""Messages that one thread signs in one go: a hop to a thread costs a third of a signature."""


def pace(settings: Settings, allowances: Allowances) -> Pace:
    sender = settings.sender
    # until a domain's site is known; as many may await their turn as may talk
    most = max(allowances.of(name).connections for name in PROVIDERS)
    return Pace(
        concurrency=portion(sender.concurrency, sender.sharers),
        per_domain=2 * most,
        lease=sender.lease,
    )


def connections(settings: Settings, authorities: ssl.SSLContext, report: TlsReport) -> Connections:
    sender, wait = settings.sender, settings.sender.timeouts
    return Connections(
        ehlo_name=sender.hostname,
        timeouts=Timeouts(
            connect=wait.connect,
            banner=wait.banner,
            ehlo=wait.command,
            mail=wait.command,
            rcpt=wait.command,
            data=wait.data,
            block=wait.block,
            dot=wait.dot,
            quit=wait.quit,
        ),
        limits=Limits(
            total=portion(sender.concurrency, sender.sharers),
            per_site=sender.site_connections,
            messages=sender.connection_messages,
            idle=sender.connection_idle,
            addresses=sender.mx_tries,
        ),
        tls=authorities,
        report=report,
    )


def attempts(
    settings: Settings,
    store: Store,
    tokens: Tokens,
    rules: RulebookSource,
    signers: ThreadPoolExecutor,
    connections: Connections,
    routes: Routes,
    clock: Callable[[], float],
    chance: Callable[[], float],
) -> Attempts:
    async def prepare(claims: Sequence[Claim]) -> list[Prepared]:
        now = clock()
        return await store.read(lambda tx: queue.prepare(tx, claims, now))

    async def finish(work: Sequence[tuple[Claim, bytes]]) -> list[bytes]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(signers, outgoing.finish_all, work)

    outgoing = _outgoing(settings, tokens, clock)
    schedule = settings.sender.schedule
    return Attempts(
        prepare=Batch[Claim, Prepared](prepare, lanes=2).put,
        ways=routes,
        undeterred=routes.undeterred(),
        wires=connections,
        finish=Batch[tuple[Claim, bytes], bytes](finish, largest=SIGNED_AT_ONCE, lanes=2).put,
        judge=rules.classify,
        schedules=tuple(retry.parse(getattr(schedule, name)) for name in RANKS),
        clock=clock,
        random=chance,
    )


def unsubscribing(settings: Settings) -> frozenset[str]:
    """The streams whose mail carries an unsubscribe link."""
    return frozenset(name for name, stream in settings.streams.items() if stream.unsubscribe)


def _outgoing(settings: Settings, tokens: Tokens, clock: Callable[[], float]) -> Outgoing:
    signers: dict[str, list[Signer]] = defaultdict(list)
    for signer in dkim_keys(settings):
        signers[signer.domain].append(signer)
    return Outgoing(
        signers=signers,
        default_domain=settings.sender.domain,
        unsubscribe=Unsubscribe(
            tokens,
            settings.ingest.domain,
            settings.api.public_url.rstrip("/"),
            lifetime=links.LIFETIME,
        ),
        streams=unsubscribing(settings),
        clock=clock,
    )

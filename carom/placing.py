"""Our own probes, wired: seeds are written to and looked through, and the bounce loop is tried.

Duties, each done by one process of all: a sender hands in probes and canaries, an ingest looks for
probes over IMAP, in threads, a few at a time, and never while a transaction is open.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial

import structlog
from sqlalchemy import Connection

from analysis import bounce_loop, placement
from analysis.address import Mailbox, parse, parse_mailbox
from analysis.duties import Duty
from analysis.probe_metrics import ProbeGauges
from carom.engine import Engine
from carom.errors import SettingsError
from carom.settings import Settings
from carom.settings.placement import Seed
from ingest import canary, seeds
from ingest.canary import Reflection
from ingest.listener import Inbound
from ingest.recipients import ReadToken
from ingest.seed_account import Account, Security, SeedError
from ingest.seeds import Wish
from sender.canary import Bounce, Canaries, reflect
from sender.probes import Probes, Target, Wording, probe_of
from sender.tokens import Tokens

log = structlog.get_logger()

AT_ONCE = 4
"""Seeds looked through at the same time."""
DEFAULT_STREAM = "default"


def duties(engine: Engine, roles: Collection[str]) -> list[Duty]:
    """What a process with these roles does about probes; nothing where nothing is set."""
    settings, found = engine.settings, []
    given = settings.placement
    if given.seeds and "sender" in roles:
        sending = probes(engine)

        async def probe(now: float) -> None:
            await sending.send(now)

        found.append(Duty("seed probes", given.every, probe))
    if given.seeds and "ingest" in roles:
        looks = Looks(engine)
        found.append(Duty("seed looks", given.look_every, looks.look_through))
    if (every := settings.ingest.canary.every) and tries_loop(settings) and "sender" in roles:
        found.append(Duty("canary", every, _canaries(engine).send))
    return found


class Looks:
    """Looks through every seed that has something to be looked for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._accounts = accounts(engine.settings)
        self._places = asyncio.Semaphore(AT_ONCE)

    async def look_through(self, now: float) -> None:
        """One look at each; a seed that cannot be read keeps no other back."""
        looks = (self._look(name, now) for name in self._accounts)
        for ended in await asyncio.gather(*looks, return_exceptions=True):
            if isinstance(ended, BaseException):
                raise ended

    async def _look(self, seed: str, now: float) -> None:
        store = self._engine.store
        errand = await store.read(lambda tx: placement.errand(tx, seed, now))
        if errand is None:
            return
        given = self._engine.settings.placement
        remove = errand.done if given.remove else frozenset()
        wish = Wish(errand.oldest, partial(_probe, self._engine.tokens, now), remove)
        async with self._places:
            try:
                found = await asyncio.to_thread(
                    seeds.look, self._accounts[seed], wish, time.monotonic
                )
            except SeedError as error:
                log.warning("a seed could not be read", seed=seed, why=str(error))
                self._engine.metrics.probes.errors.labels(error.reason.value).inc()
                return
        settled = await store.write(
            lambda tx: placement.record(
                tx,
                seed,
                found,
                looked_at=now,
                missing_after=given.missing_after,
                removed=errand.done,  # taken out now, or left for good
            )
        )
        for one in settled:
            self._engine.metrics.probes.settled(one)


def _probe(tokens: Tokens, now: float, tag: str) -> str | None:
    return probe_of(tokens, tag, now)


def accounts(settings: Settings) -> dict[str, Account]:
    """Seed -> how it is read.  Raises `SettingsError`."""
    return {seed.name: account(seed) for seed in settings.placement.seeds}


def account(seed: Seed) -> Account:
    return Account(
        seed.imap.host,
        seed.imap.port,
        seed.user or seed.address,
        _password(seed),
        Security(seed.tls.value),
        seed.inbox,
        tuple(seed.junk),
        tuple(seed.receiver),
        _context(seed),
    )


def _password(seed: Seed) -> str:
    if seed.password_file is None:
        return seed.password.get_secret_value()
    try:
        return seed.password_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "is not text"
        raise SettingsError(
            f"[placement] seed {seed.name}: password_file: {seed.password_file}: {why}"
        ) from error


def _context(seed: Seed) -> ssl.SSLContext | None:
    if seed.authorities is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(seed.authorities))
    except (OSError, ssl.SSLError) as error:
        why = getattr(error, "strerror", None) or "no certificate in it"
        raise SettingsError(
            f"[placement] seed {seed.name}: authorities: {seed.authorities}: {why}"
        ) from error


def probes(engine: Engine) -> Probes:
    given = engine.settings.placement
    return Probes(
        engine.store,
        engine.intake,
        engine.tokens,
        targets=[Target(seed.name, seed.address, seed.provider) for seed in given.seeds],
        senders=_senders(engine.settings),
        wording=Wording(given.subject, given.text, given.html),
        new_id=engine.new_id,
    )


def _senders(settings: Settings) -> Mapping[str, Mailbox]:
    """Stream -> From, of the streams that are probed.  Raises `SettingsError`."""
    given, domain = settings.placement, settings.sender.domain
    usual = given.from_ or (f"seeds@{domain}" if domain else "")
    found = {}
    for name in given.streams or list(settings.streams) or [DEFAULT_STREAM]:
        stream = settings.streams.get(name)
        text = (stream and stream.from_) or usual
        if not text:
            raise SettingsError("[placement] from: give one, or [sender] domain")
        found[name] = parse_mailbox(text)
    return found


def tries_loop(settings: Settings) -> bool:
    """Whether the bounce loop is tried: it takes the real path only where DNS names our MX."""
    given, domain = settings.ingest.canary, settings.ingest.domain
    if given.every is None or not domain:
        return False
    if given.address or domain in settings.sender.static_mx:
        return True
    return settings.faces_the_world(asked="every" in given.model_fields_set)


def _canaries(engine: Engine) -> Canaries:
    settings = engine.settings
    given, domain = settings.ingest.canary, settings.ingest.domain
    return Canaries(
        engine.store,
        engine.intake,
        engine.tokens,
        Mailbox("", parse(f"postmaster@{domain}")),
        domain,
        parse(given.address) if given.address else None,
        given.alarm_after,
        engine.new_id,
    )


def read_canary(engine: Engine) -> ReadToken | None:
    """Which canary addresses the listener takes; None: there are none."""
    if not tries_loop(engine.settings):
        return None
    return canary.fresh(engine.tokens.read_canary_address)


def reflector(engine: Engine) -> Callable[[Inbound], Awaitable[Inbound]]:
    """Answers canaries, durably; gives back what of a message is for others."""
    domain, hostname = engine.settings.ingest.domain, engine.settings.sender.hostname
    new_id = engine.new_id

    def bounce(owed: Reflection) -> Bounce:
        message_id = f"<{new_id()}@{domain}>"
        content = canary.notice(owed, hostname=hostname, domain=domain, message_id=message_id)
        return Bounce(owed.canary_id, owed.return_path, owed.owner_id, content, message_id)

    async def answer(inbound: Inbound) -> Inbound:
        for accepted in inbound.recipients:
            owed = canary.owed(
                inbound,
                accepted,
                domain=domain,
                read_return_path=engine.tokens.read_return_path,
            )
            if owed is None:
                continue
            send = partial(reflect, bounce=bounce(owed), now=engine.clock(), new_id=new_id)
            if await engine.store.write(send):
                engine.worker.wake()
        return canary.without_canaries(inbound)

    return answer


def gauges(settings: Settings, started: float) -> Callable[[Connection, float], ProbeGauges]:
    """What a scrape reads; `started`: when this process did."""
    window, loop = settings.placement.window, tries_loop(settings)
    late = settings.ingest.canary.alarm_after
    probed = bool(settings.placement.seeds)

    def read(tx: Connection, now: float) -> ProbeGauges:
        return ProbeGauges(
            placement.tally(tx, now - window) if probed else {},
            bounce_loop.silence(tx, now, started) if loop else None,
            late,
        )

    return read

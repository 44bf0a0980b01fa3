"""Assembly: every part of Carom made once from the settings, and handed what it needs.

This is the composition root.  Parts know nothing of settings, of each other's making, or of the
process they run in; `carom serve`, `carom demo` and the stories of the tests all build the same
engine and choose which roles run.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from analysis.facts import Reading
from analysis.metrics import Metrics
from analysis.rulesource import RulebookSource
from carom import aggregating, content, placing, sending, ways
from carom.certificates import Certificates
from carom.counting import Counting
from carom.engine import Engine
from carom.ids import ids
from carom.node import this
from carom.opening import free_space, ready_store, replicas, tell_of_lost_keys
from carom.ruling import ruling
from carom.settings import Settings
from carom.settings.keyfiles import token_keys
from carom.steady import Steady
from carom.tallying import Tallying
from ingest.backlog import Backlog
from ingest.parse import read_mail
from ingest.reading_desk import Unreadable
from ingest.reading_room import Limits as ReadingLimits
from ingest.reading_room import ReadingRoom
from ingest.worker import Pace as ReaderPace
from ingest.worker import Reader
from sender.caps import parse_cap
from sender.intake import Intake, Terms
from sender.pacing import Pacing
from sender.pacing_rounds import PacingRounds
from sender.pressure import Pressure
from sender.submit import RANKS
from sender.tls_report import TlsReport
from sender.tls_store import TlsKeeping
from sender.tls_terms import TlsTerms
from sender.tokens import Token, Tokens
from sender.warmup import Warmup
from sender.worker import Worker

DAY = 86_400.0


async def build(
    settings: Settings,
    *,
    machine: str = "",
    read_apart: bool = True,
    clock: Callable[[], float] | None = None,
    chance: Callable[[], float] = random.random,
) -> Engine:
    """An engine ready to run; its database is opened and migrated.  Close it by `async with`.

    `machine` names this machine, by default as the system does.  A process that starts takes back
    what dead ones of its machine held, so the name is not in the settings, which machines share.
    `clock` gives Unix seconds; without it a steady one of our own does.
    `read_apart`: mail is read in a process of its own, which strangers' mail calls for.
    """
    clock = clock or Steady()
    new_id = ids(clock)
    node = this(new_id, machine)
    tokens = Tokens(token_keys(settings.tokens))
    store = await ready_store(settings)
    await tell_of_lost_keys(store)
    rules = ruling(settings)
    metrics = Metrics(settings.streams)
    counting = Counting(metrics, Tallying(clock))
    limits = settings.suppression_limits()
    signers = ThreadPoolExecutor(2, "signer")
    resolver = ways.resolver(settings)
    report = TlsReport(clock)
    authorities = ways.authorities(settings)
    connections = sending.connections(settings, authorities, report)
    policies = ways.sts_policies(settings, authorities, resolver, store, report, clock)
    terms = TlsTerms(resolver, policies, report, dane=settings.sender.tls.dane)
    routes = ways.routes(settings, resolver, chance, terms)
    warmup = Warmup(store, clock)
    choice = ways.choice(settings, routes, warmup)
    allowances = ways.allowances(settings)
    pacing = Pacing(allowances, clock=clock, chance=chance)
    attempts = sending.attempts(
        settings, store, tokens, rules, signers, connections, routes, clock, chance
    )
    worker = Worker(
        store,
        replace(attempts, pacing=pacing, choice=choice),
        node=node.name,
        gone=node.gone,
        pace=sending.pace(settings, allowances),
        limits=limits,
        clock=clock,
        observer=counting,
        pacing=pacing,
        rounds=PacingRounds(pacing, store, node=node.name, gone=node.gone, clock=clock),
    )
    reading_room = _reading_room(settings, rules)
    reader = Reader(
        store,
        reading_room.read if read_apart else lambda raws: _read_here(raws, rules),
        owner_of=lambda local_part: _owner(tokens, local_part, clock()),
        node=node.name,
        gone=node.gone,
        pace=ReaderPace(),
        limits=limits,
        clock=clock,
        new_id=new_id,
        observer=counting,
        aggregates=aggregating.ledger(settings, metrics, new_id),
        authenticity=aggregating.authenticity(resolver),
    )
    pressure = Pressure(store, settings.intake.limits(), clock, counting, free=free_space(store))
    intake = Intake(
        store,
        tokens,
        _terms(settings),
        clock=clock,
        new_id=new_id,
        observer=counting,
        wake=worker.wake,
        lanes=1 if store.url.get_backend_name() == "sqlite" else 4,
        linting=content.linting(settings),
        tracking=content.tracking(settings, tokens),
        pressure=pressure,
    )
    return Engine(
        settings,
        node,
        store,
        replicas(settings, store),
        metrics,
        counting,
        tokens,
        rules,
        intake,
        pressure,
        Backlog(store, settings.intake.unread, partial(counting.put_off, "unread")),
        pacing,
        worker,
        reader,
        reading_room,
        connections,
        choice,
        warmup,
        resolver,
        authorities,
        TlsKeeping(store, report, policies, clock),
        Certificates(),
        signers,
        clock,
        new_id,
        placing.gauges(settings, clock()),
    )


def _read_here(raws: Sequence[bytes], rules: RulebookSource) -> list[Reading | Unreadable]:
    return [read_mail(raw, rules.current) for raw in raws]


def _reading_room(settings: Settings, rules: RulebookSource) -> ReadingRoom:
    """Mail is read by the rules of this moment; new ones go into a new process."""
    limits = settings.ingest.limits
    return ReadingRoom(
        "ingest.parse:reader",
        lambda: rules.current,
        ReadingLimits(seconds=limits.parse_time, memory=limits.parse_memory),
    )


def _owner(tokens: Tokens, local_part: str, now: float) -> str | None:
    found = tokens.read_return_path(local_part, now)
    return found.subject_id if isinstance(found, Token) else None


def _terms(settings: Settings) -> Terms:
    sender = settings.sender
    return Terms(
        bounce_domain=settings.ingest.domain,
        deadlines={name: getattr(sender.deadline, name) for name in RANKS},
        classes={name: stream.class_.value for name, stream in settings.streams.items()},
        token_lifetime=settings.tokens.lifetime_days * DAY,
        require_tls=frozenset(n for n, stream in settings.streams.items() if stream.require_tls),
        caps={n: parse_cap(s.cap) for n, s in settings.streams.items() if s.cap},
    )

"""Attempts made of the real parts: the store, the rulebook, the connections; only keys are missing.

async with ScriptedMX() as mx, connections() as wires:
    made = attempts(store, way_to(mx), wires)
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from analysis.batch import Batch
from analysis.reply import Reply
from analysis.retry import parse
from analysis.rulebook import shipped
from analysis.store import Store
from sender import queue
from sender.connections import Connections, Limits
from sender.delivery import Attempts
from sender.queue import Claim, Prepared
from sender.smtp import Host, Route, Timeouts
from tests.peers.scripted_mx import ScriptedMX

SCHEDULE = parse("10s, 20s, 40s")


@dataclass
class OneWay:
    """Every domain's mail goes to one host, or nowhere for a reason."""

    to: Host | Reply

    async def route(self, domain: str, *, require_tls: bool = False) -> Route | Reply:
        if isinstance(self.to, Reply):
            return self.to
        return Route(f"{self.to.name}:{self.to.port}", (self.to,), provider="other")


def way_to(mx: ScriptedMX) -> OneWay:
    return OneWay(Host("mx.example.net", mx.address, mx.port))


@asynccontextmanager
async def connections(**bounds: Any) -> AsyncIterator[Connections]:
    quick = Timeouts(connect=5, banner=5, ehlo=5, mail=5, rcpt=5, data=5, dot=5, quit=1)
    made = Connections(ehlo_name="mta.example.com", timeouts=quick, limits=Limits(**bounds))
    yield made
    await made.close()


async def unsigned(work: tuple[Claim, bytes]) -> bytes:
    """The message as it was composed."""
    return work[1]


def attempts(store: Store, ways: Any, wires: Any, **other: Any) -> Attempts:
    """`other` replaces any part."""
    clock: Callable[[], float] = other.get("clock", time.time)

    async def prepare(claims: Any) -> list[Prepared]:
        now = clock()
        return await store.read(lambda tx: queue.prepare(tx, claims, now))

    parts: dict[str, Any] = {
        "prepare": Batch[Claim, Prepared](prepare).put,
        "ways": ways,
        "wires": wires,
        "finish": unsigned,
        "judge": shipped().classify,
        "schedules": (SCHEDULE,) * 3,
        "clock": clock,
        "random": random.Random(7).random,
    }
    return Attempts(**(parts | other))

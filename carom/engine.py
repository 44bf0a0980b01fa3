"""The engine: every part of Carom that runs, in one place, and how they end together.

`carom.assembly` makes one from the settings; roles, duties and the web application are handed it
and take from it what they need.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType

from sqlalchemy import Connection

from analysis import examined_metrics, incident_metrics, suppression
from analysis.aggregate_lookup import unknown_sources
from analysis.metrics import Gauges, Metrics
from analysis.probe_metrics import ProbeGauges
from analysis.replicas import Replicas
from analysis.rulesource import RulebookSource
from analysis.stats import settled_recently
from analysis.store import Store
from carom.certificates import Certificates
from carom.counting import Counting
from carom.node import Node
from carom.settings import Settings
from ingest import inbox
from ingest.backlog import Backlog
from ingest.reading_room import ReadingRoom
from ingest.worker import Reader
from sender import backlog
from sender.connections import Connections
from sender.intake import Intake
from sender.pacing import Pacing
from sender.pressure import Pressure
from sender.resolver import Resolver
from sender.route_choice import RouteChoice
from sender.tls_store import TlsKeeping
from sender.tokens import Tokens
from sender.warmup import Warmup
from sender.worker import Worker


@dataclass(frozen=True, slots=True)
class Engine:
    settings: Settings
    node: Node
    store: Store
    replicas: Replicas  # what only tells is asked here
    metrics: Metrics
    counting: Counting
    tokens: Tokens
    rules: RulebookSource
    intake: Intake
    pressure: Pressure
    backlog: Backlog
    pacing: Pacing
    worker: Worker
    reader: Reader
    reading_room: ReadingRoom
    connections: Connections
    choice: RouteChoice | None
    warmup: Warmup
    resolver: Resolver
    authorities: ssl.SSLContext  # wants certificates that hold; takes long to make
    tls: TlsKeeping
    certificates: Certificates
    signers: ThreadPoolExecutor
    clock: Callable[[], float]
    new_id: Callable[[], str]
    probed: Callable[[Connection, float], ProbeGauges]

    def routes_out(self) -> dict[str, bool]:
        """Whether each route of the settings is out, as this process sees it."""
        return {} if self.choice is None else self.choice.out()

    async def gauges(self) -> Gauges:
        """What a scrape reads from the database."""
        now = self.clock()
        suspended = self.pacing.suspended()
        return await self.store.read(
            lambda tx: Gauges(
                suppression.count_by_reason(tx, now),
                backlog.depth(tx, now),
                inbox.unread(tx),
                suspended,
                unknown_sources(tx, now),
                self.routes_out(),
                trouble=incident_metrics.read(tx),
                cohorts=settled_recently(tx, now),
                probes=self.probed(tx, now),
                health=examined_metrics.read(tx),
            )
        )

    async def __aenter__(self) -> Engine:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.store.close)
            stack.push_async_callback(self.replicas.close)
            stack.push_async_callback(self.counting.tallying.write, self.store)
            stack.push_async_callback(self.tls.put_down)
            stack.push_async_callback(self.warmup.put_down)
            stack.callback(self.signers.shutdown)
            stack.callback(self.reading_room.close)
            stack.push_async_callback(self.resolver.close)
            if self.tls.policies is not None:
                stack.push_async_callback(self.tls.policies.close)
            stack.push_async_callback(self.connections.close)
            stack.push_async_callback(self.intake.close)

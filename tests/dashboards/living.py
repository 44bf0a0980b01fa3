"""A whole Carom lives a scripted day in a few minutes: real SMTP, real reports, a clock of its own.

Time goes on in steps.  A step's mail is sent, tried, judged and answered; then Carom is scraped as
Prometheus does it, and the clock is set to the next step.  Within a step time passes as it does,
only ever more slowly, so that a slow machine tells the same story as a quick one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiosmtplib
from sqlalchemy import Connection, func, select

from analysis.duties import take
from analysis.schema import attempts, canaries, deliveries, raw_inbound, reports
from carom import placing, reputation
from carom.demo.sink import Sink
from tests.dashboards.history import Samples
from tests.flows.house import BOUNCES, House, carom_house, until
from tests.servers import LOOPBACK, free_port

STEP = 30.0
MINUTE = 60.0
EACH = 5
"""Messages a step to each provider."""
PROVIDERS = ("gmail.com", "yahoo.com")
SCRAPED = {"job": "carom", "instance": "day"}
PATIENCE = 120.0
TRIED = ("accepted", "refused", "deferred", "in_doubt")
"""Results of attempts that are counted: what was held back was not tried."""


@dataclass(frozen=True, slots=True)
class Phase:
    """`found`: alerts that must fire within five minutes; those of `along` may."""

    name: str
    begins: float  # minutes
    ends: float
    roles: Mapping[str, str] = field(default_factory=dict)  # provider -> role of half its mail
    found: frozenset[str] = frozenset()
    along: frozenset[str] = frozenset()
    deaf: bool = False  # the MX of the bounce domain is dead


class Clock:
    """Unix seconds of the story."""

    def __init__(self, start: float) -> None:
        self._at = (start, time.monotonic())

    def set(self, at: float) -> None:
        self._at = (at, time.monotonic())

    def __call__(self) -> float:
        at, since = self._at
        passed, room = time.monotonic() - since, STEP - 2
        return at + room * passed / (room + passed)


class Door:
    """The port that the MX of the bounce domain leads to, as long as it is open."""

    def __init__(self, behind: int) -> None:
        self.port = free_port()
        self._behind = behind
        self._server: asyncio.Server | None = None
        self._calls: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        return self._server is not None

    async def set_open(self, wanted: bool) -> None:
        if wanted and self._server is None:
            self._server = await asyncio.start_server(self._let_in, LOOPBACK, self.port)
        elif not wanted and self._server is not None:
            self._server.close()
            self._server = None
            for call in set(self._calls):
                call.cancel()
            await asyncio.gather(*self._calls, return_exceptions=True)

    async def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._calls.add(task)
        there, back = await asyncio.open_connection(LOOPBACK, self._behind)
        try:
            await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))
        except asyncio.CancelledError:
            pass  # the door was shut: the call ends here, and nobody asks how
        finally:
            back.transport.abort()
            writer.transport.abort()
            self._calls.discard(task)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:  # the other side hung up
        pass


@dataclass(slots=True)
class Day:
    """What was seen of it: scrapes, and when each was taken."""

    carom: House
    clock: Clock
    start: float
    scrapes: Samples = field(default_factory=Samples)
    times: list[float] = field(default_factory=list)

    async def scrape(self, at: float) -> None:
        answer = await self.carom.client.get(
            f"http://{LOOPBACK}:{self.carom.bound.metrics}/metrics",
            headers={"X-Prometheus-Scrape-Timeout-Seconds": "10"},
        )
        assert answer.status_code == 200, answer.text
        self.scrapes.add(at, answer.text, **SCRAPED)
        self.scrapes.add(at, "up 1\nscrape_duration_seconds 0.01", **SCRAPED)
        self.times.append(at)


@asynccontextmanager
async def lived(
    folder: Path, start: float, script: Sequence[Phase], minutes: float
) -> AsyncIterator[Day]:
    """A Carom after so many minutes of the day."""
    clock, listener = Clock(start), free_port()
    door = Door(listener)

    async def write_back(to: str, letter: bytes) -> None:
        if not door.is_open:
            return  # it would be tried for days; the day has no more
        async with aiosmtplib.SMTP(hostname=LOOPBACK, port=door.port) as post:
            await post.sendmail("", [to], letter)

    sink = Sink(write_back)
    port = await sink.start()
    url = f"sqlite:///{folder / 'carom.db'}"
    mx = f'{{"{BOUNCES}": "{LOOPBACK}:{door.port}", "*": "{LOOPBACK}:{port}"}}'
    more = {
        "CAROM_SENDER__STATIC_MX": mx,
        "CAROM_INGEST__CANARY__EVERY": "60s",
        # a whole day's mail comes from one address
        "CAROM_INGEST__LIMITS__CONNECTIONS_PER_MINUTE": "1000000",
    }
    await door.set_open(True)
    try:
        async with carom_house(folder, url, mx=port, ingest=listener, clock=clock, **more) as carom:
            day = Day(carom, clock, start)
            for step in range(int(minutes * MINUTE / STEP)):
                at = start + step * STEP
                # the background must not send one that nobody waits for
                await carom.engine.store.write(
                    lambda tx, at=at: take(tx, "canary", node="day", now=at, every=MINUTE)  # type: ignore[misc]
                )
                clock.set(at)
                phases = [p for p in script if p.begins <= (at - start) / MINUTE < p.ends]
                await door.set_open(not any(phase.deaf for phase in phases))
                # a site that did not answer is left alone for minutes, also our own
                hears = door.is_open and not carom.engine.pacing.suspended()["other"]
                await _live(day, sink, step, phases, hears=hears)
                clock.set(at + STEP - 1)
                await day.scrape(at + STEP - 1)
            yield day
            await sink.close()
            await door.set_open(False)
    finally:
        await door.set_open(False)


async def _live(day: Day, sink: Sink, step: int, phases: Sequence[Phase], *, hears: bool) -> None:
    """The mail of a step, with all that comes back of it; then Carom's own duties."""
    carom, engine = day.carom, day.carom.engine
    await carom.submit_each(_people(step, phases))

    async def settled() -> bool:
        return not sink.writing and not await engine.store.read(_users_mail_waits)

    await until(settled, PATIENCE)
    found = [*reputation.duties(engine), *placing.duties(engine, {"sender"})]
    duties = {duty.name: duty for duty in found}
    if step % 2 == 0:
        await duties["canary"].do(engine.clock())
    try:
        if hears:
            await until(lambda: _canaries_back(carom, day.start + step * STEP), PATIENCE)
        await carom.all_read()
        await until(lambda: _all_counted(carom), PATIENCE)
    except TimeoutError:
        facts, canaries = await carom.books(lambda tx: (_facts(tx), _tries_of_canaries(tx)))
        counted = f"counted {_counted(carom)} of {facts}"
        raise AssertionError(f"step {step}: {counted}; canaries: {canaries}") from None
    await engine.counting.tallying.write(engine.store)
    await duties["incidents"].do(engine.clock())


def _users_mail_waits(tx: Connection) -> int:
    states = deliveries.c.state.in_(["queued", "sending"])
    counted = select(func.count()).where(states, deliveries.c.probe.is_(None))
    return int(tx.execute(counted).scalar_one())


async def _all_counted(carom: House) -> bool:
    """Observers are told after the COMMIT: a scrape just between would see a fact a step late."""
    return _counted(carom) == await carom.books(_facts)


def _counted(carom: House) -> list[int]:
    """What `_facts` tells, by the metrics."""
    samples = [s for f in carom.engine.metrics.added.collect() for s in f.samples]
    counted = [
        sum(int(sample.value) for sample in samples if sample.name in names)
        for names in ({"carom_attempts_total"}, {"carom_inbound_messages_total"}, _CAME_BACK)
    ]
    told = counted[2] - sum(
        int(sample.value)
        for sample in samples
        if sample.name == "carom_bounces_total" and sample.labels["source"] == "smtp"
    )
    return [*counted[:2], told]


_CAME_BACK = {"carom_bounces_total", "carom_complaints_total"}


def _facts(tx: Connection) -> list[int]:
    """Attempts, mail that was read, and reports: how many of each."""
    users = deliveries.c.probe.is_(None)
    tried = select(func.count()).select_from(
        attempts.join(deliveries, deliveries.c.id == attempts.c.delivery_id)
    )
    came = select(func.count()).select_from(
        reports.join(deliveries, deliveries.c.id == reports.c.delivery_id)
    )
    read = select(func.count()).where(raw_inbound.c.state == "read")
    wanted = (tried.where(users, attempts.c.result.in_(TRIED)), read, came.where(users))
    return [int(tx.execute(one).scalar_one()) for one in wanted]


async def _canaries_back(carom: House, since: float) -> bool:
    """Whether every canary of this step has come back."""
    c = canaries.c
    back = select(reports.c.delivery_id).where(reports.c.delivery_id.is_not(None))
    away = c.delivery_id.is_(None) | c.delivery_id.not_in(back)
    waiting = select(func.count()).where(c.sent_at >= since, away)
    return await carom.books(lambda tx: tx.execute(waiting).scalar_one()) == 0


def _tries_of_canaries(tx: Connection) -> list[Any]:
    """What the last ones were answered."""
    a, d = attempts.c, deliveries.c
    asked = select(a.started_at, a.result, a.reply, d.state).join(deliveries, d.id == a.delivery_id)
    last = asked.where(d.probe == "canary").order_by(a.started_at.desc()).limit(3)
    return list(tx.execute(last).all())


def _people(step: int, phases: Sequence[Phase]) -> list[str]:
    """Ordinary mail has a greylisted and, now and then, a dead address, once more when known."""
    found = []
    for domain in PROVIDERS:
        for n in range(EACH):
            role = "grey" if n == 1 and step % 2 else "ok"
            name = f"{role}.{step}.{n}"
            if n == 2 and step % 16 == 3:
                name = f"nobody.{step}"
            if n == 2 and step % 16 == 7:
                name = f"nobody.{step - 4}"  # by now it is suppressed
            if n == 3 and step % 24 == 5:
                name = f"ghost.{step}"
            for phase in phases:
                if domain in phase.roles and n < (EACH + 1) // 2:
                    name = f"{phase.roles[domain]}.{step}.{n}"
            found.append(f"{name}@{domain}")
    return found

"""A scripted day: a whole Carom, real SMTP, and the shipped alerts over what it exposed.

The clock is moved on by a minute after each minute's mail, so that every window is as long as in
life; promtool then evaluates our rules and alerts over the scrapes, minute by minute.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiosmtplib
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection, func, select

from analysis.lookup import accounts
from analysis.schema import attempts, deliveries, suppressions
from carom import reputation
from carom.demo.sink import Sink
from tests.dashboards import queries
from tests.flows.house import House, carom_house, until
from tests.servers import LOOPBACK, free_port

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Phase:
    """`found`: alerts that must fire, and how many minutes after the beginning at most."""

    name: str
    begins: int
    ends: int
    roles: Mapping[str, str] = field(default_factory=dict)  # provider -> role of half its mail
    found: Mapping[str, int] = field(default_factory=dict)


DAY = (
    Phase("ordinary mail", 0, 40),
    Phase(
        "gmail blocks us",
        40,
        55,
        {"gmail.com": "block"},
        {"ProviderRefusesUs": 5, "DeliveryRatioLow": 8, "IncidentOpen": 5},
    ),
    Phase("mailboxes are full", 80, 95, {"yahoo.com": "full"}),
    Phase("a complaint wave", 115, 125, {"yahoo.com": "angry"}, {"ComplaintRatioHigh": 5}),
)
LENGTH = 128
MORNING = 58  # minutes of the short form: ordinary mail, and the first fault
GROUPS = [
    "carom-ratios",
    "carom-day",
    "carom-process",
    "carom-queue",
    "carom-delivery",
    "carom-reputation",
    "carom-inbox",
    "carom-inbound",
]
EACH = 6  # messages a minute to each provider
PROVIDERS = ("gmail.com", "yahoo.com")


class Ahead:
    by = 0.0

    def __call__(self) -> float:
        return time.time() + self.by


@dataclass(slots=True)
class Scrapes:
    """Series -> its value at each minute; `_`: it was not there."""

    series: dict[str, list[str]] = field(default_factory=dict)
    length: int = 0

    def add(self, text: str) -> None:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name.startswith("carom_") and not sample.name.endswith("_bucket"):
                    labels = ",".join(f"{k}={json.dumps(v)}" for k, v in sample.labels.items())
                    name = f"{sample.name}{{{labels}}}"
                    values = self.series.setdefault(name, ["_"] * self.length)
                    values.append(f"{sample.value:.10g}")
        self.length += 1
        for values in self.series.values():
            values.extend(["_"] * (self.length - len(values)))

    def last(self, name: str, **labels: str) -> float:
        """Sum of a family's series with these labels, at the end."""
        wanted = [f"{key}={json.dumps(value)}" for key, value in labels.items()]
        return sum(
            float(values[-1])
            for series, values in self.series.items()
            if series.startswith(f"{name}{{") and all(part in series for part in wanted)
        )


@asynccontextmanager
async def lived(folder: Path, length: int) -> AsyncIterator[tuple[House, Scrapes]]:
    """A Carom after so many minutes of the day, and what Prometheus would have scraped in it."""
    clock, scrapes = Ahead(), Scrapes()
    async with _world(folder, clock) as (carom, sink):
        for minute in range(length):
            phase = next((p for p in DAY if p.begins <= minute < p.ends), None)
            await _minute(carom, sink, minute, phase)
            scrapes.add(await carom.metrics())
            clock.by += MINUTE
        yield carom, scrapes


@asynccontextmanager
async def _world(folder: Path, clock: Ahead) -> AsyncIterator[tuple[House, Sink]]:
    listener = free_port()

    async def write_back(to: str, letter: bytes) -> None:
        async with aiosmtplib.SMTP(hostname=LOOPBACK, port=listener) as post:
            await post.sendmail("", [to], letter)

    sink = Sink(write_back)
    port = await sink.start()
    url = f"sqlite:///{folder / 'carom.db'}"
    async with carom_house(folder, url, mx=port, ingest=listener, clock=clock) as carom:
        yield carom, sink
        await sink.close()


async def _minute(carom: House, sink: Sink, minute: int, phase: Phase | None) -> None:
    """The mail of a minute, with all that comes back of it; then Carom's own rounds."""
    await carom.submit_each(_people(minute, phase))
    engine = carom.engine

    async def settled() -> bool:
        states = await engine.store.read(accounts)
        return not (sink.writing or states["queued"] or states["sending"])

    await until(settled)
    await carom.all_read()
    await engine.counting.tallying.write(engine.store)
    [judge] = [d for d in reputation.duties(engine) if d.name == "incidents"]
    await judge.do(engine.clock())


def _people(minute: int, phase: Phase | None) -> list[str]:
    found = []
    for domain in PROVIDERS:
        for n in range(EACH):
            role = "grey" if n == 1 and minute % 2 else "ok"
            if n == 2 and minute % 12 == 0:
                role = "nobody"
            if phase is not None and domain in phase.roles and n < EACH // 2:
                role = phase.roles[domain]
            found.append(f"{role}.{minute}.{n}@{domain}")
    return found


async def test_a_day_with_its_faults(
    promtool: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Every fault is found in time, nothing else fires, and the counters agree with the tables."""
    length = LENGTH if request.config.getoption("--full") else MORNING
    async with lived(tmp_path, length) as (carom, scrapes):
        for result, outcome in (("accepted", "delivered"), ("refused", "bounced")):
            for name in ("gmail", "yahoo"):
                booked = await carom.books(lambda tx, r=result, n=name: _booked(tx, r, n))  # type: ignore[misc]
                counted = scrapes.last("carom_deliveries_total", outcome=outcome, provider=name)
                assert counted == booked, (outcome, name)
        listed = await carom.books(
            lambda tx: tx.execute(select(func.count()).select_from(suppressions)).scalar_one()
        )
        assert scrapes.last("carom_suppressions") == listed
    file = tmp_path / "day.yml"
    file.write_text(
        _story(scrapes, [phase for phase in DAY if phase.begins < length]), encoding="utf-8"
    )
    command = [promtool, "test", "rules", str(file)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def _booked(tx: Connection, result: str, provider: str) -> int:
    """Attempts in the tables that ended so."""
    of = attempts.c.delivery_id == deliveries.c.id
    found = select(func.count()).where(of, attempts.c.result == result)
    return int(tx.execute(found.where(deliveries.c.provider == provider)).scalar_one())


def _story(scrapes: Scrapes, day: Sequence[Phase]) -> str:
    """The day as promtool's own test: what was scraped, and what must have fired when."""
    firing = 'group by (alertname) (count_over_time(ALERTS{{alertstate="firing"}}[{0}m]))'
    checks = []
    for at, phase in enumerate(day):
        until_ = day[at + 1].begins if at + 1 < len(day) else scrapes.length - 1
        checks.append((firing.format(until_ - phase.begins), until_, sorted(phase.found)))
        for name, minutes in phase.found.items():
            asked = f'group by (alertname) (ALERTS{{alertstate="firing",alertname="{name}"}})'
            checks.append((asked, phase.begins + minutes, [name]))
    story = {
        "rule_files": [str(queries.RULES), str(queries.ALERTS)],
        "evaluation_interval": "1m",
        "group_eval_order": GROUPS,
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": 'up{job="carom"}', "values": f"1x{scrapes.length}"},
                    *({"series": s, "values": " ".join(v)} for s, v in scrapes.series.items()),
                ],
                "promql_expr_test": [
                    {
                        "expr": asked,
                        "eval_time": f"{at}m",
                        "exp_samples": [
                            {"labels": f'{{alertname="{n}"}}', "value": 1} for n in names
                        ],
                    }
                    for asked, at, names in checks
                ],
            }
        ],
    }
    return json.dumps(story)  # which is YAML, too

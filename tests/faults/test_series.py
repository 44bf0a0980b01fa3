"""S11: however many domains are written to, the metrics stay few and name nobody."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from random import Random

import pytest
import structlog
from prometheus_client import generate_latest

from analysis.lifecycle import Fact
from analysis.metrics import Metrics
from analysis.providers import PROVIDERS
from analysis.reply import Reply, Stage
from analysis.rulebook import shipped
from carom.counting import Counting
from carom.tallying import Tallying
from sender.queue import Claim
from sender.record import Record
from tests.amounts import Amount
from tests.storing import NOW, hash_of

MOST_SERIES = 2_000
REPLIES = (
    *("550 5.1.1 user{n}@host{n}.example unknown", "552 5.2.2 mailbox full", "421 4.7.0 too fast"),
    *("554 5.7.1 blocked {n}", "451 4.7.1 greylisted", "550 5.7.26 DMARC", "550 no {n}"),
)


@pytest.fixture(autouse=True)
def quietly() -> Iterator[None]:
    """A line of the log for each bounce is not what is asked here."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    yield
    structlog.configure(**before)


def test_series_do_not_grow_with_the_domains(
    amount: Amount, chance: Random, seen: Callable[[str], None]
) -> None:
    metrics = Metrics(["default", "codes", "news"])
    counting = Counting(metrics, Tallying(lambda: NOW))
    sends, domains, judge = amount(5_000, 1_000_000), amount(500, 100_000), shipped().classify
    for number in range(sends):
        counting.attempted(_record(number, number % domains, chance, judge))
    shown = generate_latest(metrics.registry).decode()
    series = [line for line in shown.splitlines() if line and not line.startswith("#")]
    assert len(series) <= MOST_SERIES, len(series)
    assert "@" not in shown
    assert ".example" not in shown
    seen(f"{sends} sends to {domains} domains: {len(series)} series, '@' 0")


def _record(number: int, domain: int, chance: Random, judge: Callable[[Reply], object]) -> Record:
    to = f"user{number}@host{domain}.example"
    claim = Claim(
        *(f"{number:026d}", f"{number:026d}", 1, to, hash_of(to), f"host{domain}.example"),
        *(chance.choice(("default", "codes", "news", f"stream{number}")), 1, NOW, NOW + 86_400),
        *(0, "b+x@bounces.example.com", "shop@example.com", NOW),
    )
    provider = chance.choice((*PROVIDERS, f"host{domain}.example"))
    if chance.random() < 0.7:
        reply = Reply(250, "2.0.0", f"taken {to}", Stage.DOT, provider, f"mx.host{domain}.example")
        fact, result = Fact.ACCEPTED, "accepted"
    else:
        text = chance.choice(REPLIES).format(n=number)
        reply = Reply.read(text, stage=Stage.RCPT)
        fact, result = Fact.REFUSED, "refused"
    return Record(claim, fact, result, reply, judge(reply), provider, NOW, NOW + 1)  # type: ignore[arg-type]

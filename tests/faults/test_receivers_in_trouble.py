"""R12: receivers that ask everybody to wait, and names that nobody can look up: nobody's fault."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from ipaddress import ip_network

import pytest

from analysis.retry import parse
from analysis.store import Store
from sender.allowances import Allowance, Allowances
from sender.mx import MailExchange
from sender.pacing import Pacing
from sender.resolver import Bounds, Resolver
from sender.routes import Routes
from tests.amounts import Amount
from tests.faults.books import balanced, nobody_suppressed
from tests.peers.counting_sink import CountingSink
from tests.peers.dns_server import DnsServer, Manner
from tests.sender.posting import attempts, connections
from tests.sender.test_worker import due, states, working

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]

DOMAIN = "known.example"
WORDS = {
    "421": b"421 4.7.0 Too much mail from you, come back later\r\n",
    "greylisting": b"451 4.7.1 Greylisted, come back later\r\n",
}


class Moody(CountingSink):
    """Answers every RCPT by its mood."""

    mood = ""
    refused = 0

    def _answer(self, recipient: str) -> bytes:
        if words := WORDS.get(self.mood):
            self.refused += 1
            return words
        return super()._answer(recipient)


@pytest.mark.parametrize("trouble", [*WORDS, "SERVFAIL"])
@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
async def test_no_receivers_trouble_is_held_against_a_recipient(
    store: Store, trouble: str, amount: Amount, seen: Callable[[str], None]
) -> None:
    count, ahead, start = amount(60, 3_400), [0.0], time.time()

    def clock() -> float:
        return time.time() + ahead[0]

    async with Moody() as sink, DnsServer() as names, connections(per_site=20) as wires:
        sink.mood = trouble
        names.add(DOMAIN, "MX", f"10 mx.{DOMAIN}.")
        names.add(f"mx.{DOMAIN}", "A", "127.0.0.1")
        if trouble == "SERVFAIL":
            names.behave(DOMAIN, Manner.SERVFAIL)
        resolver = Resolver([names.nameserver], clock=clock, bounds=Bounds(lifetime=0.5))
        exchange = MailExchange(
            resolver,
            random=lambda: 0.5,
            allowed=[ip_network("127.0.0.0/8")],
            ipv6=False,
            port=sink.port,
        )
        pacing = Pacing(Allowances(Allowance(20)), clock=clock, chance=lambda: 0.5)
        schedule = (parse("60s, 120s, 300s, 600s, 1800s, 3600s*30"),) * 3
        made = attempts(
            store,
            Routes(exchange, static=frozenset()),
            wires,
            schedules=schedule,
            clock=clock,
            pacing=pacing,
        )
        ids = await due(store, *(f"user{n}@{DOMAIN}" for n in range(count)), at=start)
        async with working(store, made, clock=clock, pacing=pacing, per_domain=40) as (_, heard):

            async def tried_again(before: int) -> bool:
                return len(heard.records) > before

            async def all_delivered() -> bool:
                return (await states(store))["delivered"] == count

            for _ in range(4):
                await _as_time_goes(ahead, partial(tried_again, len(heard.records)))
                ahead[0] += 3_600.0
            assert set(await states(store)) <= {"queued", "sending"}
            await store.read(nobody_suppressed)
            sink.mood = ""
            if trouble == "SERVFAIL":
                names.behave(DOMAIN, None)
            await _as_time_goes(ahead, all_delivered)
        await resolver.close()
    books = await store.read(lambda tx: balanced(tx, ids))
    assert books["delivered"] == count
    await store.read(nobody_suppressed)
    seen(f"{trouble} over {count}: suppressed 0, delivered {count} after it")


async def _as_time_goes(ahead: list[float], done: Callable[[], Awaitable[bool]]) -> None:
    """A minute passes at every poll of the worker, up to most of a day, until it is done."""
    give_up = time.monotonic() + 600
    while not await done():
        assert time.monotonic() < give_up, f"not done {ahead[0]:.0f} s ahead"
        ahead[0] += 60.0 if ahead[0] < 20 * 3_600 else 0.0
        await asyncio.sleep(0.05)  # a poll of the worker

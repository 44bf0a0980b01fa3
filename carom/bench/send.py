"""`carom bench send`: durable accept, sign, deliver, record; one message a recipient, 4 kB each."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from analysis.address import parse, parse_mailbox
from analysis.lookup import accounts
from carom.bench import stage
from carom.bench.figure import Figure
from carom.engine import Engine
from sender.compose import Draft
from sender.dkim_keys import KeyKind, generate, load
from sender.intake import Order
from sender.signing import Signer

MESSAGES = 3_000
OCTETS = 4_000
BODY = "".join(f"{n:06d} The quick brown fox jumps over the lazy dog again.\n" for n in range(66))
SIGNATURES = 1_500


def bench() -> list[Figure]:
    """Deliveries per second to smtp-sink, against the machine's RSA signatures per second."""
    limit = signatures_per_second()
    with stage.sink() as port:
        if port is None:
            return [Figure("send", "deliveries", 0.0, "/s", "smtp-sink", None)]
        rate = asyncio.run(_deliveries_per_second(port))
    return [
        Figure("send", "deliveries, RSA and Ed25519", rate, "/s", "all cores signing RSA", limit)
    ]


def signatures_per_second() -> float:
    """RSA-2048 signatures on every core, by OpenSSL, if the machine did nothing else."""
    signer = Signer("bench.example", "s", load(generate(KeyKind.RSA)))
    with ThreadPoolExecutor() as pool:
        started = time.perf_counter()
        list(pool.map(signer.signature, [b"x" * 500] * SIGNATURES))
        return SIGNATURES / (time.perf_counter() - started)


def order(number: int) -> Order:
    """A message to a recipient of its own."""
    recipient = f"user{number}@d{number % 20}.example"
    draft = Draft(
        parse_mailbox("Shop <shop@bench.example>"),
        (parse_mailbox(recipient),),
        "Your receipt",
        text=BODY[:OCTETS],
    )
    return Order(draft, (parse(recipient),), stream="bench")


async def _deliveries_per_second(port: int) -> float:
    async with stage.engine(
        CAROM_SENDER__STATIC_MX=f'{{"*": "127.0.0.1:{port}"}}',
        CAROM_SENDER__SITE_CONNECTIONS="50",
        CAROM_SENDER__CONCURRENCY="100",
    ) as engine:
        stop = asyncio.Event()
        started = time.perf_counter()
        worker = asyncio.create_task(engine.worker.serve(stop))
        await asyncio.gather(*(engine.intake.accept(order(n)) for n in range(MESSAGES)))
        await stage.until(lambda: _all_delivered(engine))
        taken = time.perf_counter() - started
        stop.set()
        await worker
        return MESSAGES / taken


async def _all_delivered(engine: Engine) -> bool:
    return (await engine.store.read(accounts))["delivered"] == MESSAGES

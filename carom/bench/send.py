"""`carom bench send`: durable accept, sign, deliver, record; one message a recipient, 4 kB each."""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor

from analysis.address import parse, parse_mailbox
from analysis.lookup import accounts
from carom.bench import postfix, postgres, stage
from carom.bench.figure import Figure
from carom.engine import Engine
from carom.runtime import run
from sender.compose import Draft
from sender.dkim_keys import KeyKind, generate, load
from sender.intake import Order
from sender.signing import Signer

MESSAGES = 5_000
PEER_MESSAGES = 1_500  # its rate does not depend on how many
OCTETS = 4_000
BODY = "".join(f"{n:06d} The quick brown fox jumps over the lazy dog again.\n" for n in range(66))
SIGNATURES = 1_500


def bench() -> list[Figure]:
    """Deliveries per second to smtp-sink, against the machine's RSA signatures and Postfix."""
    with stage.sink() as port:
        if port is None:
            return [Figure("send", "deliveries", 0.0, "/s", "smtp-sink", None)]
        limit = "all cores signing RSA", signatures_per_second()
        peer = _peer(port)
        figures = []
        for processes in sorted({1, os.cpu_count() or 1}):
            what = f"deliveries, RSA and Ed25519, {processes} sending"
            settings = {"CAROM_SENDER__PROCESSES": str(processes)}
            rate = run(_deliveries_per_second(port, **settings))
            figures += [Figure("send", what, rate, "/s", *other) for other in (limit, peer)]
            figures.append(_on_postgres(port, f"{what}, PostgreSQL", peer, settings))
        return figures


def _on_postgres(
    port: int, what: str, peer: tuple[str, float | None], settings: dict[str, str]
) -> Figure:
    with postgres.database() as url:
        if url is None:
            note = f"no PostgreSQL here, and {postgres.VARIABLE} names none; skipped"
            return Figure("send", what, 0.0, "/s", note=note)
        rate = run(_deliveries_per_second(port, CAROM_DATABASE__URL=url, **settings))
        return Figure("send", what, rate, "/s", *peer)


def _peer(port: int) -> tuple[str, float | None]:
    name = "Postfix with OpenDKIM, RSA" if postfix.signs() else "Postfix, unsigned (no OpenDKIM)"
    if why := postfix.missing():
        return f"{name} ({why})", None
    return name, postfix.deliveries_per_second(port, messages=PEER_MESSAGES, octets=OCTETS)


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


async def _deliveries_per_second(port: int, **environ: str) -> float:
    async with stage.engine(**sending_to(port), **environ) as engine, stage.sending(engine):
        started = time.perf_counter()
        await asyncio.gather(*(engine.intake.accept(order(n)) for n in range(MESSAGES)))
        await stage.until(lambda: _all_delivered(engine))
        return MESSAGES / (time.perf_counter() - started)


def sending_to(port: int) -> dict[str, str]:
    """Settings for which the sink, as one site, is all there is."""
    return {
        "CAROM_SENDER__STATIC_MX": f'{{"*": "127.0.0.1:{port}"}}',
        "CAROM_SENDER__SITE_CONNECTIONS": "100",
        "CAROM_SENDER__CONCURRENCY": "400",
    }


async def _all_delivered(engine: Engine) -> bool:
    return (await engine.store.read(accounts))["delivered"] == MESSAGES

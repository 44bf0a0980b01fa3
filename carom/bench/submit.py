"""`carom bench submit`: durable acceptance, against the disk's own speed of it, and Postfix."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time

from analysis import keys
from carom.bench import postfix, stage
from carom.bench.figure import Figure, share
from carom.bench.send import BODY, OCTETS, order
from carom.role import Role
from carom.roles import running
from carom.runtime import run

MESSAGES = 4_000
AT_ONCE = 500
SYNCS = 200
BATCHES = 100
IN_BATCH = 100
CLIENTS = 20
LETTERS = 4_000
TURNS = 2


def bench() -> list[Figure]:
    """Messages accepted per second in a crowd, one by one, over HTTP and over SMTP."""
    syncs = syncs_per_second()
    crowd = run(_accepted_per_second(MESSAGES, AT_ONCE))
    alone = run(_accepted_per_second(300, 1))
    batches, singles = run(_over_http())
    return [
        Figure("submit", "accepted, 500 at once", crowd, "/s", "one fsync a message", syncs),
        Figure("submit", "accepted, one by one", alone, "/s", "one fsync a message", syncs),
        Figure("submit", "HTTP batches of 100", batches, "/s", "one fsync a message", syncs),
        Figure("submit", "HTTP, one each, p99 at 200/s", 1_000 * share(singles, 0.99), "ms"),
        _over_smtp(),
    ]


def _over_smtp() -> Figure:
    """The same client hands the same mail to both, in turns; the best of each."""
    what = f"SMTP, {CLIENTS} connections"
    if why := postfix.missing():
        rate = run(_submitted_per_second())
        return Figure("submit", what, rate, "/s", f"Postfix, accepting only ({why})", None)
    ours, theirs = [], []
    for _ in range(TURNS):
        with postfix.accepting() as port:
            theirs.append(LETTERS / _hand_in(port))
        ours.append(run(_submitted_per_second()))
    return Figure("submit", what, max(ours), "/s", "Postfix, accepting only", max(theirs))


async def _submitted_per_second() -> float:
    key = keys.make("bench", ["send"], secrets.token_bytes)
    async with stage.engine() as engine:
        await engine.store.write(lambda tx: keys.add(tx, key.key, now=time.time()))
        async with running(engine, {Role.API}) as state:
            assert state.bound.submission is not None
            seconds = await asyncio.to_thread(_hand_in, state.bound.submission, key.text)
        return LETTERS / seconds


def _hand_in(port: int, key: str = "") -> float:
    """Seconds in which all of it was taken; see `carom.bench.submitter`."""
    letter = (
        "From: Shop <shop@bench.example>\r\nTo: user@d.example\r\nSubject: Your receipt\r\n"
        f"Message-ID: <1@bench.example>\r\n\r\n{BODY[:OCTETS]}"
    )
    content = letter.replace("\r\n", "\n").rstrip("\n").replace("\n", "\r\n") + "\r\n"
    asked = [str(port), str(CLIENTS), str(LETTERS), *filter(None, [key])]
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "carom.bench.submitter", *asked],
        input=content.encode(),
        stdout=subprocess.PIPE,
        check=True,
        timeout=postfix.GIVE_UP,
    )
    return float(done.stdout)


async def _over_http() -> tuple[float, list[float]]:
    """Messages a second in batches; seconds that single ones took at a steady rate."""
    letter = {
        "from": "shop@bench.example",
        "to": ["user{n}@d.example"],
        "subject": "Your receipt",
        "text": "Thank you for your order. It will be with you tomorrow.\n" * 10,
    }
    batch = json.dumps({"messages": [letter] * IN_BATCH})
    async with stage.engine() as engine, stage.service(engine) as ask:
        started = time.perf_counter()
        await ask("POST", "/v1/messages/batch", batch, rate=0, count=BATCHES)
        rate = BATCHES * IN_BATCH / (time.perf_counter() - started)
        return rate, await ask("POST", "/v1/messages", json.dumps(letter), rate=200, count=1_000)


def syncs_per_second() -> float:
    """4 kB appends made durable one by one."""
    with tempfile.TemporaryFile() as file:
        started = time.perf_counter()
        for _ in range(SYNCS):
            file.write(b"x" * 4_096)
            file.flush()
            os.fsync(file.fileno())
        return SYNCS / (time.perf_counter() - started)


async def _accepted_per_second(count: int, at_once: int) -> float:
    async with stage.engine() as engine:
        turns = asyncio.Semaphore(at_once)

        async def one(number: int) -> None:
            async with turns:
                await engine.intake.accept(order(number))

        await one(count)
        started = time.perf_counter()
        await asyncio.gather(*(one(number) for number in range(count)))
        return count / (time.perf_counter() - started)

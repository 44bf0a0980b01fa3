"""How long a bounce takes: from its 250 at the listener until a lookup over HTTP says suppressed.

    python -m tests.bench.bench_listener [--rate 50] [--seconds 20] [--postgres]

`carom serve` runs as a process of its own, as in production; reports come by real SMTP, one
connection each, at a steady rate; one client asks `POST /v1/suppressions/lookup` for all that are
still open, over and over.  What it tells includes the reading, the parsing, the commit and the
asking.  The asking alone makes up to 20 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
import time
from pathlib import Path

from tests.flows.mortal import Fate
from tests.flows.test_kill import Scene, dsn, in_turns, scene
from tests.peers.counting_sink import Copy
from tests.servers.postgres import Postgres

_ASK_EVERY = 0.02


async def bench(database_url: str, rate: int, seconds: int) -> list[float]:
    """Seconds from 250 to suppressed, for each report."""
    with tempfile.TemporaryDirectory(prefix="carom-bench-") as folder:
        async with scene(Path(folder), database_url, Fate([])) as carom:
            # even numbers only: their users are gone, the others' mailboxes are just full
            to = [f"user{2 * number}@known.example" for number in range(rate * seconds)]
            await in_turns(to, carom.submit)
            await carom.settled()
            return await _measured(carom, carom.sink.copies, rate)


async def _measured(carom: Scene, copies: list[Copy], rate: int) -> list[float]:
    kept: dict[str, float] = {}  # address -> when its report got 250
    waits: list[float] = []

    async def hand_in(copy: Copy) -> None:
        await carom.hand_in(copy.return_path, dsn(copy))
        kept[copy.recipient] = time.monotonic()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_look(carom, kept, waits, len(copies)))
        start = time.monotonic()
        for number, copy in enumerate(copies):
            await asyncio.sleep(max(0.0, start + number / rate - time.monotonic()))
            tasks.create_task(hand_in(copy))
    return waits


async def _look(carom: Scene, kept: dict[str, float], waits: list[float], count: int) -> None:
    while len(waits) < count:
        await asyncio.sleep(_ASK_EVERY)
        asked = list(kept)[:1000]
        if not asked:
            continue
        answer = await carom.client.post("/v1/suppressions/lookup", json={"addresses": asked})
        now = time.monotonic()
        results = answer.raise_for_status().json()["results"]
        waits += [now - kept.pop(found["address"]) for found in results if found["suppressed"]]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rate", type=int, default=50)
    options.add_argument("--seconds", type=int, default=20)
    options.add_argument("--postgres", action="store_true")
    given = options.parse_args()
    with contextlib.ExitStack() as stack:
        if given.postgres:
            server = stack.enter_context(Postgres(durable=True))
            url = server.url(server.create_database())
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="carom-bench-"))
            url = f"sqlite:///{folder}/carom.db"
        waits = sorted(asyncio.run(bench(url, given.rate, given.seconds)))
    shares = {share: waits[int(share * (len(waits) - 1))] for share in (0.5, 0.95, 0.99, 1.0)}
    told = "  ".join(f"p{share * 100:g} {wait * 1000:.0f} ms" for share, wait in shares.items())
    print(f"{len(waits)} reports at {given.rate}/s, {url.partition(':')[0]}: {told}")


if __name__ == "__main__":
    main()

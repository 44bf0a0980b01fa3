"""`carom bench metrics`: what counting costs of a delivery, in processor time.

One run, so that neither a busy machine nor chance is between the two figures: the time that the
observers take is added up while deliveries go out, and set against all that the process took.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from carom.bench import stage
from carom.bench.figure import Figure
from carom.bench.send import order, sending_to
from carom.counting import Counting
from carom.runtime import run

MESSAGES = 1_000
MOST = 0.03
"""Of a delivery's processor time."""
OBSERVERS = ("submitted", "attempted", "expired", "read", "reported")


def bench() -> list[Figure]:
    """Processor time of counting as a share of that of delivering."""
    with stage.sink() as port:
        if port is None:
            return [Figure("metrics", "share of a delivery's time", 0.0, "%", "smtp-sink", None)]
        return [run(_share(port))]


async def _share(port: int) -> Figure:
    async with stage.engine(**sending_to(port)) as engine, stage.sending(engine):

        async def all_delivered() -> bool:
            return stage.delivered(engine) == MESSAGES

        spent = _watch(engine.counting)
        before = time.process_time()
        await asyncio.gather(*(engine.intake.accept(order(n)) for n in range(MESSAGES)))
        await stage.until(all_delivered)
        whole = time.process_time() - before
    counting = sum(spent) / 1e9
    note = f"{1e6 * counting / MESSAGES:.1f} of {1e6 * whole / MESSAGES:.0f} us a delivery"
    share = 100 * counting / whole
    what = "processor time of counting, of a delivery's"
    return Figure("metrics", what, share, "%", "what it may take", 100 * MOST, note)


def _watch(counting: Counting) -> list[int]:
    """Nanoseconds of this thread in each call of an observer, with the watching itself."""
    spent: list[int] = []

    def watched(call: Callable[..., None]) -> Callable[..., None]:
        def watch(*given: Any) -> None:
            began = time.thread_time_ns()
            call(*given)
            spent.append(time.thread_time_ns() - began)

        return watch

    for name in OBSERVERS:
        setattr(counting, name, watched(getattr(counting, name)))
    return spent

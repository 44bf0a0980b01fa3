"""A queue that is full before anybody looks: one message, its body kept once, to very many."""

from __future__ import annotations

import time
from dataclasses import replace

from analysis.address import address_hash
from carom.bench.send import order
from carom.engine import Engine, new_id
from sender.submit import Recipient, submit

CHUNK = 2_000


async def fill(engine: Engine, count: int) -> None:
    """`count` bulk deliveries, all due now, to 20 domains."""
    first = engine.intake.prepare(replace(order(0), class_="bulk"))
    for start in range(0, count, CHUNK):
        recipients = tuple(_recipient(n) for n in range(start, min(start + CHUNK, count)))
        one = replace(first, id=new_id(), recipients=recipients)
        await engine.store.write(lambda tx, one=one: submit(tx, [one], time.time()))  # type: ignore[misc]


def _recipient(number: int) -> Recipient:
    wire = f"user{number}@d{number % 20}.example"
    return Recipient(
        new_id(), wire, address_hash(wire), wire.partition("@")[2], f"b-{number}@b.bench.example"
    )

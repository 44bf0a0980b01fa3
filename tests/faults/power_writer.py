"""The process that loses its power: it writes as Carom does and says what it has promised.

    python -m tests.faults.power_writer carom.db 60

One line a promise, after its COMMIT: `message ID`, `report ID`, `outcome ID`.  It runs until it has
made so many rounds; who traces it decides where the power went.
"""

from __future__ import annotations

import asyncio
import os
import sys

from analysis.lifecycle import Fact
from analysis.store import open_store
from ingest import inbox
from ingest.inbox import Raw
from tests.storing import NOW, came_of, claimed, new_id, recorded, submission, submitted

CHECKPOINT_PAGES = 60
"""Of the log, after which it is copied into the file: seldom enough, and within this test."""


async def run(file: str, rounds: int) -> None:
    store = open_store(f"sqlite:///{file}")
    await store.write(
        lambda tx: tx.exec_driver_sql(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}").close()
    )
    for turn in range(rounds):
        crowd = [submission(f"user{turn}x{n}@known.example") for n in range(1 + turn % 4)]
        for receipt in await submitted(store, *crowd):
            promise("message", receipt.answer["id"])
        raw = Raw(new_id(), NOW, "192.0.2.1", "mx", "", "b+x@b.example", "bounce", None, b"x" * 700)
        await store.write(lambda tx, raw=raw: inbox.keep(tx, [raw]))  # type: ignore[misc]
        promise("report", raw.id)
        claims = await claimed(store)
        await recorded(store, *(came_of(claim, Fact.ACCEPTED) for claim in claims))
        for claim in claims:
            promise("outcome", claim.delivery_id)
    await store.close()


def promise(kind: str, about: str) -> None:
    """At once and by one call of the system, so that its place among the writes is known."""
    os.write(1, f"{kind} {about}\n".encode())


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2])))

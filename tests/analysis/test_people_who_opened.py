"""Opens by people in the evidence of the inbox estimate."""

from __future__ import annotations

import pytest
from sqlalchemy import insert
from ulid import ULID

from analysis.engagement import Who, people
from analysis.schema import engagements
from analysis.store import Store

pytestmark = pytest.mark.anyio

DAY = 86_400.0
NOW = 1_800_000_000.0


def seen(at: float, who: Who, *kinds: str) -> list[dict[str, object]]:
    """A delivery made at this time, with what was fetched of it, all much later."""
    delivery = str(ULID.from_timestamp(at)).lower()
    return [
        {"delivery_id": delivery, "kind": kind, "class": who.value, "stream": "s", "at": NOW}
        for kind in kinds
    ]


async def test_a_delivery_counts_once_for_the_time_it_was_made_and_only_by_people(
    store: Store,
) -> None:
    rows = [
        *seen(NOW - DAY / 2, Who.HUMAN, "open", "click"),
        *seen(NOW - DAY / 3, Who.HUMAN, "click"),
        *seen(NOW - DAY / 2, Who.MACHINE, "open"),
        *seen(NOW - DAY / 2, Who.UNKNOWN, "click"),
        *seen(NOW - 3 * DAY, Who.HUMAN, "open"),
    ]
    await store.write(lambda tx: tx.execute(insert(engagements), rows))
    assert await store.read(lambda tx: people(tx, NOW - DAY, NOW)) == 2
    assert await store.read(lambda tx: people(tx, 0.0, NOW)) == 3

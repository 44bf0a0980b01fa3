"""A listing is an incident until its list says otherwise; one that cannot be asked says nothing."""

from __future__ import annotations

import pytest

from analysis.blocklisted import Standing, follow
from analysis.incident_policy import Do
from analysis.incidents import Change
from analysis.schema import blocklistings
from analysis.store import Store
from tests.analysis.troubles import POLICY, incidents_of
from tests.storing import NOW, new_id, rows

pytestmark = pytest.mark.anyio

HOUR = 3_600.0


async def found(store: Store, state: str, now: float, subject: str = "192.0.2.4") -> list[Change]:
    said = "127.0.0.2 spam" if state == "listed" else ""
    one = Standing("ours", subject, "ip", state, said, "https://bl.example/remove")
    return await store.write(lambda tx: follow(tx, POLICY, [one], now=now, new_id=new_id))


async def test_a_listing_opens_one_incident_and_its_end_closes_it(store: Store) -> None:
    [opened] = await found(store, "listed", NOW)
    assert opened.do is Do.OPEN
    assert await found(store, "listed", NOW + HOUR) == []
    assert await found(store, "unsure", NOW + 2 * HOUR) == []
    [closed] = await found(store, "clear", NOW + 3 * HOUR)
    assert (closed.do, closed.incident_id) == (Do.CLOSE, opened.incident_id)
    [again] = await found(store, "listed", NOW + 4 * HOUR)
    assert (again.do, again.incident_id) == (Do.REOPEN, opened.incident_id)
    [row] = await incidents_of(store)
    assert row["subject"] == "192.0.2.4 is listed by ours"
    assert row["evidence"]["remove"] == "https://bl.example/remove"


async def test_results_say_since_when(store: Store) -> None:
    await found(store, "clear", NOW)
    await found(store, "clear", NOW + HOUR)
    [row] = await rows(store, blocklistings)
    assert (row["state"], row["since"], row["checked_at"]) == ("clear", NOW, NOW + HOUR)
    await found(store, "listed", NOW + 2 * HOUR)
    [row] = await rows(store, blocklistings)
    assert (row["state"], row["since"]) == ("listed", NOW + 2 * HOUR)


async def test_what_is_not_looked_up_any_more_is_forgotten(store: Store) -> None:
    await found(store, "listed", NOW)
    changes = await found(store, "clear", NOW + HOUR, subject="192.0.2.5")
    assert [change.do for change in changes] == [Do.CLOSE]
    [row] = await rows(store, blocklistings)
    assert row["subject"] == "192.0.2.5"

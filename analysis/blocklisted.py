"""Where our addresses and domains stand with blocklists, kept, and an incident for each listing.

One incident a list and subject, opened at the first check that finds it listed and closed at the
first that says it is not.  `unsure` changes nothing: a list that cannot be asked has lifted nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select

from analysis import incidents as book
from analysis.incident_policy import ALL, Policy
from analysis.incidents import Change, Place
from analysis.schema import blocklistings
from analysis.store import upsert

KIND = "blocklisted"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a check found."""

    list: str
    subject: str
    kind: str  # ip | domain
    state: str  # listed | clear | unsure
    said: str
    remove: str  # where to ask for delisting


def follow(
    tx: Connection,
    policy: Policy,
    found: Sequence[Standing],
    *,
    now: float,
    new_id: Callable[[], str],
) -> list[Change]:
    """Keep what was found in the place of the last results; open and close incidents."""
    known = {(row.list, row.subject): row for row in tx.execute(select(blocklistings))}
    rows = [_row(one, known.get((one.list, one.subject)), now) for one in found]
    upsert(tx, blocklistings, rows, keys=("list", "subject"))
    tx.execute(delete(blocklistings).where(blocklistings.c.checked_at < now))
    changes = [change for one in found for change in _judge(tx, policy, one, now, new_id)]
    return changes + _close_others(tx, found, now)


def _row(one: Standing, before: Any, now: float) -> dict[str, Any]:
    same = before is not None and before.state == one.state
    return {
        "list": one.list,
        "subject": one.subject,
        "kind": one.kind,
        "state": one.state,
        "said": one.said,
        "since": before.since if same else now,
        "checked_at": now,
    }


def _place(one: Standing) -> Place:
    return Place(KIND, ALL, f"{one.subject} is listed by {one.list}"[:255])


def _judge(
    tx: Connection, policy: Policy, one: Standing, now: float, new_id: Callable[[], str]
) -> list[Change]:
    place = _place(one)
    known = book.last_of(tx, place)
    is_open = known is not None and known[1].open
    if known is not None and is_open and one.state == "clear":
        return book.close(tx, place, known[0], "the list says so no more", now=now)
    if is_open or one.state != "listed":
        return []
    proof = {"list": one.list, "subject": one.subject, "said": one.said, "remove": one.remove}
    return book.begin(tx, policy, place, proof, now=now, new_id=new_id)


def _close_others(tx: Connection, found: Sequence[Standing], now: float) -> list[Change]:
    """Incidents about what is not looked up any more."""
    asked = {_place(one).subject for one in found}
    changes = []
    for row in book.browse(tx, limit=1_000):
        if row.kind == KIND and row.subject not in asked:
            place = Place(KIND, row.provider, row.subject)
            changes += book.close(tx, place, row.id, "it is not looked up any more", now=now)
    return changes

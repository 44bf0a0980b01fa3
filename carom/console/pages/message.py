"""A message: for each recipient the answer in one sentence, then every fact in order.

Sending again makes a new message of the same content; cancelling ends what is still queued.  Both
are audited with who asked for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select
from starlette.responses import Response

from analysis import browsing, lookup
from analysis.batch import Overloaded
from analysis.lifecycle import State
from analysis.lookup import Json
from analysis.problem import Problem
from analysis.schema import bodies
from analysis.store import StoreUnavailable
from analysis.telling import Piece, tell
from carom.console.noting import note
from carom.console.visit import Visit, id_in
from sender import unsent
from sender.intake import Refused
from sender.resend import again_order_of

SHOWN = 50
"""Recipients of one message that are shown."""
_ULID = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Told:
    """A delivery and the sentence on it."""

    row: Any
    answer: list[Piece]


async def show(visit: Visit) -> Response:
    message_id = _id(visit)
    found = await visit.desk.store.read(lambda tx: _read(tx, message_id))
    if found is None:
        owner = await visit.desk.store.read(lambda tx: browsing.owner(tx, message_id))
        if owner is not None:
            return visit.go(f"/messages/{owner}")
        raise _not_found(visit)
    message, rows, timeline, kept = found
    told = [
        Told(row, tell(row.recipient, row, None, lang=visit.words.lang, now=visit.now))
        for row in rows
    ]
    return visit.page(
        "message.html",
        message=message,
        told=told,
        timeline=timeline,
        kept=kept,
        queued=any(row.state == State.QUEUED for row in rows),
        many=len(message["deliveries"]) > 1,
    )


def _read(tx: Connection, message_id: str) -> tuple[Json, list[Any], list[Json], bool] | None:
    message = lookup.message(tx, message_id)
    if message is None:
        return None
    kept = select(bodies.c.message_id).where(bodies.c.message_id == message_id)
    return (
        message,
        lookup.told_of(tx, message_id, SHOWN),
        lookup.timeline(tx, message_id) or [],
        tx.execute(kept).scalar() is not None,
    )


async def resend(visit: Visit) -> Response:
    """Send the same content again; to those that are suppressed it is withheld as ever."""
    message_id = _id(visit)
    message, content = await visit.desk.store.read(
        lambda tx: (lookup.message(tx, message_id), lookup.content(tx, message_id))
    )
    if message is None:
        raise _not_found(visit)
    if content is None:
        raise Problem(410, "content-gone", visit.words("trouble.content_gone"))
    try:
        receipt = await visit.desk.intake.accept(again_order_of(message, content, ()))
    except Refused as error:
        raise Problem(422, "invalid", visit.words("trouble.refused", why=str(error))) from error
    except Overloaded as error:
        raise StoreUnavailable("too much is waiting to be written") from error
    again = str(receipt.answer["id"])
    await visit.desk.store.write(
        lambda tx: note(tx, visit, "message.resend", message_id, {"again": again})
    )
    return visit.go(f"/messages/{again}?done=resent")


async def cancel(visit: Visit) -> Response:
    """Cancel what is still queued; what is on the wire cannot be called back."""
    message_id = _id(visit)

    def work(tx: Connection) -> int:
        cancelled = unsent.cancel(tx, message_id, now=visit.now)
        if cancelled:
            note(tx, visit, "message.cancel", message_id, {"cancelled": cancelled})
        return cancelled

    cancelled = await visit.desk.store.write(work)
    done = "cancelled" if cancelled else "nothing_cancelled"
    return visit.go(f"/messages/{message_id}?done={done}")


def _id(visit: Visit) -> str:
    given = id_in(visit.request)
    if not _ULID.fullmatch(given):
        raise _not_found(visit)
    return given


def _not_found(visit: Visit) -> Problem:
    return Problem(404, "not-found", visit.words("trouble.no_message"))

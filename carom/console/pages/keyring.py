"""API keys: listed, made and shown once, revoked; each change is audited."""

from __future__ import annotations

from sqlalchemy import Connection
from starlette.responses import Response

from analysis import browsing, keys
from analysis.keys import SCOPES
from analysis.problem import Problem
from carom.console.noting import note
from carom.console.visit import Visit, id_in

MOST_NAME = 80


async def show(visit: Visit) -> Response:
    return await _page(visit, "")


async def make(visit: Visit) -> Response:
    """Make a key; this answer is the only place where it ever stands."""
    name = visit.given("name", MOST_NAME).replace("\n", " ")
    scopes = [scope for scope in SCOPES if visit.given(f"scope-{scope}", 5)]
    if not name or not scopes:
        raise Problem(422, "invalid", visit.words("trouble.key"))
    made = keys.make(name, scopes, visit.desk.random)

    def work(tx: Connection) -> None:
        keys.add(tx, made.key, now=visit.now)
        note(tx, visit, "key.add", made.key.id, {"name": name, "scopes": scopes})

    await visit.desk.store.write(work)
    return await _page(visit, made.text)


async def revoke(visit: Visit) -> Response:
    """Revoke a key of the database; it is refused within seconds."""
    key_id = id_in(visit.request)

    def work(tx: Connection) -> bool:
        gone = keys.revoke(tx, key_id, now=visit.now)
        if gone:
            note(tx, visit, "key.revoke", key_id, {})
        return gone

    if not await visit.desk.store.write(work):
        raise Problem(404, "not-found", visit.words("trouble.no_key"))
    return visit.go("/keys?done=revoked")


async def _page(visit: Visit, made: str) -> Response:
    rows = await visit.desk.store.read(browsing.keys)
    return visit.page(
        "keys.html", rows=rows, fixed=visit.desk.static_keys, scopes=SCOPES, made=made
    )

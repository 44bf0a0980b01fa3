"""`/v1/webhooks`: who is told of events, tested, replayed, given a new secret; scope `admin`.

A secret is in the answer to the call that made it and nowhere else.  What a URL may be is judged by
who will post to it, and refused by naming the field.  A test is posted while the caller waits, and
is answered 200 with what the endpoint said, good or bad: that is what was asked.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from analysis import webhooks
from analysis.access import Access, Caller, actor
from analysis.body import Body, answer, read_body, read_cursor, write_cursor
from analysis.exchange import read_time
from analysis.lookup import Json, iso
from analysis.problem import Problem, invalid, not_found
from analysis.store import Store
from analysis.webhooks import SECRET_OCTETS, Answer, Endpoint, State, new_secret

MOST_KINDS = 50

_KIND = re.compile(r"[a-z][a-z0-9_]{0,30}(?:\.(?:[a-z0-9_]{1,30}|\*))?", re.ASCII)
_ULID = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}", re.ASCII)


def _kind(text: str) -> str:
    if not _KIND.fullmatch(text):
        raise ValueError("expected a type of events, such as bounced, or dmarc.* for all of a kind")
    return text


Kinds = Annotated[
    list[Annotated[str, AfterValidator(_kind)]],
    Field(max_length=MOST_KINDS, description="Types of events; empty: all"),
]
Since = Annotated[
    float | None,
    BeforeValidator(read_time),
    WithJsonSchema({"type": ["string", "number", "null"], "format": "date-time"}),
]
Limit = Annotated[int, Query(ge=1, le=500)]


class NewWebhook(Body):
    """An endpoint; `since` begins with events that happened already."""

    url: str
    events: Kinds = Field(default_factory=list)
    description: str = Field("", max_length=200)
    since: Since = None


class WebhookChanges(Body):
    """What is to be different; what is left out stays."""

    url: str | None = None
    events: Kinds | None = None
    description: str | None = Field(None, max_length=200)
    state: Literal["active", "paused"] | None = None


class Replay(Body):
    """From when on events are sent again."""

    since: Since


@dataclass(frozen=True, slots=True)
class Ways:
    """What the API is handed: it knows no network and draws no numbers itself."""

    check: Callable[[str], None]  # raises ValueError, with words for the client, for a bad URL
    test: Callable[[Endpoint, str], Awaitable[tuple[Json, Answer]]]
    new_id: Callable[[], str]
    random: Callable[[int], bytes]
    overlap: float  # seconds for which an old secret signs beside a new one


class Webhooks:
    def __init__(
        self, store: Store, access: Access, ways: Ways, *, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._access = access
        self._ways = ways
        self._clock = clock

    def router(self) -> APIRouter:
        admin = [Depends(self._access.require("admin"))]
        api = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], dependencies=admin)
        api.post("", status_code=201)(self.create)
        api.get("")(self.browse)
        api.get("/{webhook_id}")(self.get)
        api.patch("/{webhook_id}")(self.change)
        api.delete("/{webhook_id}", status_code=204)(self.remove)
        api.post("/{webhook_id}/test")(self.test)
        api.post("/{webhook_id}/replay", status_code=202)(self.replay)
        api.post("/{webhook_id}/rotate")(self.rotate)
        api.get("/{webhook_id}/deliveries")(self.deliveries)
        return api

    async def create(self, request: Request, key: Caller) -> Response:
        """Add an endpoint; its secret is shown in this answer only."""
        asked = await read_body(request, NewWebhook)
        self._check(asked.url)
        made, secret = self._ways.new_id(), self._new_secret()
        now = self._clock()

        def work(tx: Connection) -> Endpoint | None:
            since = asked.since
            cursor = webhooks.newest(tx) if since is None else webhooks.before(tx, since)
            endpoint = Endpoint(
                id=made,
                url=asked.url,
                description=asked.description,
                kinds=tuple(asked.events),
                state=State.ACTIVE,
                why=None,
                secret=secret,
                old_secret=None,
                old_until=None,
                cursor=cursor,
                created_at=now,
                changed_at=now,
                succeeded_at=None,
                failed_at=None,
            )
            return endpoint if webhooks.add(tx, endpoint, actor(key)) else None

        endpoint = await self._store.write(work)
        if endpoint is None:
            most = webhooks.MOST_ENDPOINTS
            raise Problem(409, "too-many-webhooks", f"there are {most} already; delete one first")
        return answer({**endpoint.view(), "waiting": 0, "secret": secret}, 201)

    async def browse(self, cursor: str | None = None, limit: Limit = 100) -> Response:
        """Endpoints in the order they were made."""
        (after,) = read_cursor(cursor, str) or ("",)

        def work(tx: Connection) -> list[Json]:
            page = webhooks.browse(tx, after=after, limit=limit)
            return _views(tx, page)

        page = await self._store.read(work)
        more = write_cursor(page[-1]["id"]) if len(page) == limit else None
        return answer({"webhooks": page, "cursor": more})

    async def get(self, webhook_id: str) -> Response:
        """One endpoint, with how many events wait for it."""
        return answer(await self._view(webhook_id))

    async def change(self, webhook_id: str, request: Request, key: Caller) -> Response:
        """Change it, pause it, or make it active again: what waits is then tried at once."""
        asked = await read_body(request, WebhookChanges)
        changes = asked.model_dump(exclude_none=True)
        if asked.url is not None:
            self._check(asked.url)
        if "events" in changes:
            changes["kinds"] = changes.pop("events")
        return await self._changed(webhook_id, changes, key)

    async def remove(self, webhook_id: str, key: Caller) -> Response:
        """Forget it, and all that waits for it."""
        now = self._clock()
        there = await self._store.write(
            lambda tx: webhooks.remove(tx, _ulid(webhook_id), actor(key), at=now)
        )
        if not there:
            raise not_found("webhook")
        return Response(status_code=204)

    async def test(self, webhook_id: str) -> Response:
        """Send a `webhook.test` event now, and say what the endpoint answered."""
        endpoint = await self._store.read(lambda tx: _found(tx, webhook_id))
        sent, heard = await self._ways.test(endpoint, f"test_{self._ways.new_id()}")
        return answer(
            {
                "delivered": heard.taken,
                "status": heard.status,
                "answer": heard.text,
                "seconds": heard.seconds,
                "sent": sent,
            }
        )

    async def replay(self, webhook_id: str, request: Request, key: Caller) -> Response:
        """Send everything since a time once more, in order; what is new follows it."""
        asked = await read_body(request, Replay)
        if asked.since is None:
            raise invalid("since", "expected a time")
        since, now = asked.since, self._clock()

        def work(tx: Connection) -> tuple[int, bool]:
            there = _found(tx, webhook_id)
            cursor = min(there.cursor, webhooks.before(tx, since))
            changes = {"cursor": cursor}
            webhooks.change(tx, there.id, changes, actor(key), at=now, action="replay")
            return webhooks.newest(tx) - cursor, there.state is State.ACTIVE

        count, active = await self._store.write(work)
        return answer({"since": iso(since), "events_at_most": count, "active": active}, 202)

    async def rotate(self, webhook_id: str, key: Caller) -> Response:
        """Make a new secret; the old one signs beside it for a while."""
        now, secret = self._clock(), self._new_secret()

        def work(tx: Connection) -> Json:
            there = _found(tx, webhook_id)
            until = now + self._ways.overlap
            changes = {"secret": secret, "old_secret": there.secret, "old_until": until}
            changed = webhooks.change(tx, there.id, changes, actor(key), at=now, action="rotate")
            assert changed is not None
            return _views(tx, [changed])[0]

        return answer({**await self._store.write(work), "secret": secret})

    async def deliveries(
        self, webhook_id: str, cursor: str | None = None, limit: Limit = 50
    ) -> Response:
        """Events for this endpoint, the newest first, each with its newest try."""
        (below,) = read_cursor(cursor, int) or (None,)
        if below is not None and not 0 <= below < 2**53:
            raise invalid("cursor", "expected a cursor as an earlier answer gave it")

        def work(tx: Connection) -> list[Json]:
            rows = webhooks.tries(tx, _found(tx, webhook_id).id, below=below, limit=limit)
            return [webhooks.try_view(row) for row in rows]

        page = await self._store.read(work)
        more = write_cursor(int(page[-1]["event_id"])) if len(page) == limit else None
        return answer({"deliveries": page, "cursor": more})

    async def _changed(self, webhook_id: str, changes: Json, key: Caller) -> Response:
        now = self._clock()

        def work(tx: Connection) -> Json:
            there = _found(tx, webhook_id)
            if changes:
                there = webhooks.change(tx, there.id, changes, actor(key), at=now) or there
            return _views(tx, [there])[0]

        return answer(await self._store.write(work))

    async def _view(self, webhook_id: str) -> Json:
        return await self._store.read(lambda tx: _views(tx, [_found(tx, webhook_id)])[0])

    def _check(self, url: str) -> None:
        try:
            self._ways.check(url)
        except ValueError as error:
            raise invalid("url", str(error)) from error

    def _new_secret(self) -> str:
        return new_secret(self._ways.random(SECRET_OCTETS))


def _found(tx: Connection, webhook_id: str) -> Endpoint:
    there = webhooks.find(tx, _ulid(webhook_id))
    if there is None:
        raise not_found("webhook")
    return there


def _views(tx: Connection, page: list[Endpoint]) -> list[Json]:
    counted = webhooks.waiting(tx, [one.id for one in page])
    return [{**one.view(), "waiting": counted.get(one.id, 0)} for one in page]


def _ulid(text: str) -> str:
    """An id of ours; anything else is not found, whatever it holds."""
    if not _ULID.fullmatch(text.lower()):
        raise not_found("webhook")
    return text.lower()

"""`/v1/messages`: hand in, look at, cancel and send again.

202 is said after COMMIT and never before; a recipient that is withheld is named in the answer.
An `Idempotency-Key` gets the answer of the first request again (`Idempotency-Replayed: true`), or
409 if the body is another one.  Trouble of the store is 503 with Retry-After: nothing was taken.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Header, Query
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from analysis import lookup
from analysis.access import Access, Caller
from analysis.address import AddressError, Mailbox, address_hash, parse_mailbox
from analysis.batch import Overloaded
from analysis.body import (
    answer,
    checked,
    read_address,
    read_body,
    read_cursor,
    read_json,
    write_cursor,
)
from analysis.keys import ApiKey
from analysis.lifecycle import State
from analysis.lookup import Json, iso
from analysis.problem import Problem, congested, invalid, not_found, unavailable
from analysis.replicas import Reads
from analysis.store import Store, StoreUnavailable
from analysis.suppression_api import StreamName
from sender import unsent
from sender.idempotency import Idempotency, Receipt
from sender.intake import LARGE, Intake, Order, Refused
from sender.order import (
    Again,
    Batch,
    NewMessage,
    RawMessage,
    Terms,
    order_of,
    raw_octets,
    raw_order_of,
    refused,
)
from sender.pressure import Congested
from sender.ready import Ready, read
from sender.resend import again_order_of

MOST_RECIPIENTS = 50
SLICE = 25
"""Messages of a batch that are composed before others get their turn on the loop."""
_ULID = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}", re.ASCII)
_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")

_WHOLE = {429: congested, 503: unavailable}
"""What a batch is answered of which nothing could be taken for now."""

IdempotencyKey = Annotated[str | None, Header()]
Fill = Callable[[NewMessage], Awaitable[tuple[NewMessage, str]]]
"""Makes subject, text and HTML of a message by its template, and names that."""


class Messages:
    def __init__(
        self,
        store: Store,
        replicas: Reads,
        access: Access,
        intake: Intake,
        *,
        clock: Callable[[], float],
        senders: Mapping[str, Mailbox],
        feedback: Callable[[str, str], str | None] = lambda _stream, _delivery: None,
        fill: Fill,
    ) -> None:
        """`senders`: by stream, the From of messages that do not say.  `feedback`: of a stream and
        a delivery, the link behind "did not get it?", where there is one."""
        self._store = store
        self._replicas = replicas
        self._access = access
        self._intake = intake
        self._clock = clock
        self._senders = senders
        self._feedback = feedback
        self._fill = fill

    def router(self) -> APIRouter:
        api = APIRouter(prefix="/v1/messages", tags=["messages"])
        send = [Depends(self._access.require("send"))]
        read = [Depends(self._access.require("read"))]
        api.post("", status_code=202, dependencies=send)(self.submit)
        api.post("/batch", status_code=202, dependencies=send)(self.submit_batch)
        api.post("/raw", status_code=202, dependencies=send)(self.submit_raw)
        api.get("", dependencies=read)(self.search)
        api.get("/{message_id}", dependencies=read)(self.get)
        api.get("/{message_id}/timeline", dependencies=read)(self.timeline)
        api.post("/{message_id}/cancel", dependencies=send)(self.cancel)
        api.post("/{message_id}/resend", status_code=202, dependencies=send)(self.resend)
        return api

    async def submit(
        self, request: Request, key: Caller, idempotency_key: IdempotencyKey = None
    ) -> Response:
        """Take one message; 202 once it is durable."""
        content = await request.body()
        mark = _mark(key, idempotency_key, content)
        message = checked(NewMessage, read_json(content))
        return await self._accepted(await self._order(message, mark))

    async def submit_filled(self, message: NewMessage) -> Response:
        """Take a message that another part of the API made, such as a template's test."""
        return await self._accepted(await self._order(message, None))

    async def _order(self, message: NewMessage, mark: Idempotency | None) -> Order:
        """What is to be sent, by its template if it names one."""
        if message.template is None:
            if message.data is not None:
                raise invalid("data", "fills a `template`: name one")
            return order_of(message, self._senders, mark)
        filled, reference = await self._fill(message)
        return replace(order_of(filled, self._senders, mark), template=reference)

    async def submit_batch(
        self, request: Request, key: Caller, idempotency_key: IdempotencyKey = None
    ) -> Response:
        """Take up to 500 messages in one commit; each is answered at its own place."""
        batch = await read_body(request, Batch)
        mark = _mark(key, idempotency_key, b"")
        async with asyncio.TaskGroup() as group:
            tasks = []
            for place, raw in enumerate(batch.messages):
                tasks.append(group.create_task(self._one(raw, mark, place)))
                if place % SLICE == SLICE - 1:
                    await asyncio.sleep(0)
        results = [task.result() for task in tasks]
        statuses = {result["status"] for result in results}
        if len(statuses) == 1 and statuses <= _WHOLE.keys():
            raise _WHOLE[statuses.pop()]()
        return answer({"results": results}, 202)

    async def _one(self, raw: Any, mark: Idempotency | None, place: int) -> Json:
        try:
            message = checked(NewMessage, raw)
            order = await self._order(message, mark and _placed(mark, place, raw))
            receipt = await self._receipt(order)
        except Problem as problem:
            return {"status": problem.status, "problem": problem.document()}
        return {"status": 202, **self._told(order, receipt)}

    async def submit_raw(
        self,
        request: Request,
        key: Caller,
        to: Annotated[list[str] | None, Query(max_length=MOST_RECIPIENTS)] = None,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Take a ready RFC 5322 message: as `message/rfc822`, or in JSON as `raw`."""
        content = await request.body()
        mark = _mark(key, idempotency_key, content)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json":
            message = checked(RawMessage, read_json(content))
            ready = await _ready(raw_octets(message.raw))
            order = raw_order_of(ready, message.to, message, mark)
        elif kind == "message/rfc822":
            query = {k: v for k, v in request.query_params.items() if k != "to"}
            named = [_named(text, place) for place, text in enumerate(to or ())]
            order = raw_order_of(await _ready(content), named, checked(Terms, query), mark)
        else:
            raise Problem(
                415,
                "unsupported-media-type",
                "expected Content-Type message/rfc822 or application/json",
            )
        return await self._accepted(order)

    async def _accepted(self, order: Order) -> Response:
        receipt = await self._receipt(order)
        headers = {"Idempotency-Replayed": "true"} if receipt.replayed else None
        return answer(self._told(order, receipt), 202, headers)

    def _told(self, order: Order, receipt: Receipt) -> Json:
        """The answer, with the links that are not kept: they can be made again."""
        told = _shown(receipt)
        for delivery in told["deliveries"]:
            if url := self._feedback(order.stream, delivery["id"]):
                delivery["feedback_url"] = url
        return told

    async def _receipt(self, order: Order) -> Receipt:
        try:
            receipt = await self._intake.accept(order)
        except Refused as error:
            raise refused(error) from error
        except Congested as error:
            raise congested() from error
        except (StoreUnavailable, Overloaded) as error:
            raise unavailable() from error
        if receipt.conflict:
            raise Problem(
                409,
                "idempotency-conflict",
                "this Idempotency-Key was used with another body within the last day",
                field="Idempotency-Key",
            )
        return receipt

    async def get(self, message_id: str) -> Response:
        """A message with the state of each delivery."""
        return answer(await self._message(message_id))

    async def _message(self, message_id: str) -> Json:
        found = await self._store.read(lambda tx: lookup.message(tx, _ulid(message_id)))
        if found is None:
            raise not_found("message")
        return found

    async def timeline(self, message_id: str) -> Response:
        """Every fact about a message, in order."""
        found = await self._store.read(lambda tx: lookup.timeline(tx, _ulid(message_id)))
        if found is None:
            raise not_found("message")
        return answer({"id": message_id.lower(), "timeline": found})

    async def search(
        self,
        recipient: str | None = None,
        state: State | None = None,
        stream: StreamName | None = None,
        cursor: str | None = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> Response:
        """Deliveries, newest first, each with its message."""
        hashed = recipient and address_hash(read_address(recipient, "recipient").key)
        (before,) = read_cursor(cursor, str) or (None,)
        page = await self._replicas.read(
            lambda tx: lookup.search(
                tx,
                address_hash=hashed or None,
                state=state and state.value,
                stream=stream,
                before=before,
                limit=limit,
            )
        )
        more = write_cursor(page[-1]["id"]) if len(page) == limit else None
        return answer({"deliveries": page, "cursor": more})

    async def cancel(self, message_id: str) -> Response:
        """Cancel what is still queued; what is on the wire cannot be called back."""
        now = self._clock()

        def work(tx: Connection) -> tuple[int, Json | None]:
            cancelled = unsent.cancel(tx, _ulid(message_id), now=now)
            return cancelled, lookup.message(tx, message_id.lower())

        cancelled, message = await self._store.write(work)
        if message is None:
            raise not_found("message")
        return answer(
            {"id": message["id"], "cancelled": cancelled, "deliveries": message["deliveries"]}
        )

    async def resend(
        self,
        request: Request,
        message_id: str,
        key: Caller,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Send the same content again as a new message, to everybody or to those in `to`."""
        mark = _mark(key, idempotency_key, f"{message_id}\n".encode() + await request.body())
        again = await read_body(request, Again)
        message = await self._message(message_id)
        content = await self._store.read(lambda tx: lookup.content(tx, message["id"]))
        if content is None:
            raise Problem(410, "content-gone", "the content of this message is no longer kept")
        return await self._accepted(again_order_of(message, content, again.to, mark))


def _named(text: str, place: int) -> Mailbox:
    try:
        return parse_mailbox(text.strip().replace(" ", "+") if "<" not in text else text)
    except AddressError as error:
        raise invalid(f"to[{place}]", str(error)) from error


async def _ready(content: bytes) -> Ready:
    """A ready message, read; a large one apart, or others would notice."""
    return read(content) if len(content) < LARGE else await asyncio.to_thread(read, content)


def _ulid(text: str) -> str:
    """An id of ours; anything else is not found, whatever it holds."""
    if not _ULID.fullmatch(text.lower()):
        raise not_found("message")
    return text.lower()


def _mark(key: ApiKey, idempotency_key: str | None, content: bytes) -> Idempotency | None:
    if idempotency_key is None:
        return None
    if not _KEY.fullmatch(idempotency_key):
        raise invalid("Idempotency-Key", "expected 1 to 255 printable ASCII characters")
    return Idempotency(
        hashlib.sha256(f"{key.id}\0{idempotency_key}".encode()).digest(),
        hashlib.sha256(content).digest(),
    )


def _placed(mark: Idempotency, place: int, raw: Any) -> Idempotency:
    """Each message of a batch is remembered by its place."""
    return Idempotency(
        hashlib.sha256(mark.key_hash + f"\0{place}".encode()).digest(),
        hashlib.sha256(orjson.dumps(raw)).digest(),
    )


def _shown(receipt: Receipt) -> Json:
    """The answer with its times in ISO 8601."""
    return {
        **receipt.answer,
        "deliveries": [_delivery(one) for one in receipt.answer["deliveries"]],
    }


def _delivery(one: Mapping[str, Any]) -> Json:
    shown = dict(one)
    for why in shown.keys() & {"suppression", "put_off"}:
        times = {name: iso(one[why][name]) for name in ("since", "until") if name in one[why]}
        shown[why] = {**one[why], **times}
    return shown

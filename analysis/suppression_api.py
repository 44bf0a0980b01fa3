"""`/v1/suppressions`: ask, look up in bulk, put, lift, list, import and export.

Asking answers 200 whether or not an address is suppressed; what cannot be read as an address is
422, in bulk an `error` at its place, so that one bad address never fails the others.  Every change
is audited with the name of the key and the reason that was given.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from analysis import bulk_lookup, exchange
from analysis.access import Access, Caller, actor
from analysis.address import AddressError, address_hash
from analysis.body import Body, answer, read_address, read_body, read_cursor, write_cursor
from analysis.explain import Language, advice_on
from analysis.lookup import Json, suppression_view
from analysis.problem import Problem, invalid
from analysis.replicas import Reads
from analysis.reply import clean
from analysis.store import Store
from analysis.suppression import (
    EVERY_STREAM,
    Lift,
    Limits,
    Reason,
    Suppression,
    applying,
    browse,
    lift,
    standing,
    suppress,
)

MOST_LOOKED_UP = 1_000
PAGE = 1_000
MOST_REFUSALS = 1_000
"""Refused lines that an answer names; more are counted."""
IMPORT_CHUNK = 2_000
"""Entries in one transaction: others may write in between."""

ImportFormat = Literal[
    "auto", "ses", "postmark", "sparkpost", "postal", "mailgun", "sendgrid", "csv", "ndjson"
]
StreamName = Annotated[str, AfterValidator(exchange.checked_stream)]
Until = Annotated[
    float | None,
    BeforeValidator(exchange.read_time),
    WithJsonSchema({"type": ["string", "number", "null"], "format": "date-time"}),
]
Limit = Annotated[int, Query(ge=1, le=1_000)]


class Lookup(Body):
    """Addresses, or the SHA-256 of each as 64 hexadecimal digits; answered in the same order."""

    addresses: list[Any] | None = Field(None, max_length=MOST_LOOKED_UP)
    hashes: list[Any] | None = Field(None, max_length=MOST_LOOKED_UP)
    stream: StreamName | None = None


class NewEntry(Body):
    """Why an address is put on the list; everything may be left out."""

    stream: StreamName = EVERY_STREAM
    reason: Reason = Reason.MANUAL
    until: Until = None
    evidence: str = Field("", max_length=1_000)
    note: str = Field("", max_length=1_000)


class Suppressions:
    def __init__(
        self,
        store: Store,
        replicas: Reads,
        access: Access,
        *,
        clock: Callable[[], float],
        limits: Limits,
    ) -> None:
        """`limits` says how long an entry lasts whose end nobody gave."""
        self._store = store
        self._replicas = replicas
        self._access = access
        self._clock = clock
        self._limits = limits

    def router(self) -> APIRouter:
        """The routes; fixed names stand before addresses, which may hold a slash."""
        api = APIRouter(prefix="/v1/suppressions", tags=["suppressions"])
        read = [Depends(self._access.require("read"))]
        change = [Depends(self._access.require("suppress"))]
        api.get("", dependencies=read)(self.list_entries)
        api.get("/export", dependencies=read)(self.export)
        api.post("/lookup", dependencies=read)(self.look_up)
        api.post("/import", dependencies=change)(self.take_in)
        api.get("/{address:path}", dependencies=read)(self.check)
        api.put("/{address:path}", dependencies=change)(self.put)
        api.delete("/{address:path}", dependencies=change)(self.take_off)
        return api

    async def check(
        self, address: str, stream: StreamName | None = None, lang: Language = "en"
    ) -> Response:
        """May this address be written to, in this stream or in any?"""
        hashed = address_hash(read_address(address, "address").key)
        now = self._clock()
        found = await self._replicas.read(lambda tx: standing(tx, [hashed], now))
        entries = found.get(hashed, [])
        entry = _holding(entries, stream)
        advice = None if entry is None else advice_on(entry, lang)
        return answer({**suppression_view(entries, stream), "advice": advice})

    async def look_up(self, request: Request) -> Response:
        """Many at once, by address or by hash; results in the order asked."""
        asked = await read_body(request, Lookup)
        if (asked.addresses is None) == (asked.hashes is None):
            raise invalid("addresses", "give either `addresses` or `hashes`")
        of, asker = (
            (_of_address, asked.addresses) if asked.hashes is None else (_of_hash, asked.hashes)
        )
        items = [of(text) for text in asker or ()]
        now = self._clock()
        hashes = [hashed for hashed, _ in items if hashed is not None]
        found = await self._replicas.read(lambda tx: bulk_lookup.standing(tx, hashes, now))
        results = []
        for hashed, view in items:
            if hashed is not None:
                view.update(suppression_view(found.get(hashed, ()), asked.stream))
            results.append(view)
        return answer({"results": results})

    async def put(self, address: str, request: Request, key: Caller) -> Response:
        """Put an address on the list, or renew its entry."""
        given = await read_body(request, NewEntry)
        mailbox = read_address(address, "address")
        now = self._clock()
        if given.until is not None and given.until <= now:
            raise invalid("until", "expected a time to come")
        entry = Suppression(
            address_hash=address_hash(mailbox.key),
            stream=given.stream,
            reason=given.reason,
            address=mailbox.wire,
            since=now,
            until=self._limits.until(given.reason, now) if given.until is None else given.until,
            evidence=clean(given.evidence or given.note) or f"put there by {actor(key)}",
            actor=actor(key),
        )
        await self._store.write(lambda tx: suppress(tx, [entry]))
        return answer({"address": mailbox.wire, **suppression_view([entry], None)})

    async def take_off(
        self,
        address: str,
        key: Caller,
        stream: StreamName | None = None,
        reason: Reason | None = None,
        why: Annotated[str, Query(max_length=1_000)] = "",
    ) -> Response:
        """Take an address off the list: for one reason or all, in one stream or all."""
        mailbox = read_address(address, "address")
        order = Lift(
            address_hash(mailbox.key),
            actor=actor(key),
            why=clean(why) or f"lifted by {actor(key)}",
            at=self._clock(),
            reasons=frozenset(Reason) if reason is None else frozenset({reason}),
            stream=stream,
        )
        lifted = await self._store.write(lambda tx: lift(tx, order))
        return answer(
            {"address": mailbox.wire, "lifted": [exchange.entry_view(one) for one in lifted]}
        )

    async def list_entries(
        self, reason: Reason | None = None, cursor: str | None = None, limit: Limit = 100
    ) -> Response:
        """Entries page by page, those that have run out too."""
        after = _place(cursor)
        page = await self._store.read(
            lambda tx: browse(tx, after=after, reason=reason and reason.value, limit=limit)
        )
        more = write_cursor(*_key(page[-1])) if len(page) == limit else None
        return answer(
            {"suppressions": [exchange.entry_view(entry) for entry in page], "cursor": more}
        )

    async def export(
        self,
        request: Request,
        reason: Reason | None = None,
        format_: Annotated[Literal["csv", "ndjson"] | None, Query(alias="format")] = None,
    ) -> Response:
        """The whole list as CSV, or as NDJSON if that is asked for."""
        kind = format_ or ("ndjson" if "ndjson" in request.headers.get("accept", "") else "csv")
        first = await self._page((b"", "", ""), reason)  # trouble shows before the 200
        return StreamingResponse(
            self._lines(first, kind, reason),
            media_type=_MEDIA[kind],
            headers={"Content-Disposition": f'attachment; filename="suppressions.{kind}"'},
        )

    async def _lines(
        self, page: list[Suppression], kind: str, reason: Reason | None
    ) -> AsyncIterator[bytes]:
        yield exchange.header(kind)
        while page:
            yield exchange.lines(page, kind)
            last = page[-1]
            page = await self._page((last.address_hash, last.stream, last.reason.value), reason)

    async def _page(
        self, after: tuple[bytes, str, str], reason: Reason | None
    ) -> list[Suppression]:
        return await self._store.read(
            lambda tx: browse(tx, after=after, reason=reason and reason.value, limit=PAGE)
        )

    async def take_in(
        self,
        request: Request,
        key: Caller,
        format_: Annotated[ImportFormat | None, Query(alias="format")] = None,
        stream: StreamName = EVERY_STREAM,
        dry_run: bool = False,
    ) -> Response:
        """Take a list onto ours: CSV, NDJSON, or what another service exports.

        The service is recognised by its columns, or named by `format`; each line refused is named.
        `stream` is for lines that say none.  With `dry_run` nothing is written.
        """
        kind = format_ or _kind(request.headers.get("content-type", ""))
        file = io.BytesIO(await request.body())
        terms = exchange.Terms(self._clock(), actor(key), self._limits, stream)
        parts = exchange.batches(exchange.read_list(file, terms, kind), IMPORT_CHUNK)
        count, refused = 0, []
        # Off the loop: a large file takes seconds to read.
        while part := await asyncio.to_thread(next, parts, None):
            entries = [one for one in part if isinstance(one, Suppression)]
            refused += [one for one in part if isinstance(one, exchange.Refusal)]
            count += len(entries)
            if not dry_run:
                await self._store.write(lambda tx, new=entries: suppress(tx, new, at=terms.now))  # type: ignore[misc]
        told = [{"line": one.line, "error": one.why} for one in refused[:MOST_REFUSALS]]
        return answer({"imported": count, "refused": len(refused), "errors": told})


_MEDIA = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}


def _kind(content_type: str) -> str:
    if "ndjson" in content_type or "jsonl" in content_type:
        return "ndjson"
    if "csv" in content_type or "json" in content_type:
        return "auto"
    raise Problem(
        415,
        "unsupported-media-type",
        "expected Content-Type text/csv, application/x-ndjson or JSON",
    )


def _holding(entries: list[Suppression], stream: str | None) -> Suppression | None:
    return next(iter(entries), None) if stream is None else applying(entries, stream)


def _of_address(text: Any) -> tuple[bytes | None, Json]:
    """The hash to ask for and the beginning of the answer, which names what was given."""
    if not isinstance(text, str):
        return None, {"address": None, "error": "expected text"}
    try:
        return bulk_lookup.hash_of(text), {"address": text}
    except AddressError as error:
        return None, {"address": text[:254], "error": str(error)}


def _of_hash(text: Any) -> tuple[bytes | None, Json]:
    if not isinstance(text, str):
        return None, {"hash": None, "error": "expected text"}
    try:
        return exchange.read_hash(text), {"hash": text}
    except ValueError:
        return None, {"hash": text[:64], "error": "expected 64 hexadecimal digits"}


def _key(entry: Suppression) -> tuple[str, str, str]:
    return entry.address_hash.hex(), entry.stream, entry.reason.value


def _place(cursor: str | None) -> tuple[bytes, str, str]:
    parts = read_cursor(cursor, str, str, str)
    if parts is None:
        return b"", "", ""
    try:
        return bytes.fromhex(parts[0]), parts[1], parts[2]
    except ValueError:
        raise invalid("cursor", "expected a cursor as an earlier answer gave it") from None

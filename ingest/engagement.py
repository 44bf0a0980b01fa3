"""Opens and clicks over HTTP: a picture of one point, and a redirect to where a link led.

`/o/{token}.gif` always answers the picture, `/c/{token}?u=TARGET` redirects to the target that the
token vouches for and to nothing else: a token that is not ours, or for another target, is a 404
page and changes nothing.  One that is too old still leads there, since old mail is clicked too, and
is not counted.  What is recorded is a class (`ingest.evidence`), once a delivery; trouble of the
store is no reason to keep a person from where they want to go.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from analysis import engagement
from analysis.engagement import Delivered, What, Who
from analysis.store import Store, StoreUnavailable
from ingest.evidence import Evidence, Fetch
from ingest.feedback import SAY
from ingest.pages import language, page, words
from sender.tokens import Purpose, Refusal, Token, Tokens

log = structlog.get_logger()

MOST_TARGET = 2_000

Told = Callable[[str, What, Who], None]
"""Hears of each that is new: its stream, what and by whom."""


class Engagement:
    def __init__(
        self,
        store: Store,
        tokens: Tokens,
        evidence: Evidence,
        *,
        clock: Callable[[], float],
        told: Told,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._evidence = evidence
        self._clock = clock
        self._told = told

    def router(self) -> APIRouter:
        api = APIRouter(include_in_schema=False)
        api.api_route("/o/{token}.gif", methods=["GET", "HEAD"])(self.open)
        api.api_route("/c/{token}", methods=["GET", "HEAD"])(self.click)
        return api

    async def open(self, token: str, request: Request) -> Response:
        found = self._tokens.verify(Purpose.OPEN, token, now=self._clock())
        if isinstance(found, Token):
            await self._note(found.subject_id, What.OPEN, request)
        elif found is not Refusal.EXPIRED:
            return _no_link(request)
        return Response(_POINT, media_type="image/gif", headers=_PRIVATE)

    async def click(self, token: str, request: Request, u: str = "") -> Response:
        found = self._tokens.verify(Purpose.CLICK, token, now=self._clock(), bound=u)
        if isinstance(found, Refusal) and found is not Refusal.EXPIRED:
            return _no_link(request)
        if not _may_be_led_to(u):
            return _no_link(request)
        if isinstance(found, Token):
            await self._note(found.subject_id, What.CLICK, request)
        return Response(status_code=302, headers={**_PRIVATE, "Location": _ascii(u)})

    async def _note(self, delivery_id: str, what: What, request: Request) -> None:
        now = self._clock()
        try:
            known = await self._store.read(lambda tx: engagement.known(tx, delivery_id))
            if known is None:
                return
            who = self._evidence.judge(_fetch(request, known, now))
            if (what.value, who.value) in known.noted:
                return
            new = await self._store.write(
                lambda tx: engagement.note(tx, delivery_id, what, who, now)
            )
        except StoreUnavailable as error:
            log.warning("an open or click was not recorded", error=str(error))
            return
        if new:
            self._told(known.stream, what, who)


def _fetch(request: Request, known: Delivered, now: float) -> Fetch:
    return Fetch(
        request.method,
        request.headers.get("user-agent", ""),
        request.client.host if request.client else "",
        request.headers,
        None if known.accepted_at is None else now - known.accepted_at,
    )


def _may_be_led_to(target: str) -> bool:
    """An address of the web: whatever the token says, nothing else is ever redirected to."""
    if len(target) > MOST_TARGET or not target.isprintable():
        return False
    try:
        parts = urlsplit(target)
    except ValueError:
        return False
    return parts.scheme.lower() in ("http", "https") and bool(parts.netloc)


def _ascii(target: str) -> str:
    """The target as a header can hold it; what is outside of ASCII is percent-encoded UTF-8."""
    return "".join(c if "!" <= c <= "~" else _percent(c) for c in target)


def _percent(character: str) -> str:
    return "".join(f"%{octet:02X}" for octet in character.encode("utf-8", "replace"))


_POINT = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x01D\x00;"
)
_PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def _no_link(request: Request) -> Response:
    lang = language(request)
    return page(lang, SAY[lang]["no_link"], words(SAY[lang]["cut_off"]), status=404)

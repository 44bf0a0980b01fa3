"""Unsubscribing over HTTP: the page behind List-Unsubscribe, and its one click (RFC 8058).

`GET /u/{token}` shows a small page and changes nothing, because scanners fetch every link in every
mail.  `POST /u/{token}` with `List-Unsubscribe=One-Click`, sent by the recipient's mailbox provider
or by the page's button, puts the address of that delivery on the list for its stream.  The token
is the only identity; no key, no cookie, no address in the URL or on the page.  Saying it twice is
harmless.  A token that is not ours is 404 whatever is wrong with it; one that is too old, or whose
delivery is no longer kept, is 410.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection, select
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from analysis.events import announce, event
from analysis.problem import Problem
from analysis.schema import deliveries
from analysis.store import Store
from analysis.suppression import Limits, Reason, Suppression, standing, suppress
from sender.tokens import Purpose, Refusal, Token, Tokens

MOST_OCTETS = 2_000
"""Of the form that is posted; RFC 8058 asks for one field."""

_URLENCODED = re.compile(rb"(?:^|&)List-Unsubscribe=One-Click(?:&|\s*$)", re.IGNORECASE)
_MULTIPART = re.compile(
    rb'name="?List-Unsubscribe"?(?:\r?\n[^\r\n]+)*(?:\r?\n){2}One-Click', re.IGNORECASE
)


class Unsubscribing:
    def __init__(
        self,
        store: Store,
        tokens: Tokens,
        *,
        clock: Callable[[], float],
        limits: Limits,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._clock = clock
        self._limits = limits

    def router(self) -> APIRouter:
        api = APIRouter(include_in_schema=False)
        api.get("/u/{token}")(self.show)
        api.post("/u/{token}")(self.leave)
        return api

    async def show(self, token: str) -> Response:
        """The page with its button; whether the delivery is still kept is asked on POST only."""
        found = self._tokens.verify(Purpose.UNSUBSCRIBE, token, now=self._clock())
        return _page(*_WORDS.get(found, _NO_LINK)) if isinstance(found, Refusal) else _page(*_ASK)

    async def leave(self, token: str, request: Request) -> Response:
        """One click; the answer comes after COMMIT."""
        found = self._tokens.verify(Purpose.UNSUBSCRIBE, token, now=self._clock())
        if isinstance(found, Refusal):
            return _page(*_WORDS.get(found, _NO_LINK))
        if not says_one_click(await _form(request)):
            return _page(*_NOT_SAID)
        done = await self._store.write(lambda tx: self._take_off(tx, found))
        return _page(*(_DONE if done else _TOO_OLD))

    def _take_off(self, tx: Connection, token: Token) -> bool:
        delivery = tx.execute(
            select(
                deliveries.c.id,
                deliveries.c.message_id,
                deliveries.c.recipient,
                deliveries.c.address_hash,
                deliveries.c.stream,
            ).where(deliveries.c.id == token.subject_id)
        ).one_or_none()
        if delivery is None:
            return False
        entry = self._entry(delivery)
        there = standing(tx, [entry.address_hash], entry.since).get(entry.address_hash, [])
        if not any(one.reason is entry.reason and one.stream == entry.stream for one in there):
            suppress(tx, [entry])
            _announce(tx, delivery, entry.since)
        return True

    def _entry(self, delivery: Any) -> Suppression:
        now = self._clock()
        return Suppression(
            address_hash=bytes(delivery.address_hash),
            stream=self._limits.reach(delivery.stream),
            reason=Reason.UNSUBSCRIBE,
            address=delivery.recipient,
            since=now,
            until=self._limits.until(Reason.UNSUBSCRIBE, now),
            evidence="unsubscribed by the link of a message",
            actor="carom",
            delivery_id=delivery.id,
        )


def says_one_click(form: bytes) -> bool:
    """RFC 8058 section 3.2: either kind of form, with the one field and its value."""
    return bool(_URLENCODED.search(form) or _MULTIPART.search(form))


async def _form(request: Request) -> bytes:
    form = b""
    async for chunk in request.stream():
        form += chunk
        if len(form) > MOST_OCTETS:
            raise Problem(413, "body-too-large", f"at most {MOST_OCTETS} octets")
    return form


def _announce(tx: Connection, delivery: Any, now: float) -> None:
    told = event(
        "unsubscribed",
        at=now,
        message_id=delivery.message_id,
        delivery_id=delivery.id,
        data={"recipient": delivery.recipient, "stream": delivery.stream, "source": "link"},
    )
    announce(tx, [told])


_FORM = (
    '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
    '<button type="submit">Unsubscribe · 退订</button></form>'
)
_ASK = (200, "Unsubscribe from these messages? · 是否退订此类邮件？", _FORM)
_DONE = (200, "You are unsubscribed. · 已退订。", "")
_TOO_OLD = (410, "This link is too old; use the one in a newer message. · 该链接已过期。", "")
_NO_LINK = (404, "This is not a link of ours; it may have been cut off. · 该链接无效。", "")
_NOT_SAID = (400, "Nothing was changed. · 未作任何更改。", _FORM)
_WORDS = {Refusal.EXPIRED: _TOO_OLD}

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
)


def _page(status: int, words: str, form: str) -> Response:
    return HTMLResponse(
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">'
        "<title>Unsubscribe</title><style>body{font:1.1em sans-serif;max-width:32em;"
        "margin:4em auto;padding:0 1em}button{font:inherit;padding:.5em 1em}</style>"
        f"<p>{words}</p>{form}</html>",
        status,
        headers={"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"},
    )

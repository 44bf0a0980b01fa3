"""The way in and out: by an API key, by a one-time link, and by the button that ends a session.

A key is asked for as the API asks for it and is not kept: the session notes its id, and what the
key may do is asked again at each request.  Wrong keys are counted by client and by the key they
claim to be; more of them are put off for the rest of the window.  Keys hold 256 random bits, so
this saves our time, not our secrets; and a key that stands always lets in, or a stranger who comes
by the same proxy could keep everybody out.  A link lets one person in, once; a browser that only
fetches ahead does not use it up.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace

import structlog
from sqlalchemy import Connection
from starlette.responses import Response

from analysis import sessions
from analysis.access import actor
from analysis.keys import ApiKey, key_id
from analysis.problem import Problem
from analysis.smtpd.door import network_of
from carom.console.visit import BASE, COOKIE, Visit

log = structlog.get_logger()

_NEXT = re.compile(r"/console(?:[/?][\x21\x23-\x5b\x5d-\x7e]*)?", re.ASCII)
_BOOK = 20_000


@dataclass(slots=True)
class Guesses:
    """Wrong keys within a window, in memory and bounded; `most` of one key, ten times as many of
    one client."""

    most: int = 10
    window: float = 600.0
    _at: int = -1
    _failed: Counter[tuple[str, str]] = field(default_factory=Counter)

    def too_many(self, client: str, claimed: str, now: float) -> bool:
        self._turn(now)
        of_client = self._failed[client, ""]
        return self._failed[client, claimed] >= self.most or of_client >= 10 * self.most

    def note(self, client: str, claimed: str, now: float) -> None:
        self._turn(now)
        self._failed[client, ""] += 1
        if claimed:
            self._failed[client, claimed] += 1

    def _turn(self, now: float) -> None:
        window = int(now // self.window)
        if window != self._at or len(self._failed) >= _BOOK:
            self._at = window
            self._failed.clear()


@dataclass(frozen=True, slots=True)
class Door:
    guesses: Guesses = field(default_factory=Guesses)

    async def show(self, visit: Visit) -> Response:
        """The form, or straight in for who is in already."""
        if visit.session is not None:
            return visit.go("")
        return visit.page("sign_in.html", next=_next(visit.ask("next")), wrong="")

    async def sign_in(self, visit: Visit) -> Response:
        """By a key."""
        text = visit.given("key", 200)
        client, claimed = _client(visit), key_id(text) or ""
        try:
            key = await visit.desk.access.caller(f"Bearer {text}")
        except Problem:
            if self.guesses.too_many(client, claimed, visit.now):
                return self._again(visit, 429, "sign_in.too_many")
            self.guesses.note(client, claimed, visit.now)
            log.info("console.sign_in_failed", client=client, key=claimed or None)
            return self._again(visit, 401, "sign_in.wrong")
        if not key.may("read"):
            return self._again(visit, 403, "sign_in.no_read")
        return await self._enter(visit, actor(key), key, key.scopes, visit.given("next"))

    async def follow(self, visit: Visit) -> Response:
        """By a one-time link."""
        headers = visit.request.headers
        ahead = "prefetch" in headers.get("sec-purpose", headers.get("purpose", ""))
        if ahead or visit.request.method != "GET":
            return visit.trouble(403, visit.words("sign_in.prefetch"))
        token = str(visit.request.path_params["token"])
        guest = await visit.desk.store.write(lambda tx: sessions.redeem(tx, token, now=visit.now))
        if guest is None:
            return self._again(visit, 410, "sign_in.link_used")
        return await self._enter(visit, guest.actor, None, guest.scopes, "")

    async def sign_out(self, visit: Visit) -> Response:
        await visit.desk.store.write(lambda tx: sessions.end(tx, visit.token))
        response = visit.go("/sign-in")
        response.delete_cookie(COOKIE, path=visit.base)
        return response

    async def _enter(
        self, visit: Visit, name: str, key: ApiKey | None, scopes: frozenset[str], to: str
    ) -> Response:
        """A new session under a token of its own; one that was open here before ends."""
        desk, old = visit.desk, visit.token
        token = sessions.new_token(desk.random)

        def begin(tx: Connection) -> None:
            if old:
                sessions.end(tx, old)
            sessions.begin(
                tx,
                token,
                actor=name,
                key_id=key.id if key else None,
                scopes=scopes,
                now=visit.now,
                lasting=desk.lasting,
            )

        await desk.store.write(begin)
        response = visit.go(_next(to).removeprefix(BASE))
        response.set_cookie(
            COOKIE,
            token,
            max_age=int(desk.lasting.life),
            path=visit.base,
            secure=desk.secure,
            httponly=True,
            samesite="lax",
        )
        return response

    def _again(self, visit: Visit, status: int, words: str) -> Response:
        stranger = replace(visit, session=None)  # the form stands alone, whoever asks
        response = stranger.page(
            "sign_in.html", status, next=_next(visit.given("next")), wrong=visit.words(words)
        )
        if status == 429:
            response.headers["Retry-After"] = str(int(self.guesses.window))
        return response


def _next(path: str) -> str:
    """Where to go on: a page of the console, whatever was asked for."""
    return path if _NEXT.fullmatch(path) and "/sign-in" not in path else BASE


def _client(visit: Visit) -> str:
    host = visit.request.client.host if visit.request.client else ""
    return network_of(host) if host else ""

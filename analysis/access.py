"""Access: who calls the API, and what they may do.

A caller presents `Authorization: Bearer KEY` (RFC 6750).  Keys of the settings need no database;
those of the database are read at most every few seconds, so a revoked key is refused within that
time and a stream of invented ones costs nothing.  401 for a key that does not stand, with the same
words whatever is wrong with it; 403 names the scope that is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from analysis import keys
from analysis.keys import ApiKey
from analysis.problem import Problem
from analysis.store import Store

FRESH = 5.0
"""Seconds for which the database's keys are believed without asking again."""

_SCHEME = "bearer "


class Access:
    def __init__(
        self,
        store: Store,
        static: Mapping[str, ApiKey],
        *,
        monotonic: Callable[[], float],
        fresh: float = FRESH,
    ) -> None:
        """`static`: keys of the settings by id; `monotonic`: seconds that only grow."""
        self._store = store
        self._static = static
        self._monotonic = monotonic
        self._fresh = fresh
        self._kept: dict[str, ApiKey] = {}
        self._stale_at: float | None = None
        self._refreshing = asyncio.Lock()

    async def caller(self, authorization: str) -> ApiKey:
        """The key that a header presents, or a 401 `Problem`."""
        if not authorization.lower().startswith(_SCHEME):
            raise _unauthorised("", "expected `Authorization: Bearer KEY`")
        text = authorization[len(_SCHEME) :].strip()
        key_id = keys.key_id(text)
        key = None if key_id is None else await self._find(key_id)
        if key is None or not keys.proves(text, key):
            raise _unauthorised(' error="invalid_token"', "this key is not known, or was revoked")
        return key

    async def known(self, key_id: str) -> ApiKey | None:
        """The key of this id if it stands; it is for the caller to know who holds it."""
        return await self._find(key_id)

    async def _find(self, key_id: str) -> ApiKey | None:
        if key := self._static.get(key_id):
            return key
        async with self._refreshing:
            now = self._monotonic()
            if self._stale_at is None or now >= self._stale_at:
                self._kept = await self._store.read(keys.standing)
                self._stale_at = now + self._fresh
        return self._kept.get(key_id)

    def require(self, scope: str) -> Callable[[Request], Awaitable[None]]:
        """A dependency that lets pass who holds `scope`, and leaves the key for `Caller`."""

        async def check(request: Request) -> None:
            key = await self.caller(request.headers.get("authorization", ""))
            if not key.may(scope):
                raise Problem(403, "missing-scope", f"this key has not the scope `{scope}`")
            request.state.key = key

        return check


def _unauthorised(error: str, detail: str) -> Problem:
    challenge = f'Bearer realm="carom"{"," if error else ""}{error}'
    return Problem(401, "unauthorised", detail, headers={"WWW-Authenticate": challenge})


async def _caller(request: Request) -> ApiKey:  # a plain function would go to a thread
    key: ApiKey = request.state.key
    return key


Caller = Annotated[ApiKey, Depends(_caller)]
"""The key behind the request, in handlers of routes that `require` a scope."""


def actor(key: ApiKey) -> str:
    """How the audit names a key."""
    return f"{key.name or 'key'} ({key.id})"

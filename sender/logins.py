"""Who may submit by SMTP: user `apikey`, an API key with the scope `send` as the password.

`apikey+STREAM` makes STREAM the one of messages that name none, for software that cannot add a
header.  A key is asked for again at each message, so that one that is revoked ends with it, as it
does over HTTP.

Guessing is made slow and short, not locked out: a refusal comes after `pause_seconds`, the third
ends the connection, and an address with many of them is put off for the rest of the window without
being asked who it is.  Keys hold 256 random bits, so this saves our time, not our secrets.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from analysis import keys
from analysis.keys import ApiKey
from analysis.smtpd import CommandError, Credentials, Reason
from analysis.smtpd.door import is_loopback, network_of
from analysis.store import StoreUnavailable
from sender.intake import STREAM

log = structlog.get_logger()

USER = "apikey"
SCOPE = "send"
_BOOK = 20_000

FindKey = Callable[[str], Awaitable[ApiKey | None]]
"""The key that a text proves to be, or None; raises `StoreUnavailable`."""


@dataclass(frozen=True, slots=True)
class LoginLimits:
    connection: int = 3  # failures, of which the last one ends it
    address: int = 20  # failures in a window
    window_seconds: float = 600.0
    pause_seconds: float = 1.0  # before the answer to a failure


@dataclass(frozen=True, slots=True)
class Login:
    """Who came in, and how it was proven."""

    key: ApiKey
    stream: str
    credentials: Credentials


class Logins:
    """`exempt` names clients whose failures are not counted by address."""

    def __init__(
        self,
        find: FindKey,
        *,
        limits: LoginLimits | None = None,
        exempt: Callable[[str], bool] = is_loopback,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._find = find
        self.limits = limits or LoginLimits()
        self._exempt = exempt
        self._pause = pause
        self._window = -1
        self._failures: Counter[str] = Counter()

    async def admit(self, client: str, credentials: Credentials, now: float) -> Login | None:
        """Who that is, or None after a pause.  Raises `CommandError` where no guess was made."""
        if self._failed(client, now) >= self.limits.address:
            raise CommandError(
                "454 4.7.0 Too many failed logins from your address, try later",
                Reason.LOGIN,
                last=True,
            )
        login = await self.proven(credentials)
        if login is None:
            log.info(
                "submission.login_failed", client=client, key=keys.key_id(credentials.password)
            )
            if not self._exempt(client):
                self._failures[network_of(client)] += 1
            await self._pause(self.limits.pause_seconds)
            return None
        if not login.key.may(SCOPE):
            raise CommandError(f"535 5.7.1 This key has not the scope `{SCOPE}`", Reason.LOGIN)
        return login

    async def proven(self, credentials: Credentials) -> Login | None:
        """Who that is, if the credentials hold now."""
        user, plus, stream = credentials.user.partition("+")
        if user.lower() != USER or (plus and not STREAM.fullmatch(stream)):
            return None
        try:
            key = await self._find(credentials.password)
        except StoreUnavailable as error:
            log.warning("submission.login_waits", error=str(error))
            raise CommandError(
                "454 4.7.0 Cannot look keys up now, try later", Reason.TROUBLE
            ) from None
        return None if key is None else Login(key, stream or "default", credentials)

    def _failed(self, client: str, now: float) -> int:
        window = int(now // self.limits.window_seconds)
        if window != self._window or len(self._failures) >= _BOOK:
            self._window = window
            self._failures.clear()
        return self._failures[network_of(client)]

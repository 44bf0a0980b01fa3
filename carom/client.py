"""A small client of our own HTTP API, for the command line.

Speaks to one service with one key.  What the service refuses becomes a `CaromError` with the
problem document's own words (RFC 9457); so does a service that cannot be reached.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from carom.errors import CaromError

_ASK_AGAIN = 0.2
MOST_OCTETS = 64_000_000
"""Of an answer that is read."""


@dataclass(frozen=True, slots=True)
class Client:
    url: str  # http://host:port
    key: str
    timeout: float = 30.0

    def post(self, path: str, body: dict[str, Any] | bytes, **headers: str) -> Any:
        """`body` as JSON, or a ready RFC 5322 message as it is."""
        if isinstance(body, bytes):
            return self._call("POST", path, body, {"Content-Type": "message/rfc822", **headers})
        data = json.dumps(body).encode()
        return self._call("POST", path, data, {"Content-Type": "application/json", **headers})

    def put(self, path: str, body: dict[str, Any]) -> Any:
        data = json.dumps(body).encode()
        return self._call("PUT", path, data, {"Content-Type": "application/json"})

    def await_service(self, most: float, pause: Callable[[float], None] = time.sleep) -> bool:
        """Give a service that is just being started on this machine so many seconds to be there.

        Whether it is; whatever else is wrong is left to the call that follows.
        """
        if urlsplit(self.url).hostname not in ("127.0.0.1", "::1", "localhost"):
            return True
        give_up = time.monotonic() + most
        while refuses := self._refuses():
            if time.monotonic() >= give_up:
                break
            pause(_ASK_AGAIN)
        return not refuses

    def _refuses(self) -> bool:
        """Whether nobody listens there."""
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=self.timeout):  # noqa: S310
                return False
        except (OSError, ValueError) as error:  # URLError and HTTPError are OSErrors
            return isinstance(getattr(error, "reason", error), ConnectionRefusedError)

    def get(self, path: str) -> Any:
        return self._call("GET", path, None, {})

    def _call(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Any:
        request = urllib.request.Request(  # noqa: S310  the URL is the operator's own
            f"{self.url}{path}",
            body,
            {"Authorization": f"Bearer {self.key}", **headers},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:  # noqa: S310
                return json.loads(answer.read(MOST_OCTETS))
        except urllib.error.HTTPError as error:
            raise CaromError(_problem(error)) from error
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            reason = getattr(error, "reason", error)
            raise CaromError(
                f"no service at {self.url} ({reason}); start it with `carom serve`, "
                "or name it with --url"
            ) from error


def _problem(error: urllib.error.HTTPError) -> str:
    try:
        problem = json.loads(error.read(100_000))
        where = f"{problem['field']}: " if problem.get("field") else ""
        return f"{where}{problem.get('detail') or problem['title']}"
    except (ValueError, KeyError, TypeError):
        return f"the service answered {error.code} {error.reason}"

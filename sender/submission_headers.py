"""The `X-Carom-*` headers of a submitted message: what HTTP says in a body's fields.

| header | as in the API |
|---|---|
| `X-Carom-Stream`, `X-Carom-Class` | `stream`, `class` |
| `X-Carom-Send-At`, `X-Carom-Deadline` | `send_at`, `deadline` |
| `X-Carom-Metadata` | `metadata`, a JSON object |
| `X-Carom-Require-TLS` | `require_tls`: true or false |
| `X-Carom-Idempotency-Key` | the header `Idempotency-Key` |

They are held to the API's own rules, may stand once, and may be RFC 2047 encoded.  A name that is
not in the table is refused, as an unknown field of a body is: it is most likely one of these,
misspelt.  None of them is left in the content.

Fails with `WishError`, whose text names the header and is for the client.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import orjson

from analysis.body import checked
from analysis.problem import Problem
from sender.headers import MAX_BLOCK, decoded, unfolded
from sender.idempotency import Idempotency
from sender.order import Terms
from sender.ready import Field, Ready, read_lines

PREFIX = "X-Carom-"
IDEMPOTENCY = f"{PREFIX}Idempotency-Key"
FIELDS = {
    f"{PREFIX}Stream": "stream",
    f"{PREFIX}Class": "class",
    f"{PREFIX}Send-At": "send_at",
    f"{PREFIX}Deadline": "deadline",
    f"{PREFIX}Metadata": "metadata",
    f"{PREFIX}Require-TLS": "require_tls",
}
"""Header -> field of the API."""

_PREFIX = PREFIX.lower().encode()
_NAMES = {name.lower(): name for name in (*FIELDS, IDEMPOTENCY)}
_MBOX_LINES = re.compile(rb"(?:From [^\r\n]*\r\n)*")
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
_OF_ONE_TRY = frozenset({b"date", b"message-id", b"received"})
"""A client that builds its message anew for a second try gives it these anew."""


class WishError(ValueError):
    """A header that cannot be followed."""

    def __init__(self, header: str, text: str) -> None:
        super().__init__(f"{header}: {text}")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the headers ask for, and the message without them."""

    message: Ready
    terms: Terms
    idempotency_key: str | None

    def mark(self, key_id: str, recipients: Iterable[str]) -> Idempotency | None:
        """The mark of this message from this API key; `recipients` in their identities.

        The same message is one with the same recipients, body and headers, but for those that
        every try gets anew: Date, Message-ID, Received.
        """
        if self.idempotency_key is None:
            return None
        content = hashlib.sha256("\n".join(sorted(recipients)).encode())
        content.update(self.terms.model_dump_json().encode())
        for name, value in self.message.fields:
            if name.lower() not in _OF_ONE_TRY:
                content.update(b"\n" + name.lower() + b":" + unfolded(value))
        content.update(b"\n\n\r\n" + self.message.body)
        key = hashlib.sha256(f"{key_id}\0{self.idempotency_key}".encode())
        return Idempotency(key.digest(), content.digest())


def take_out(content: bytes, stream: str) -> Wishes:
    """Read and remove the headers; `stream` is the one of a message that names none.

    `content` has CRLF line ends.  Where its head is not well formed, reading ends there, and
    `ready.accept` refuses the message.
    """
    if found := _MBOX_LINES.match(content):
        content = content[found.end() :]
    message = read_lines(content)
    ours = [field for field in message.fields if _is_ours(field)]
    wishes = _wishes(ours)
    key = wishes.pop(IDEMPOTENCY, None)
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise WishError(IDEMPOTENCY, "expected 1 to 255 printable ASCII characters")
    if ours:
        message = message.having([field for field in message.fields if not _is_ours(field)])
    return Wishes(message, _terms(wishes, stream), key)


def header_of(field: str | None) -> str:
    """What a field that the pipeline found fault with is called in a submitted message."""
    first = re.split(r"[.\[]", field or "", maxsplit=1)[0]
    found = next((header for header, name in FIELDS.items() if name == first), None)
    return found or {"raw": "message", "to": "recipients", "": "message"}.get(first, first)


def _is_ours(field: Field) -> bool:
    return field[0][: len(_PREFIX)].lower() == _PREFIX


def _wishes(ours: Iterable[Field]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in ours:
        header = _NAMES.get(name.decode().lower())
        if header is None:
            raise WishError(name.decode()[:80], f"there is no such header{_meant(name.decode())}")
        if header in found:
            raise WishError(header, "is given more than once")
        found[header] = decoded(value, MAX_BLOCK)
    return found


def _meant(name: str) -> str:
    close = get_close_matches(name.lower()[:80], _NAMES, n=1)
    return f"; did you mean {_NAMES[close[0]]}?" if close else f"; there are {', '.join(FIELDS)}"


def _terms(wishes: Mapping[str, str], stream: str) -> Terms:
    values: dict[str, Any] = {"stream": stream}
    for header, text in wishes.items():
        values[FIELDS[header]] = _json(text) if FIELDS[header] == "metadata" else text
    try:
        return checked(Terms, values)
    except Problem as problem:
        raise WishError(header_of(problem.field), problem.detail) from problem


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise WishError(f"{PREFIX}Metadata", f"is not JSON: {error}") from None

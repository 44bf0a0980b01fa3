"""Tokens that prove what we ourselves wrote: VERP return paths, unsubscribe and tracking links.

A token names one subject (a delivery), one purpose and a last day, and carries a MAC over the
three.  It is the only identity that is believed when something comes back: addresses and
identifiers inside a report are evidence, never identity.

    <subject: ULID, 26><last day, 4><key id, 1><mac, 16>        47 characters, Crockford base32

The MAC is HMAC-SHA256 over `carom|v1|<purpose>|<subject>|<day>|<key id>|<bound text>`, cut to 80
bits: ten thousand guesses succeed with a chance of 1e-20.  The purpose is in the MAC and not in
the token, so a token seen in one place is worth nothing in another.  Only the last field of that
message has a free length and none before it can hold a `|`, so no two tokens share a message.

Promises: the same arguments and first key give the same token, so a delivery keeps its return
path on every retry (a fresh one starts greylisting again); a local part is at most 64 octets,
lower case, and read in any case, since remote systems change it; reading never raises, whatever
the text.  Refuses: short secrets, doubled key ids, subjects that are no ULID (`ValueError`).
A genuine token proves that someone saw that message, not that its bearer is the recipient.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
MIN_SECRET = 32
"""Octets of a key: as long as the hash, RFC 2104 section 3."""

_DAY = 86_400.0
_DAY_DIGITS = 4
_MAC_OCTETS = 10  # 80 bits are 16 base32 characters with no bit to spare: one spelling a token
_TO_CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", ALPHABET.encode())
_CHAR = f"[{ALPHABET}]"
_SUBJECT = re.compile(f"[0-7]{_CHAR}{{25}}")
_TOKEN = re.compile(f"([0-7]{_CHAR}{{25}})({_CHAR}{{{_DAY_DIGITS}}})({_CHAR})({_CHAR}{{16}})")
_VERP = re.compile(f"(?<![a-z0-9])b\\+[0-7]{_CHAR}{{46}}(?![a-z0-9])", re.ASCII | re.IGNORECASE)


class Purpose(StrEnum):
    BOUNCE = "bounce"
    UNSUBSCRIBE = "unsubscribe"
    OPEN = "open"
    CLICK = "click"
    FEEDBACK = "feedback"
    PROBE = "probe"
    CANARY = "canary"


PREFIXES: dict[Purpose, tuple[str, ...]] = {
    Purpose.BOUNCE: ("b+",),
    Purpose.UNSUBSCRIBE: ("unsubscribe+", "u+"),
    Purpose.CANARY: ("canary+",),
}
"""Local parts by purpose: the first is written, all are read.  Other purposes live in URLs."""


class Refusal(StrEnum):
    """Why a token is not believed."""

    MALFORMED = "malformed"  # never one of ours
    UNKNOWN_KEY = "unknown_key"  # the shape of ours, by a key that was retired or never was
    FORGED = "forged"  # the MAC does not fit: invented, damaged or made for another purpose
    EXPIRED = "expired"  # ours without doubt, and too old


@dataclass(frozen=True, slots=True)
class Key:
    """`id`: one character of `ALPHABET`.  `secret`: at least 32 random octets, never shown."""

    id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.id) != 1 or self.id not in ALPHABET:
            raise ValueError(f"token key id {self.id!r}: one character of {ALPHABET} is needed")
        if len(self.secret) < MIN_SECRET:
            raise ValueError(
                f"token key {self.id!r}: the secret has {len(self.secret)} octets, "
                f"at least {MIN_SECRET} are needed"
            )


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was proven ours.  `expires`: the first second at which it is refused."""

    purpose: Purpose
    subject_id: str
    expires: float
    key_id: str


class Tokens:
    """Issues with the first key, believes all of them: put a new key first, drop the old later."""

    def __init__(self, keys: Sequence[Key]) -> None:
        if not keys:
            raise ValueError("at least one token key is needed")
        self._first = keys[0].id
        self._keyed = {key.id: hmac.new(key.secret, digestmod="sha256") for key in keys}
        if len(self._keyed) != len(keys):
            raise ValueError("token keys must have different ids")

    def issue(self, purpose: Purpose, subject_id: str, *, expires: float, bound: str = "") -> str:
        """Return a token good until `expires` (Unix seconds) at least, at most a day longer.

        `bound` is text the token vouches for without carrying it, as the target of a click.
        """
        if not _SUBJECT.fullmatch(subject_id):
            raise ValueError(f"{subject_id!r} is not a lower-case ULID")
        day = _write_day(int(expires // _DAY))
        mac = _mac(self._keyed[self._first], purpose, subject_id, day, self._first, bound)
        return f"{subject_id}{day}{self._first}{mac.decode()}"

    def verify(
        self, purpose: Purpose, token: str, *, now: float, bound: str = ""
    ) -> Token | Refusal:
        """Read a token of any case at the time `now`; `bound` as it was issued."""
        # Folding comes after the ASCII check: U+212A, the Kelvin sign, would fold to a `k`.
        match = _TOKEN.fullmatch(token.lower()) if token.isascii() else None
        if match is None:
            return Refusal.MALFORMED
        subject_id, day, key_id, mac = match.groups()
        keyed = self._keyed.get(key_id)
        if keyed is None:
            return Refusal.UNKNOWN_KEY
        expected = _mac(keyed, purpose, subject_id, day, key_id, bound)
        if not hmac.compare_digest(expected, mac.encode()):
            return Refusal.FORGED
        expires = (_read_day(day) + 1) * _DAY
        if now >= expires:
            return Refusal.EXPIRED
        return Token(purpose, subject_id, expires, key_id)

    def return_path(self, delivery_id: str, domain: str, *, expires: float) -> str:
        """Return the envelope sender of a delivery, `b+<token>@domain`."""
        return self._address(Purpose.BOUNCE, delivery_id, domain, expires)

    def read_return_path(self, local_part: str, now: float) -> Token | Refusal:
        """Read the local part that a bounce was sent to."""
        return self._read_local_part(Purpose.BOUNCE, local_part, now)

    def unsubscribe_address(self, delivery_id: str, domain: str, *, expires: float) -> str:
        """Return the mailto target of List-Unsubscribe, `unsubscribe+<token>@domain`."""
        return self._address(Purpose.UNSUBSCRIBE, delivery_id, domain, expires)

    def read_unsubscribe_address(self, local_part: str, now: float) -> Token | Refusal:
        """Read the local part that a request to unsubscribe was sent to."""
        return self._read_local_part(Purpose.UNSUBSCRIBE, local_part, now)

    def canary_address(self, canary_id: str, domain: str, *, expires: float) -> str:
        """Return an address that always bounces, `canary+<token>@domain`."""
        return self._address(Purpose.CANARY, canary_id, domain, expires)

    def read_canary_address(self, local_part: str, now: float) -> Token | Refusal:
        """Read the local part that a probe of the bounce loop was sent to."""
        return self._read_local_part(Purpose.CANARY, local_part, now)

    def _address(self, purpose: Purpose, subject_id: str, domain: str, expires: float) -> str:
        token = self.issue(purpose, subject_id, expires=expires)
        return f"{PREFIXES[purpose][0]}{token}@{domain}"

    def _read_local_part(self, purpose: Purpose, local_part: str, now: float) -> Token | Refusal:
        folded = local_part.lower() if local_part.isascii() else ""
        for prefix in PREFIXES[purpose]:
            if folded.startswith(prefix):
                return self.verify(purpose, folded.removeprefix(prefix), now=now)
        return Refusal.MALFORMED


def find_token(text: str) -> str | None:
    """Return the first local part `b+<token>` in any text, lower-cased and unproven.

    `Tokens.read_return_path` proves it.  Rewritten senders are seen through, as in
    `SRS0=x=y=z=b+<token>@forwarder`.  Linear time.
    """
    match = _VERP.search(text)
    return match[0].lower() if match else None


def _mac(
    keyed: hmac.HMAC, purpose: Purpose, subject_id: str, day: str, key_id: str, bound: str
) -> bytes:
    """`keyed` holds the secret and is copied: quicker, and `hmac.digest` lets go of the GIL."""
    message = f"carom|v1|{purpose}|{subject_id}|{day}|{key_id}|{bound}"
    # Lone surrogates may come in with hostile text; they must not fit, and must not raise.
    mac = keyed.copy()
    mac.update(message.encode("utf-8", "surrogatepass"))
    return b32encode(mac.digest()[:_MAC_OCTETS]).translate(_TO_CROCKFORD)


@lru_cache(64)
def _write_day(day: int) -> str:
    if not 0 <= day < 32**_DAY_DIGITS:
        raise ValueError(f"day {day} after 1970 does not fit into a token")
    digits = (day >> shift & 31 for shift in range(5 * (_DAY_DIGITS - 1), -1, -5))
    return "".join(ALPHABET[digit] for digit in digits)


def _read_day(text: str) -> int:
    day = 0
    for char in text:
        day = day * 32 + ALPHABET.index(char)
    return day

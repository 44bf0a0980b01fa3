"""API keys: made once, shown once, kept as a hash.

A key reads `carom_<id>_<secret>`; the secret is 32 random bytes, so a plain SHA-256 of it is as
good as a slow hash and costs a request nothing.  Scopes: send, read, suppress, admin (admin holds
the others).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from analysis.schema import api_keys

SCOPES = ("send", "read", "suppress", "admin")
_KEY = re.compile(r"carom_([0-9a-z]{1,32})_([0-9a-zA-Z_-]{20,100})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ApiKey:
    id: str
    name: str
    secret_hash: bytes
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "admin" in self.scopes


@dataclass(frozen=True, slots=True)
class NewKey:
    """`text` is the only copy of the secret there will ever be."""

    key: ApiKey
    text: str


def make(name: str, scopes: Iterable[str], random: Callable[[int], bytes]) -> NewKey:
    """Raises ValueError for a scope that does not exist."""
    wanted = frozenset(scopes)
    if unknown := wanted.difference(SCOPES):
        raise ValueError(f"no scope {', '.join(sorted(unknown))}; there are {', '.join(SCOPES)}")
    key_id = random(4).hex()
    text = f"carom_{key_id}_{random(32).hex()}"
    return NewKey(ApiKey(key_id, name, fingerprint(text), wanted), text)


def add(tx: Connection, key: ApiKey, *, now: float) -> None:
    tx.execute(
        insert(api_keys).values(
            id=key.id,
            name=key.name,
            secret_hash=key.secret_hash,
            scopes=sorted(key.scopes),
            created_at=now,
        )
    )


def standing(tx: Connection) -> dict[str, ApiKey]:
    """Every key that was not revoked, by its id."""
    rows = tx.execute(select(api_keys).where(api_keys.c.revoked_at.is_(None)))
    return {
        row.id: ApiKey(row.id, row.name, bytes(row.secret_hash), frozenset(row.scopes))
        for row in rows
    }


def revoke(tx: Connection, key_id: str, *, now: float) -> bool:
    """Whether there was such a key to revoke."""
    changed = tx.execute(
        update(api_keys)
        .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return changed.rowcount == 1


def key_id(text: str) -> str | None:
    """The id inside a presented key, or None if it has not the shape of one."""
    match = _KEY.fullmatch(text)
    return match[1] if match else None


def proves(text: str, key: ApiKey) -> bool:
    """Whether the presented text is this key; takes the same time either way."""
    return hmac.compare_digest(fingerprint(text), key.secret_hash)


def fingerprint(text: str) -> bytes:
    """What is kept of a key: the SHA-256 of its whole text, whatever a stranger sends as one."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()

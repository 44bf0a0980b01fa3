"""Sessions of people at the console, and links that begin one.

A session is proven by a random token that only its browser holds; what is kept is the token's
hash, so that nobody who reads the database can sign in.  It ends when it was idle too long, when
its time is up however busy it was, or when it is closed.  A session that a key began stands only
as long as the key does, which is for the caller to ask: `key_id` names it.

A link's token lets one person in, once, within `LINK_LASTS` seconds: redeeming takes it away in the
same transaction, so that of two who try at once one gets in.

`csrf` is made from the token, so that it is bound to the session and needs no room of its own.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from analysis.keys import SCOPES
from analysis.schema import console_links, console_sessions

LINK_LASTS = 600.0
"""Seconds in which a link must be used."""
SEEN_EVERY = 60.0
"""Seconds between two notes of the same session being in use: reading writes nothing else."""

_TOKEN_OCTETS = 32
_LONGEST_TOKEN = 100


@dataclass(frozen=True, slots=True)
class Lasting:
    """How long a session lasts, in seconds: unused, and at most."""

    idle: float = 3_600.0
    life: float = 12 * 3_600.0


@dataclass(frozen=True, slots=True)
class Session:
    actor: str  # as the audit names who this is
    key_id: str | None  # the API key that began it; None: a link did
    scopes: frozenset[str]
    created_at: float
    seen_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class Guest:
    """Whom a link lets in."""

    actor: str
    scopes: frozenset[str]


def new_token(random: Callable[[int], bytes]) -> str:
    """43 characters that fit into a cookie and into a URL."""
    return urlsafe_b64encode(random(_TOKEN_OCTETS)).decode().rstrip("=")


def begin(
    tx: Connection,
    token: str,
    *,
    actor: str,
    key_id: str | None,
    scopes: Iterable[str],
    now: float,
    lasting: Lasting,
) -> None:
    """Open the session that `token` proves."""
    tx.execute(
        insert(console_sessions).values(
            token_hash=_hash(token),
            actor=actor,
            key_id=key_id,
            scopes=sorted(scopes),
            created_at=now,
            seen_at=now,
            expires_at=now + lasting.life,
        )
    )


def find(tx: Connection, token: str, *, now: float, lasting: Lasting) -> Session | None:
    """The session that stands behind a cookie, or None."""
    if not 0 < len(token) <= _LONGEST_TOKEN:
        return None
    row = tx.execute(
        select(console_sessions).where(console_sessions.c.token_hash == _hash(token))
    ).one_or_none()
    if row is None or now >= row.expires_at or now >= row.seen_at + lasting.idle:
        return None
    return Session(
        row.actor,
        row.key_id,
        frozenset(row.scopes),
        row.created_at,
        row.seen_at,
        row.expires_at,
    )


def stale(session: Session, now: float) -> bool:
    """Whether its last use was noted so long ago that it is time to note it again."""
    return now >= session.seen_at + SEEN_EVERY


def note_seen(tx: Connection, token: str, *, now: float) -> None:
    tx.execute(
        update(console_sessions)
        .where(console_sessions.c.token_hash == _hash(token))
        .values(seen_at=now)
    )


def end(tx: Connection, token: str) -> None:
    tx.execute(delete(console_sessions).where(console_sessions.c.token_hash == _hash(token)))


def csrf(token: str) -> str:
    """What every form of this session carries and nobody outside it can know."""
    return hmac.new(token.encode(), b"carom console form", hashlib.sha256).hexdigest()


def same(given: str, expected: str) -> bool:
    """Compare in a time that tells nothing; any text may be given."""
    return hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass")
    )


def make_link(tx: Connection, token: str, guest: Guest, *, now: float) -> None:
    """Keep a link.  Raises ValueError for a scope that does not exist."""
    if unknown := guest.scopes.difference(SCOPES):
        raise ValueError(f"no scope {', '.join(sorted(unknown))}; there are {', '.join(SCOPES)}")
    tx.execute(
        insert(console_links).values(
            token_hash=_hash(token),
            actor=guest.actor,
            scopes=sorted(guest.scopes),
            created_at=now,
            expires_at=now + LINK_LASTS,
        )
    )


def redeem(tx: Connection, token: str, *, now: float) -> Guest | None:
    """Take the link away; whom it lets in, or None if it was used, ran out or never was."""
    if not 0 < len(token) <= _LONGEST_TOKEN:
        return None
    row: Any = tx.execute(
        delete(console_links)
        .where(console_links.c.token_hash == _hash(token))
        .returning(console_links.c.actor, console_links.c.scopes, console_links.c.expires_at)
    ).one_or_none()
    if row is None or now >= row.expires_at:
        return None
    return Guest(row.actor, frozenset(row.scopes))


def forget_ended(tx: Connection, now: float) -> int:
    """Drop sessions and links whose time is up; how many."""
    ended = [
        tx.execute(delete(table).where(table.c.expires_at <= now)).rowcount
        for table in (console_sessions, console_links)
    ]
    return sum(max(0, count) for count in ended)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()

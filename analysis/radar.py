"""The radar: replies that no rule took, counted by what is alike in them.

A fingerprint is a reply's words without what differs from one reply to the next: numbers, ids,
addresses, hosts, dates.  `note` counts sightings in the transaction that records them; `most_seen`
lists what is worth a rule.  The table is bounded: when it is full, what was seen rarely and longest
ago goes first.  A count is a hint where to look, not an account.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, case, delete, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from analysis.reply import Reply, Stage, clean
from analysis.rulebook import searchable
from analysis.schema import unknown_replies
from analysis.store import IN_LIMIT, chunks
from analysis.verdict import UNKNOWN, Verdict

MOST = 5_000
"""Fingerprints kept."""
SLACK = MOST // 10
"""How many go at once when it is full, so that not every new one has to make room."""
RARE = 2
"""Seen no more often than this, a fingerprint is the first to go."""

MOST_READ = 600
"""Characters of a reply that a fingerprint is made of."""
MOST_KEPT = 200
"""Characters of a fingerprint."""
MOST_SHOWN = 500
"""Characters of an example."""

_WORD = re.compile(
    r"(?:https?://|www\.)[^\s<>\"'()\[\]]++"
    r"|[!#-&*+\-./0-9:@A-Z\\^-z~]++",  # quotes, brackets, `=` and `,` divide
    re.ASCII | re.IGNORECASE,
)
_HOST = re.compile(r"(?:[a-z0-9_-]++\.)++[a-z]{2,24}", re.IGNORECASE | re.ASCII)
_RUN = re.compile(r"#(?:[\s,:/+.-]*+#)++")
_MASKS = frozenset({"#", "@", "host", "url"})
_CALENDAR = re.compile(
    r"mon|tue|wed|thu|fri|sat|sun|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
)
_HEX = re.compile(r"[a-f]{8,}", re.ASCII)


def fingerprint(text: str) -> str:
    """What is alike in replies of one wording: lower case, bounded, the same for its own result.

    `#` stands for whatever holds a digit or looks like an id, `@` for an address, `host` and `url`
    for such.  Time is linear in the text, of which at most `MOST_READ` characters are read.
    """
    masked = _WORD.sub(_masked, searchable(clean(text, MOST_READ))).casefold()
    dated = " ".join(_undated(masked.split()))
    return _RUN.sub("#", dated)[:MOST_KEPT].strip()


def constant_parts(text: str) -> list[str]:
    """The stretches of a text, as patterns see it, that a fingerprint leaves as they are."""
    return _WORD.sub(_torn, text).split("\0")


def _torn(match: re.Match[str]) -> str:
    masked = _masked(match)
    return masked if masked == match[0] else "\0"


def _masked(match: re.Match[str]) -> str:
    """The word, or what stands for it; punctuation around it stays."""
    word = match[0]
    core = word.strip(".:-/*!#")
    if not core or core in _MASKS:
        return word
    return word.replace(core, _mask_of(core))


def _mask_of(core: str) -> str:
    if "@" in core:
        return "@"
    if "://" in core or core[:4].casefold() == "www.":
        return "url"
    if _HOST.fullmatch(core):
        return "host"
    if not core.isalpha():
        return "#" if any(map(str.isdigit, core)) else core
    return "#" if _looks_drawn(core) else core


def _looks_drawn(word: str) -> bool:
    """Whether letters alone are an id: hexadecimal, or capitals in the midst of small letters."""
    if _HEX.fullmatch(word):
        return True
    rises = sum(a.islower() and b.isupper() for a, b in pairwise(word))
    return len(word) >= 10 and rises >= 3


def _undated(words: list[str]) -> list[str]:
    """Names of days and months that stand beside a number are part of a date."""
    bare = [word.strip(".,:()") for word in words]
    masked = [word.startswith("#") for word in bare]
    for n, word in enumerate(bare):
        if _CALENDAR.fullmatch(word) and any(masked[max(0, n - 1) : n + 2]):
            masked[n] = True
            words[n] = words[n].replace(word, "#")
    return words


@dataclass(frozen=True, slots=True)
class Sighting:
    """A reply that nobody understood."""

    reply: Reply
    at: float
    delivery_id: str | None = None


def unknown(verdict: Verdict) -> bool:
    """Whether no rule took the reply that this is the verdict on."""
    return verdict.category is UNKNOWN.category and verdict.rule == UNKNOWN.rule


def note(tx: Connection, sightings: Sequence[Sighting], *, most: int = MOST) -> None:
    """Count sightings.  To be called last in a transaction: it locks rows that others want too."""
    rows = _rows(sightings)
    if not rows:
        return
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    add = dialect.insert(unknown_replies)
    changes = {name: add.excluded[name] for name in _NEWEST}
    changes["seen"] = unknown_replies.c.seen + add.excluded.seen
    tx.execute(
        add.on_conflict_do_update(index_elements=list(_KEY), set_=changes),
        [rows[key] for key in sorted(rows)],
    )
    excess = tx.execute(select(func.count()).select_from(unknown_replies)).scalar_one() - most
    if excess > 0:
        _make_room(tx, excess + most * SLACK // MOST)


_KEY = ("fingerprint", "provider", "stage")
_NEWEST = ("last_at", "code", "enhanced", "example", "delivery_id")


def _rows(sightings: Iterable[Sighting]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """One row a fingerprint, provider and stage; nothing can be learnt from a reply of no words."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for sighting in sightings:
        reply = sighting.reply
        if not (print_ := fingerprint(reply.text)):
            continue
        key = (print_, reply.provider[:32], reply.stage.value)
        before = rows.get(key)
        rows[key] = {
            **dict(zip(_KEY, key, strict=True)),
            "seen": 1 + (before["seen"] if before else 0),
            "first_at": before["first_at"] if before else sighting.at,
            "last_at": sighting.at,
            "code": reply.code,
            "enhanced": reply.enhanced,
            "example": searchable(clean(reply.text))[:MOST_SHOWN],
            "delivery_id": sighting.delivery_id,
        }
    return rows


def _make_room(tx: Connection, count: int) -> None:
    key = [unknown_replies.c[name] for name in _KEY]
    rare_first = case((unknown_replies.c.seen <= RARE, 0), else_=1)
    victims = tx.execute(
        select(*key)
        .order_by(rare_first, unknown_replies.c.last_at)
        .limit(count)
        .with_for_update(skip_locked=True)  # what another is counting just now is not forgotten
    ).all()
    for chunk in chunks([tuple(row) for row in victims], IN_LIMIT // 10):
        tx.execute(delete(unknown_replies).where(tuple_(*key).in_(chunk)))


@dataclass(frozen=True, slots=True)
class Unknown:
    """Replies of one fingerprint, from everybody who said so."""

    fingerprint: str
    seen: int
    first_at: float
    last_at: float
    example: Reply
    delivery_id: str | None
    by: tuple[tuple[str, str, int], ...]  # provider, stage, how often; most often first

    @property
    def providers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(provider for provider, _, _ in self.by))


def most_seen(tx: Connection, limit: int) -> list[Unknown]:
    """The fingerprints seen most often, with everybody who said so."""
    total = func.sum(unknown_replies.c.seen)
    name = unknown_replies.c.fingerprint
    wanted = tx.execute(
        select(name).group_by(name).order_by(total.desc(), name).limit(limit)
    ).scalars()
    return [_gathered(tx, one) for one in list(wanted)]


def _gathered(tx: Connection, name: str) -> Unknown:
    rows = tx.execute(
        select(unknown_replies)
        .where(unknown_replies.c.fingerprint == name)
        .order_by(unknown_replies.c.seen.desc(), unknown_replies.c.provider)
    ).all()
    newest = max(rows, key=lambda row: row.last_at)
    return Unknown(
        name,
        sum(row.seen for row in rows),
        min(row.first_at for row in rows),
        newest.last_at,
        _reply(newest),
        newest.delivery_id,
        tuple((row.provider, row.stage, row.seen) for row in rows),
    )


def _reply(row: Any) -> Reply:
    return Reply(row.code, row.enhanced, row.example, Stage(row.stage), row.provider)

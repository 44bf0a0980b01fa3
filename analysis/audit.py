"""The audit: who changed what and why, as a chain that shows when it was touched.

A row is sealed (SHA-256 of a random salt and everything it says) and linked: its `hash` is the
SHA-256 of the hash before it and its seal.  Whoever alters, takes out or slips in a row breaks
every link after it; whoever wrote down a hash (`head`) can prove later that the chain still holds
it.  Rows are written in the transaction of what they tell of; writers stand in line until they
commit, so that the chain has one order: on PostgreSQL by an advisory lock, on SQLite by its nature.

Erasure takes a person out without breaking it: subject, reason and salt go, the seal stays, and
without the salt nobody can test a guess against it.  The row that notes the erasure names the
emptied rows, so that emptying cannot hide anything else.  Retention leaves the hash of the newest
row that it took as the anchor that the oldest one left is checked against.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import takewhile
from typing import Any

import orjson
from sqlalchemy import Connection, delete, func, insert, select, text, update

from analysis import events
from analysis.schema import audit, audit_anchor
from analysis.store import IN_LIMIT, chunks, upsert

LOCK = 0x6361_7264_6974  # "cardit"
START = bytes(32)
"""What the first row of all follows."""
SALT = 16
ERASED = "erased"
ERASURE = "recipient.erase"
PAGE = 2_000

_WAIT = text("SELECT pg_advisory_xact_lock(:lock)")


def note(
    tx: Connection,
    rows: Sequence[Mapping[str, Any]],
    *,
    random: Callable[[int], bytes] = os.urandom,
) -> None:
    """Write rows of `at`, `actor`, `action`, `subject`, `reason`, `data` at the chain's end."""
    if not rows:
        return
    _stand_in_line(tx)
    last = head(tx)
    linked = []
    for row in rows:
        salt = random(SALT)
        sealed = seal(salt, row)
        last = link(last, sealed)
        linked.append({**row, "salt": salt, "seal": sealed, "hash": last})
    tx.execute(insert(audit), linked)


def head(tx: Connection) -> bytes:
    """The hash of the newest row: to be written down, and proved by `verify` later."""
    newest = select(audit.c.hash).where(audit.c.hash.is_not(None)).order_by(audit.c.seq.desc())
    found = tx.execute(newest.limit(1)).scalar()
    if found is None:
        found = tx.execute(select(audit_anchor.c.hash)).scalar()
    return START if found is None else bytes(found)


def seal(salt: bytes, row: Mapping[str, Any]) -> bytes:
    """What a row says, in 32 octets that tell nothing without the salt."""
    said = [row["at"], *(row[name] for name in ("actor", "action", "subject", "reason", "data"))]
    return sha256(salt + orjson.dumps(_plain(said), option=orjson.OPT_SORT_KEYS)).digest()


def link(before: bytes, sealed: bytes) -> bytes:
    return sha256(before + sealed).digest()


def erase_subject(tx: Connection, subject: str, *, now_called: str) -> list[int]:
    """Empty what rows about this subject say of it; the numbers of those rows."""
    seqs = list(
        tx.execute(
            select(audit.c.seq).where(audit.c.subject == subject).order_by(audit.c.seq)
        ).scalars()
    )
    for chunk in chunks(seqs, IN_LIMIT):
        tx.execute(
            update(audit)
            .where(audit.c.seq.in_(chunk))
            .values(subject=now_called, reason=ERASED, salt=None)
        )
    return seqs


def forget(tx: Connection, before: float, most: int) -> int:
    """Forget at most `most` rows that are older, the oldest first, and move the anchor."""
    old = tx.execute(
        select(audit.c.seq, audit.c.hash, audit.c.at).order_by(audit.c.seq).limit(most)
    ).all()
    # From the front only, else the chain would have holes.
    going = list(takewhile(lambda row: row.at < before, old))
    if not going:
        return 0
    last = going[-1]
    taken = int(tx.execute(select(func.coalesce(func.max(audit_anchor.c.taken), 0))).scalar_one())
    anchor = {"id": 1, "seq": last.seq, "hash": last.hash or START, "at": before}
    upsert(tx, audit_anchor, [{**anchor, "taken": taken + len(going)}], keys=("id",))
    return int(tx.execute(delete(audit).where(audit.c.seq <= last.seq)).rowcount)


def rows_after(
    tx: Connection, seq: int, limit: int, subjects: Collection[str] = ()
) -> Sequence[Any]:
    """Rows after this number, in order; with `subjects`, those about one of them."""
    query = select(audit).where(audit.c.seq > seq).order_by(audit.c.seq).limit(limit)
    if subjects:
        query = query.where(audit.c.subject.in_(sorted(subjects)))
    return tx.execute(query).all()


@dataclass(frozen=True, slots=True)
class Fault:
    seq: int
    what: str


class Verifier:
    """Reads the chain from its front, page by page, and says where it does not hold.

    `faults` has the first `most`; `found` whether a hash that was looked for is in the chain.
    """

    def __init__(self, anchor: Any, *, looked_for: bytes | None = None, most: int = 100) -> None:
        """`anchor`: the row of `audit_anchor`, or None where retention took nothing yet."""
        self.rows = 0
        self.older = 0  # than the chain
        self.erased = 0
        self.faults: list[Fault] = []
        self.last = START if anchor is None else bytes(anchor.hash)
        self.found = looked_for in (None, self.last)
        self._looked_for = looked_for
        self._most = most
        self._unnamed: set[int] = set()

    def read(self, rows: Sequence[Any]) -> None:
        """The next rows, in the order of their numbers."""
        for row in rows:
            self.rows += 1
            if row.hash is None:
                self._unchained(row)
            else:
                self._chained(row)
            if row.action == ERASURE and row.salt is not None:
                self._unnamed.difference_update(row.data.get("audit_rows", ()))

    def end(self) -> None:
        """What only shows when everything was read."""
        for seq in sorted(self._unnamed):
            self._fault(seq, "was emptied, and no erasure names it")

    def _unchained(self, row: Any) -> None:
        if self.last != START:
            self._fault(row.seq, "is not linked to the chain")
        self.older += 1

    def _chained(self, row: Any) -> None:
        if link(self.last, row.seal) != row.hash:
            self._fault(row.seq, "does not follow the row before it: altered, or one is missing")
        self.last = bytes(row.hash)
        self.found = self.found or self.last == self._looked_for
        if row.salt is None:
            self.erased += 1
            self._unnamed.add(row.seq)
        elif seal(row.salt, row._mapping) != row.seal:
            self._fault(row.seq, "does not say what it said when it was written")

    def _fault(self, seq: int, what: str) -> None:
        if len(self.faults) < self._most:
            self.faults.append(Fault(seq, what))


def anchor(tx: Connection) -> Any:
    """Where the chain begins, or None: at its first row."""
    return tx.execute(select(audit_anchor)).one_or_none()


def _stand_in_line(tx: Connection) -> None:
    """Until the transaction ends.  The events' lock comes first, as everywhere: who announces after
    auditing would else wait behind a reader who waits for who audits after announcing."""
    if tx.dialect.name == "postgresql":
        events.share(tx)
        tx.execute(_WAIT, {"lock": LOCK})


def _plain(value: Any) -> Any:
    """One way to write each value: a database may give 3 back for 3.0."""
    kind = type(value)  # exact: asked of every value of every row
    if kind is float:
        return int(value) if value.is_integer() else value
    if kind is dict:
        return {name: _plain(one) for name, one in value.items()}
    if kind is list or kind is tuple:
        return [_plain(one) for one in value]
    return value

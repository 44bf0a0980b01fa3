"""Idempotency-Keys: the same key with the same body is one submission, and gets the same answer.

`claim` begins a transaction's submissions, `remember` ends them.  A key with another body is a
conflict.  Keys are kept for a day (`analysis.retention`), by their hashes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from analysis.schema import idempotency
from analysis.store import IN_LIMIT, chunks, insert_once


@dataclass(frozen=True, slots=True)
class Idempotency:
    key_hash: bytes  # SHA-256 of the API key's id and the Idempotency-Key
    body_hash: bytes  # SHA-256 of the request's body


@dataclass(frozen=True, slots=True)
class Keyed:
    """A submission that came with a key."""

    id: str
    mark: Idempotency
    at: float


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to one submission; `replayed` if it had been accepted before."""

    answer: dict[str, Any]
    replayed: bool = False
    conflict: bool = False  # the same Idempotency-Key came with another body


def claim(tx: Connection, keyed: Sequence[Keyed]) -> tuple[dict[str, Receipt], dict[str, str]]:
    """Receipts for keys used in an earlier commit, and the twins within this batch (id -> id).

    The key is claimed by inserting it: of two transactions with the same key one waits for the
    other's end and then sees its answer.
    """
    first: dict[bytes, Keyed] = {}
    for one in keyed:
        first.setdefault(one.mark.key_hash, one)
    rows = [_row(one) for one in first.values()]
    rows.sort(key=lambda row: row["key_hash"])  # two batches of the same keys never form a ring
    claimed = {bytes(key) for key in insert_once(tx, idempotency, rows, returning="key_hash")}
    kept = _kept(tx, [key for key in first if key not in claimed])
    receipts: dict[str, Receipt] = {}
    twins: dict[str, str] = {}
    for one in keyed:
        leader = first[one.mark.key_hash]
        body_hash, answer = kept.get(one.mark.key_hash, (leader.mark.body_hash, None))
        if body_hash != one.mark.body_hash:
            receipts[one.id] = Receipt({}, conflict=True)
        elif answer is not None:
            receipts[one.id] = Receipt(answer, replayed=True)
        elif leader.id != one.id:
            twins[one.id] = leader.id
    return receipts, twins


def _row(one: Keyed) -> dict[str, Any]:
    mark = one.mark
    claimed = {"key_hash": mark.key_hash, "body_hash": mark.body_hash}
    return {**claimed, "answer": {}, "created_at": one.at}


def _kept(tx: Connection, keys: list[bytes]) -> dict[bytes, tuple[bytes, dict[str, Any]]]:
    """Key hash -> body hash and answer, as an earlier transaction left them."""
    found: dict[bytes, tuple[bytes, dict[str, Any]]] = {}
    for chunk in chunks(keys, IN_LIMIT):
        rows = tx.execute(
            select(idempotency.c.key_hash, idempotency.c.body_hash, idempotency.c.answer).where(
                idempotency.c.key_hash.in_(chunk)
            )
        )
        found.update({bytes(key): (bytes(body), answer) for key, body, answer in rows})
    return found


def remember(tx: Connection, answers: Mapping[bytes, dict[str, Any]]) -> None:
    """Keep the answers by the keys' hashes, so that the same key gets the same answer again."""
    if answers:
        tx.execute(_REMEMBER, [{"of_key": key, "given": one} for key, one in answers.items()])


_REMEMBER = (
    update(idempotency)
    .where(idempotency.c.key_hash == bindparam("of_key"))
    .values(answer=bindparam("given", type_=idempotency.c.answer.type))
)

"""Mailgun, a file for each of its lists.

By columns: bounces `address, code, error, created_at`; unsubscribes `address, tags, created_at`;
complaints `address, created_at`; times as in RFC 2822: documentation.mailgun.com, API reference,
"Import list of bounces" and its neighbours.  The API has the same names in `items`.  A code of 4xx
passes.  Who unsubscribed from a tag is not written to at all, as tags are no streams of ours.
"""

from __future__ import annotations

from analysis.exchange.cells import read_any_time
from analysis.exchange.dialects.shape import Dialect, Row, refuse_passing
from analysis.suppression import Reason

_BARE = frozenset({"address", "createdat"})


def _knows(names: frozenset[str]) -> bool:
    rest = names - {"messagehash", "count"}
    return rest == _BARE or rest in (_BARE | {"tags"}, _BARE | {"code", "error"})


def _ours(row: Row) -> Row:
    if "code" in row:
        refuse_passing(row["code"], "code")
        said = f"{row['code'] or 550} {row.get('error') or ''}"
        reason, evidence = Reason.HARD_BOUNCE, f"Mailgun bounce: {said}"
    elif "tags" in row:
        tags = row["tags"]
        told = ", ".join(map(str, tags)) if isinstance(tags, list) else str(tags or "*")
        reason, evidence = Reason.UNSUBSCRIBE, f"Mailgun unsubscribe from {told or '*'}"
    else:
        reason, evidence = Reason.COMPLAINT, "Mailgun complaint"
    return {
        "address": row.get("address"),
        "reason": reason,
        "since": read_any_time(row.get("createdat")),
        "evidence": evidence,
    }


DIALECT = Dialect("mailgun", _knows, _ours)

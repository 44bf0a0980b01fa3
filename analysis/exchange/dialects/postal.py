"""Postal, the table `suppressions` of a mail server's message database.

`type` (recipient), `address`, `reason` in free words, `timestamp` and `keep_until` in Unix seconds:
github.com/postalserver/postal, lib/postal/message_db/migrations/14_create_suppressions.rb.  Written
out by `mysql --batch` or an administrator's tool; Postal itself has no export.
"""

from __future__ import annotations

from analysis.exchange.cells import read_any_time
from analysis.exchange.dialects.shape import Dialect, Row
from analysis.suppression import Reason

_WORDS = (
    ("unsubscri", Reason.UNSUBSCRIBE),
    ("complain", Reason.COMPLAINT),
    ("spam", Reason.COMPLAINT),
    ("soft", Reason.SOFT_BOUNCE),
    ("manual", Reason.MANUAL),
)


def _ours(row: Row) -> Row:
    kind = str(row.get("type") or "")
    if kind != "recipient":
        raise ValueError("type: expected recipient; others are not about whom we write to")
    told = str(row.get("reason") or "")
    low = told.lower()
    return {
        "address": row.get("address"),
        "reason": next((r for word, r in _WORDS if word in low), Reason.HARD_BOUNCE),
        "since": read_any_time(row.get("timestamp")),
        "until": read_any_time(row.get("keepuntil")),
        "evidence": f"Postal: {told}".rstrip(": "),
    }


DIALECT = Dialect("postal", lambda names: names >= {"type", "address", "keepuntil"}, _ours)

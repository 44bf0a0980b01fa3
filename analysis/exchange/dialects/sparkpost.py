"""SparkPost, the suppression list of an account.

`recipient`, `type` (transactional or non_transactional), `source` (Spam Complaint, List
Unsubscribe, Bounce Rule, Unsubscribe Link, Manually Added, Compliance), `description`, `created`,
`updated`; in the API inside `results`: developers.sparkpost.com/api/suppression-list.  Old lists
say FBL for a complaint.  Both types are taken; `--stream` keeps one of them to a stream.
"""

from __future__ import annotations

from analysis.exchange.cells import read_any_time
from analysis.exchange.dialects.shape import Dialect, Row, reason_by
from analysis.suppression import Reason

_REASONS = {
    "spam complaint": Reason.COMPLAINT,
    "fbl": Reason.COMPLAINT,
    "list unsubscribe": Reason.UNSUBSCRIBE,
    "unsubscribe link": Reason.UNSUBSCRIBE,
    "bounce rule": Reason.HARD_BOUNCE,
    "manually added": Reason.MANUAL,
    "compliance": Reason.MANUAL,
}


def _ours(row: Row) -> Row:
    source = row.get("source") or "Manually Added"
    told = row.get("description") or row.get("type") or ""
    return {
        "address": row.get("recipient"),
        "reason": reason_by(source, _REASONS, "source"),
        "since": read_any_time(row.get("created") or row.get("updated")),
        "evidence": f"SparkPost: {source}; {told}".rstrip("; "),
    }


def _knows(names: frozenset[str]) -> bool:
    kinds = {"type", "transactional", "nontransactional", "source"}
    return "recipient" in names and bool(names & kinds)


DIALECT = Dialect("sparkpost", _knows, _ours)

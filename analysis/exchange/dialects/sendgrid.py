"""SendGrid, a file for each of its lists.

By columns: bounces and blocks `status, reason, email, created`; invalid addresses `reason, email,
created`; spam reports `email, ip, created`; unsubscribes `email, created`.  The v3 API has the same
names, times in Unix seconds: docs.sendgrid.com, API reference, Suppressions; columns of the files
by github.com/SparkPost/sparkpost-cli, sendgrid-suppresions.md.  Blocks look like bounces and are
about the sender: their status tells.
"""

from __future__ import annotations

from analysis.exchange.cells import read_any_time
from analysis.exchange.dialects.shape import Dialect, Row, refuse_passing
from analysis.suppression import Reason

_LISTS = (
    frozenset({"status", "reason", "email", "created"}),
    frozenset({"reason", "email", "created"}),
    frozenset({"email", "ip", "created"}),
    frozenset({"email", "created"}),
)


def _ours(row: Row) -> Row:
    refuse_passing(row.get("status"), "status")
    if "ip" in row:
        reason, list_name = Reason.COMPLAINT, "spam report"
    elif "status" in row:
        reason, list_name = Reason.HARD_BOUNCE, "bounce"
    elif "reason" in row:
        reason, list_name = Reason.HARD_BOUNCE, "invalid address"
    else:
        reason, list_name = Reason.UNSUBSCRIBE, "unsubscribe"
    said = " ".join(str(row[name]) for name in ("status", "reason") if row.get(name))
    return {
        "address": row.get("email"),
        "reason": reason,
        "since": read_any_time(row.get("created")),
        "evidence": f"SendGrid {list_name}: {said}".rstrip(": "),
    }


DIALECT = Dialect("sendgrid", lambda names: names in _LISTS, _ours)

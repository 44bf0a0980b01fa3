"""Postmark, a stream's suppression dump.

`GET /message-streams/{stream}/suppressions/dump` gives `Suppressions` with `EmailAddress`,
`SuppressionReason` (HardBounce, SpamComplaint, ManualSuppression), `Origin` (Recipient, Customer,
Admin) and `CreatedAt`: postmarkapp.com/developer/api/suppressions-api.  A recipient who suppresses
by hand has unsubscribed.
"""

from __future__ import annotations

from analysis.exchange.cells import read_any_time
from analysis.exchange.dialects.shape import Dialect, Row, reason_by
from analysis.suppression import Reason

_REASONS = {
    "hardbounce": Reason.HARD_BOUNCE,
    "spamcomplaint": Reason.COMPLAINT,
    "manualsuppression": Reason.MANUAL,
}


def _ours(row: Row) -> Row:
    word = row.get("suppressionreason")
    reason = reason_by(word, _REASONS, "SuppressionReason")
    origin = str(row.get("origin") or "")
    if reason is Reason.MANUAL and origin.lower() == "recipient":
        reason = Reason.UNSUBSCRIBE
    return {
        "address": row.get("emailaddress"),
        "reason": reason,
        "since": read_any_time(row.get("createdat")),
        "evidence": f"Postmark: {word} by {origin or 'nobody named'}",
    }


DIALECT = Dialect("postmark", lambda names: names >= {"emailaddress", "suppressionreason"}, _ours)

"""Amazon SES, the account-level suppression list.

`aws sesv2 list-suppressed-destinations` gives `SuppressedDestinationSummaries` with
`EmailAddress`, `Reason` (BOUNCE or COMPLAINT) and `LastUpdateTime` in Unix seconds:
docs.aws.amazon.com, SESV2 API reference, SuppressedDestinationSummary.  The files that its own bulk
import takes are lines of address and reason without a heading.
"""

from __future__ import annotations

from analysis.exchange.cells import read_any_time
from analysis.exchange.dialects.shape import Dialect, Row, reason_by
from analysis.suppression import Reason

_REASONS = {"bounce": Reason.HARD_BOUNCE, "complaint": Reason.COMPLAINT}


def _ours(row: Row) -> Row:
    word = row.get("reason")
    return {
        "address": row.get("emailaddress"),
        "reason": reason_by(word, _REASONS, "Reason"),
        "since": read_any_time(row.get("lastupdatetime") or row.get("lastupdate")),
        "evidence": f"Amazon SES: {word}",
    }


DIALECT = Dialect(
    "ses", lambda names: names >= {"emailaddress", "reason"}, _ours, ("emailaddress", "reason")
)

"""Notes in the audit of what people do at the console."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from analysis import audit
from carom.console.visit import Visit


def note(
    tx: Connection, visit: Visit, action: str, subject: str, data: Mapping[str, object]
) -> None:
    """Who did what to what, in the transaction that does it where there is one."""
    row = {
        "at": visit.now,
        "actor": visit.actor,
        "action": action,
        "subject": subject,
        "reason": "at the console",
        "data": dict(data),
    }
    audit.note(tx, [row])

"""Our own lists, as `analysis.exchange.writing` makes them; `address` may be called `email`."""

from __future__ import annotations

from analysis.exchange.cells import read_text
from analysis.exchange.dialects.shape import Dialect, Row
from analysis.suppression import Reason


def _ours(row: Row) -> Row:
    word = read_text(row, "reason") or Reason.MANUAL.value
    if word not in set(Reason):
        raise ValueError(f"reason: expected one of {', '.join(Reason)}")
    return {**row, "reason": Reason(word), "address": row.get("address") or row.get("email")}


DIALECT = Dialect("own", lambda names: bool(names & {"address", "email", "hash"}), _ours)

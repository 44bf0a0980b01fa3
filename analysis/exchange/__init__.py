"""Lists of suppressed addresses, in and out: our own CSV and NDJSON, and what others export.

`reading` takes a file apart line by line, `dialects` says what the lines of each service mean,
`writing` makes our own.  What is exported can be imported.
"""

from __future__ import annotations

from analysis.exchange.cells import checked_stream, read_hash, read_time
from analysis.exchange.reading import (
    FORMATS,
    Refusal,
    Terms,
    batches,
    read_list,
)
from analysis.exchange.writing import FIELDS, entry_view, header, lines

__all__ = [
    "FIELDS",
    "FORMATS",
    "Refusal",
    "Terms",
    "batches",
    "checked_stream",
    "entry_view",
    "header",
    "lines",
    "read_hash",
    "read_list",
    "read_time",
]

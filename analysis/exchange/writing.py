"""Our own lists, CSV and NDJSON: `address`, `hash`, `stream`, `reason`, `since`, `until`,
`evidence`, `actor`.

A cell that a spreadsheet would run as a formula is written with a `'` in front, which is taken off
again when it is read.  An erased entry has no address, and its hash is of use to us alone.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

import orjson

from analysis.exchange.cells import harmless
from analysis.lookup import iso
from analysis.suppression import Suppression

FIELDS = ("address", "hash", "stream", "reason", "since", "until", "evidence", "actor")


def header(kind: str) -> bytes:
    return (",".join(FIELDS) + "\r\n").encode() if kind == "csv" else b""


def lines(entries: Iterable[Suppression], kind: str) -> bytes:
    """Entries as lines of the file, without its header."""
    if kind == "ndjson":
        return b"".join(
            orjson.dumps(entry_view(e), option=orjson.OPT_APPEND_NEWLINE) for e in entries
        )
    out = io.StringIO(newline="")
    table = csv.writer(out)
    for entry in entries:
        view = entry_view(entry)
        table.writerow([harmless(view[name]) for name in FIELDS])
    return out.getvalue().encode()


def entry_view(entry: Suppression) -> dict[str, Any]:
    """An entry of the list as JSON shows it."""
    return {
        "address": entry.address,
        "hash": entry.address_hash.hex(),
        "stream": entry.stream,
        "reason": entry.reason.value,
        "since": iso(entry.since),
        "until": iso(entry.until),
        "evidence": entry.evidence,
        "actor": entry.actor,
    }

"""Wordings that no general shape of a notice fits, one small file each, most telling first.

Each module has `read(notice)`: findings where the notice speaks its dialect, [] where not.  They
are asked only when `ingest.notice` found nobody, so a dialect needs no care for the usual shapes.
"""

from __future__ import annotations

from collections.abc import Callable

from ingest.dialects import elder, fml, local_names, quoted_report
from ingest.finding import Finding
from ingest.notice import Notice

DIALECTS: tuple[Callable[[Notice], list[Finding]], ...] = (
    fml.read,
    quoted_report.read,
    local_names.read,
    elder.read,
)


def read(notice: Notice) -> list[Finding]:
    """What the first dialect that fits makes of the notice."""
    for dialect in DIALECTS:
        if findings := dialect(notice):
            return findings
    return []

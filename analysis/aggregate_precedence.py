"""Signed reports before unsigned ones: which of two about the same time counts.

An organisation that signs a report of some days signs all that it reports of them; so what comes
unsigned in its name for these days is not its own, and does not count whichever came first.  It is
the same organisation where the mail's From domain is of the signer's, or where the report gives
the name under which the signer reports, if that name is a domain of the signer: nobody gets
another's reports out of the way by signing with a domain of his own.

A report that does not count keeps its row and has no rows of figures, so that whatever adds figures
up leaves it out.  On PostgreSQL those who enter reports wait for one another (`hold`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, or_, select, text, update

from analysis.aggregate import Origin
from analysis.facts import Kind
from analysis.organisation import organisational_domain
from analysis.schema import aggregate_reports, dmarc_rows, tls_rows
from analysis.store import IN_LIMIT, chunks

LOCK = 0x6361_726F_6167  # "caroag"

_WAIT = text("SELECT pg_advisory_xact_lock(:lock)")
_a = aggregate_reports.c


@dataclass(frozen=True, slots=True)
class Claimed:
    """Whose report it is, by what it says and by who signed it."""

    organisation: str
    reporter: str  # organisational domain of the mail's author; '' where it is not clear
    signed_by: str  # organisational domain; '' where nobody did
    begin: float
    end: float

    @classmethod
    def of(cls, origin: Origin, reporter: str, signed_by: str) -> Claimed:
        above = organisational_domain(reporter) if reporter else ""
        return cls(origin.organisation.casefold(), above, signed_by, origin.begin, origin.end)


def hold(tx: Connection) -> None:
    """Let nobody else enter reports until the end of `tx`; before any other lock is asked for."""
    if tx.dialect.name == "postgresql":
        tx.execute(_WAIT, {"lock": LOCK})


def counts(tx: Connection, kind: Kind, report: Claimed) -> bool:
    """Whether the report counts; one that is signed takes what it outdoes out of the figures."""
    if not report.signed_by:
        signed = _at_that_time(tx, kind, report, _a.signed_by > "")
        return not any(outdoes(other, report) for _, other in signed)
    unsigned = _at_that_time(tx, kind, report, or_(_a.signed_by.is_(None), _a.signed_by == ""))
    _take_out(tx, [key for key, other in unsigned if outdoes(report, other)])
    return True


def outdoes(signed: Claimed, unsigned: Claimed) -> bool:
    """Whether both are of one organisation, as far as can be told, and of the same time."""
    by_mail = unsigned.reporter == signed.signed_by
    by_name = (
        unsigned.organisation == signed.organisation
        and organisational_domain(signed.organisation) == signed.signed_by
    )
    common = min(signed.end, unsigned.end) - max(signed.begin, unsigned.begin)
    shorter = min(signed.end - signed.begin, unsigned.end - unsigned.begin)
    return (by_mail or by_name) and 0 <= common >= shorter / 2


def _at_that_time(
    tx: Connection, kind: Kind, report: Claimed, which: Any
) -> list[tuple[str, Claimed]]:
    columns = (_a.id, _a.organisation, _a.reporter, _a.signed_by, _a.begin_at, _a.end_at)
    wanted = select(*columns).where(
        _a.kind == kind.value,
        _a.counted,
        _a.end_at >= report.begin,
        _a.begin_at <= report.end,
        which,
    )
    return [
        (key, Claimed(name.casefold(), reporter or "", signed_by or "", begin, end))
        for key, name, reporter, signed_by, begin, end in tx.execute(wanted)
    ]


def _take_out(tx: Connection, reports: Sequence[str]) -> None:
    for chunk in chunks(list(reports), IN_LIMIT):
        for table in (dmarc_rows, tls_rows):
            tx.execute(table.delete().where(table.c.report_id.in_(chunk)))
        tx.execute(update(aggregate_reports).where(_a.id.in_(chunk)).values(counted=False))

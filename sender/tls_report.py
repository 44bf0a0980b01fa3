"""What came of TLS with other hosts, counted for the reports of RFC 8460.

By UTC day, policy domain, kind of policy, receiving host and result: how many sessions.  Bounded:
past `MOST` different rows in memory further ones share the policy domain `*`.  `drain` hands over
what was counted and forgets it; `sender.tls_store` adds it up in the database.

Sessions are counted, not messages: ten messages on one kept connection are one session.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

DAY = 86_400.0
PROBE = "tls-report"
"""What a delivery of such a report is marked as: our own, and not to be reported on."""
MOST = 20_000
"""Rows kept between two drains."""


class Failing(StrEnum):
    """RFC 8460 section 4.3; `OK` is ours, for a session that came about."""

    OK = "ok"
    NO_STARTTLS = "starttls-not-supported"
    HOST_MISMATCH = "certificate-host-mismatch"
    EXPIRED = "certificate-expired"
    NOT_TRUSTED = "certificate-not-trusted"
    VALIDATION = "validation-failure"
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    STS_FETCH = "sts-policy-fetch-error"
    STS_INVALID = "sts-policy-invalid"
    STS_WEBPKI = "sts-webpki-invalid"


class Kind(StrEnum):
    """The `policy-type` of RFC 8460 section 4.2."""

    TLSA = "tlsa"
    STS = "sts"
    NONE = "no-policy-found"


@dataclass(frozen=True, slots=True)
class Row:
    day: int  # days since 1970-01-01 UTC
    domain: str  # the policy domain: the recipient's
    kind: Kind
    mx: str  # empty where it never came to a host
    result: Failing


class TlsReport:
    """`clock` is Unix seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rows: Counter[Row] = Counter()

    def note(self, domain: str, kind: Kind, mx: str, result: Failing) -> None:
        """One session, or one policy that could not be had."""
        day = int(self._clock() // DAY)
        row = Row(day, domain, kind, mx, result)
        if row not in self._rows and len(self._rows) >= MOST:
            row = Row(day, "*", kind, "", result)
        self._rows[row] += 1

    def drain(self) -> dict[Row, int]:
        """What was counted since the last time."""
        rows, self._rows = self._rows, Counter()
        return dict(rows)

    def restore(self, rows: dict[Row, int]) -> None:
        """Take back what could not be stored."""
        for row, count in rows.items():
            known = row in self._rows or len(self._rows) < MOST
            self._rows[row if known else Row(row.day, "*", row.kind, "", row.result)] += count

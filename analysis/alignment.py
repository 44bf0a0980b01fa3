"""Alignment: what an aggregate report is worth, and which of its sources are ours.

Pure.  Anybody may send a report to the address that the DNS names, and a signature proves who says
it, not that it is so; hence a report that is not about our domains, or about a time to come or long
gone, counts for nothing.

A source is ours where the settings say so, where SPF passed for our own return path (whose record
is ours), where one of our DKIM keys signed (which a forwarder's mail still shows), or where an
earlier report showed the second.  All others use our domain without our doing: another service of
the house, a mailing list, or a forger.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address

from analysis.aggregate import Aggregate, DmarcAggregate, DmarcRow, TlsAggregate

DAY = 86_400.0
LONGEST = 8 * DAY
"""A report covers a day; a week where the receiver wants so."""
OLDEST = 35 * DAY
AHEAD = DAY
"""Clocks and time zones of reporters err; a day ahead is believed."""


class Proof(StrEnum):
    """Why a source is taken for ours."""

    SETTINGS = "settings"
    SPF = "spf"
    DKIM = "dkim"
    BEFORE = "before"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Ours:
    """What is ours, by the settings.  Domains in lower-case A-labels; those below them are too."""

    domains: frozenset[str] = frozenset()
    return_path: str = ""  # the bounce domain
    keys: frozenset[tuple[str, str]] = frozenset()  # DKIM: domain and selector
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    def owns(self, domain: str) -> bool:
        return any(name in self.domains for name in _upwards(domain))

    def proof_of(self, row: DmarcRow, known: Collection[str]) -> Proof:
        """Why the messages of a row are ours; `known` are sources that SPF showed before."""
        address = ip_address(row.source)
        if any(address in network for network in self.networks):
            return Proof.SETTINGS
        passed = [check for check in row.checks if check.result == "pass"]
        if any(c.method == "spf" and self.return_path in _upwards(c.domain) for c in passed):
            return Proof.SPF
        if any(c.method == "dkim" and self._signed(c.domain, c.selector) for c in passed):
            return Proof.DKIM
        return Proof.BEFORE if row.source in known else Proof.NONE

    def _signed(self, domain: str, selector: str) -> bool:
        """Reporters may leave the selector out."""
        if not selector:
            return any(domain == name for name, _ in self.keys)
        return (domain, selector.lower()) in self.keys


def worth(report: Aggregate, ours: Ours, now: float) -> Aggregate | str:
    """The report without what is not about us; or why it counts for nothing."""
    origin = report.origin
    if origin.end > now + AHEAD:
        return "the report is about a time to come"
    if origin.end < now - OLDEST:
        return "the report is about a time long gone"
    if not 0 <= origin.end - origin.begin <= LONGEST:
        return "the report is about no span of days"
    if isinstance(report, TlsAggregate):
        kept = tuple(row for row in report.rows if ours.owns(row.domain))
        if not kept:
            return "the report is not about our domains"
        return replace(report, rows=kept)
    if not ours.owns(report.domain):
        return "the report is not about our domains"
    return replace(report, rows=tuple(_about_us(report, ours)))


def _about_us(report: DmarcAggregate, ours: Ours) -> Iterator[DmarcRow]:
    for row in report.rows:
        if not row.header_from:
            yield replace(row, header_from=report.domain)
        elif ours.owns(row.header_from):
            yield row


def _upwards(domain: str) -> Iterator[str]:
    """The domain and those above it."""
    while domain:
        yield domain
        domain = domain.partition(".")[2]

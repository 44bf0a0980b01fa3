"""Whom the message that came back was written to, where a report tells it badly or not at all.

The single recipient of the returned message stands in for a failure that names nobody.  Where the
report names another address, a forwarded one, it is kept as the original beside it; evidence only:
the token says whose a report is, and what is said of a forwarded address is no proof against the
one written to.
"""

from __future__ import annotations

from dataclasses import replace

from ingest import addresses
from ingest.finding import Finding
from ingest.notice import Notice


def only_target(notice: Notice) -> str:
    """The one address that the returned message went to, if it is not its sender's; else ''."""
    if len(notice.targets) != 1 or not notice.targets.keys().isdisjoint(notice.senders):
        return ""
    return next(iter(notice.targets.values()))


def with_original(findings: list[Finding], notice: Notice) -> list[Finding]:
    """The same, with the address written to where the one failure is another's."""
    target = only_target(notice)
    if len(findings) != 1 or not target:
        return findings
    [finding] = findings
    if finding.original or not finding.address:
        return findings
    if addresses.key(finding.address) == addresses.key(target):
        return findings
    return [replace(finding, original=target)]

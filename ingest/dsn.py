"""Delivery status notifications: groups of fields, one group a recipient.  RFC 3464, RFC 6533.

Reads the part as it really comes: base64 or quoted-printable, doubled blank lines, `Field : value`,
groups that run together or fall apart, Original-Recipient only, field lines inside a text part.
Promises a finding for every group that names a recipient or an action; an empty `address` means
that the field held no address (a file, a program, a route) and the notice has to be asked.
Claims nothing about who the report is for: that is the token's business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice

from ingest import addresses
from ingest.finding import Finding
from ingest.mime import MAX_READABLE, Mail, Part, read_mime

STATUS_TYPES = (
    "message/delivery-status",
    "message/global-delivery-status",
    "message/deliverystatus",
)
MAX_RECIPIENTS = 200

_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9_-]{1,60})[ \t]{0,8}:[ \t]*(.*)", re.ASCII)
_STRAY = re.compile(r"(?:^|\n)[ \t]{0,8}(?:Final|Original)-Recipient[ \t]{0,8}:", re.IGNORECASE)
_OPENS = frozenset({"final-recipient", "original-recipient"})
_OURS = (
    frozenset({"action", "status", "diagnostic-code", "x-actual-recipient", "remote-mta"}) | _OPENS
)
_FIELDS = _OURS | {
    *("reporting-mta", "received-from-mta", "arrival-date", "original-envelope-id", "dsn-gateway"),
    *("last-attempt-date", "final-log-id", "will-retry-until", "localized-diagnostic"),
}
_ADDRESSED = ("final-recipient", "original-recipient", "x-actual-recipient", "x-failed-recipient")
_TYPE = re.compile(r"\s{0,20}(?:x-)?[a-z][\w/-]{0,30}\s{0,10};\s{0,20}", re.IGNORECASE | re.ASCII)
_SPARE_FIELDS = ("x-supplementary-info", "x-notes", "x-postfix-diagnostic", "remote-response")
_ACTIONS = (
    ("fail", "failed"),
    ("expire", "failed"),
    ("error", "failed"),
    ("bounce", "failed"),
    ("delay", "delayed"),
    ("deliver", "delivered"),
    ("relay", "relayed"),
    ("expand", "expanded"),
)

Group = dict[str, str]


@dataclass(slots=True)
class Report:
    """A delivery-status part: what it says of the message, and of each recipient."""

    reporting_mta: str = ""
    groups: list[Group] = field(default_factory=list)


def read_report(text: str) -> Report:
    """Read field groups from text; lines that are no fields are passed over."""
    report = Report()
    for group in _groups(text):
        report.reporting_mta = report.reporting_mta or untyped(group.get("reporting-mta", ""))
        if not _OURS.isdisjoint(group) and len(report.groups) < MAX_RECIPIENTS:
            _place(report.groups, group)
    return report


def _groups(text: str) -> list[Group]:
    groups: list[Group] = []
    group: Group = {}
    last = ""
    for line in text.split("\n"):
        if not line.strip():
            group, last = {}, ""
        elif line[0] in " \t" and last and not _is_known(line):
            group[last] = f"{group[last]} {line.strip()}"[:8_000]
        elif match := _FIELD.match(line.strip()):
            last = match[1].lower()
            if (last in _OPENS or last == "action") and last in group:  # no blank line between two
                group = {}
            if not group:
                groups.append(group)
            group.setdefault(last, match[2].strip())
        elif last:
            group[last] = f"{group[last]} {line.strip()}"[:8_000]
    return groups


def _is_known(line: str) -> bool:
    """Whether an indented line is a field after all, not a folded one that holds a colon."""
    match = _FIELD.match(line.lstrip()[:70])
    return match is not None and (match[1].lower() in _FIELDS or match[1][:2].lower() == "x-")


def _place(groups: list[Group], group: Group) -> None:
    """A group without a recipient belongs to the one before it, where that still lacks it."""
    named = any(name in group for name in _ADDRESSED)
    if groups and not (named and any(name in groups[-1] for name in _ADDRESSED)):
        before = groups[-1]
        if before.keys().isdisjoint(group.keys() & _OURS):
            before.update(group)
            return
    groups.append(group)


def untyped(value: str) -> str:
    """A field's value without its type: `dns; mx.example.com` is `mx.example.com`."""
    match = _TYPE.match(value)
    return (value[match.end() :] if match else value).strip()


def finding_of(group: Group) -> Finding:
    """What one recipient group says.  RFC 3464 section 2.3."""
    final = addresses.from_field(group.get("final-recipient", ""))
    original = addresses.from_field(group.get("original-recipient", ""))
    actual = addresses.from_field(group.get("x-actual-recipient", ""))
    address = (
        final or original or actual or addresses.from_field(group.get("x-failed-recipient", ""))
    )
    status = group.get("status", "")
    words = untyped(group.get("diagnostic-code", ""))
    spare = tuple(group[name] for name in _SPARE_FIELDS if name in group)
    if not words and group.get("action", "").lower().startswith("expire"):
        words = "message expired"
    return Finding(
        address=address,
        words=words,
        action=action_of(group.get("action", ""), status),
        status=status,
        original=original if addresses.key(original) != addresses.key(address) else "",
        remote_mta=untyped(group.get("remote-mta", "")).split(" ")[0].rstrip("."),
        spare=spare,
    )


def action_of(action: str, status: str) -> str:
    """One of RFC 3464's five actions, from what the field or else the status begins with."""
    lower = action.strip().lower()
    for begin, known in _ACTIONS:
        if lower.startswith(begin):
            return known
    return {"2": "delivered", "4": "delayed"}.get(status.strip()[:1], "failed")


def status_text(mail: Mail) -> str:
    """Text of every delivery-status part."""
    parts = (part for part in mail.parts if part.type in STATUS_TYPES)
    return "\n\n".join(map(_fields, islice(parts, MAX_READABLE)))


def stray_fields(mail: Mail) -> str:
    """Text of parts that hold the fields without being called a status part."""
    parts = (part for part in mail.parts if not part.is_message and part.type[:4] != "imag")
    texts = (part.plain for part in islice(parts, MAX_READABLE))
    return "\n\n".join(text for text in texts if _STRAY.search(text))


def _fields(part: Part) -> str:
    """A part's text; where its encoding is declared one line too low, taken from there."""
    text = part.text
    if text[:200].lstrip().lower().startswith("content-transfer-encoding"):
        return read_mime(part.body.lstrip()).parts[0].text
    return text

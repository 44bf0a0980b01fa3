"""Local parts without a domain: AOL and Domino name their own users by name only.

The domain is the one whose mail system speaks, so it is believed only from a MAILER-DAEMON or
postmaster and only under a line that opens a list of the failed.  A host speaks for the domain
above it where the returned message went to that name there, and to nobody else.
"""

from __future__ import annotations

import re

from ingest import addresses
from ingest.finding import Finding
from ingest.notice import Notice
from ingest.wording import FAILED

_OPENING = re.compile(r"(?:recipients?|address(?:es)?|users?)\b.{0,160}:\s{0,5}", re.IGNORECASE)
_NAME = re.compile(r"\s{1,40}<?([A-Za-z0-9][\w.+-]{1,63})>?\s{0,20}", re.ASCII)


def read(notice: Notice) -> list[Finding]:
    sender = addresses.first(notice.mail.headers.get("from")).lower()
    local, _, domain = sender.partition("@")
    if local not in ("mailer-daemon", "postmaster") or not domain:
        return []
    lines = notice.lines[:100]
    for number, line in enumerate(lines):
        if _OPENING.search(line) and FAILED.search(line):
            names = _names_below(lines[number + 1 :])
            said = " ".join(lines)
            return [Finding(_written_to(f"{name}@{domain}", notice), said) for name in names]
    return []


def _written_to(address: str, notice: Notice) -> str:
    """The address as the returned message has it, where that is of the same name and house."""
    local, _, host = addresses.key(address).rpartition("@")
    for folded, target in notice.targets.items():
        wanted, _, domain = folded.rpartition("@")
        if len(notice.targets) == 1 and wanted == local and host.endswith(f".{domain}"):
            return target
    return address


def _names_below(lines: list[str]) -> list[str]:
    names: list[str] = []
    for line in lines:
        if match := _NAME.fullmatch(line):
            names.append(match[1])
        elif line.strip():
            break
    return names

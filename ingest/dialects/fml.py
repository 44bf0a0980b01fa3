"""fml, a mailing list manager: it refuses posts in its own words and marks itself `X-MLServer`.

The address is the list's own; the refusal is the list's decision, so the subject and the first
lines are all the evidence there is.
"""

from __future__ import annotations

import re

from ingest import addresses
from ingest.finding import Finding
from ingest.header_block import Headers
from ingest.notice import Notice

_REFUSALS = (
    (re.compile(r"not (?:a )?member|non[- ]member", re.IGNORECASE), "sender is not a list member"),
    (
        re.compile(r"loop|duplicated message-id", re.IGNORECASE),
        "mail system configuration error: mail loop detected",
    ),
    (re.compile(r"too (?:big|large|long)|size", re.IGNORECASE), "message size exceeds limit"),
    (re.compile(r"reject|not (?:allowed|permitted)", re.IGNORECASE), "rejected by local policy"),
)


def wrote(headers: Headers) -> bool:
    """Whether fml's own administrator address speaks, not a member through the list."""
    sender = addresses.first(headers.get("from")).partition("@")[0]
    return sender.endswith("-admin") and "fml" in headers.get("x-mlserver")[:100].lower()


def read(notice: Notice) -> list[Finding]:
    headers = notice.mail.headers
    if not wrote(headers):
        return []
    opening = f"{headers.word('subject')} {' '.join(notice.lines[:6])}"[:2_000]
    address = addresses.first(opening) or addresses.first(headers.get("x-ml-name"))
    for pattern, meaning in _REFUSALS:
        if address and pattern.search(opening):
            return [Finding(address, meaning, spare=(opening,))]
    return []

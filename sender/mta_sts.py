"""MTA-STS (RFC 8461): what a domain's record and policy say.  Text in, values out, no network.

A policy names the hosts that may take the domain's mail over TLS with a certificate that holds, and
for how long that is to be remembered.  What is not understood is refused with ValueError, whose
text goes into reports; a record that is none is None, as if the domain had not published one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import dns.rdata
from dns.rdtypes.txtbase import TXTBase

from analysis.reply import clean
from sender.dane import covers
from sender.resolver import check_name

MAX_AGE = 31_557_600
"""Seconds, about a year: RFC 8461 section 3.2."""
MIN_AGE = 300
"""A policy is kept so long whatever it says: fetching for each message serves nobody."""
MAX_PATTERNS = 200

_RECORD = re.compile(r"v=STSv1 *;(?P<fields>.*)", re.ASCII | re.DOTALL)
_ID = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)


class Mode(StrEnum):
    ENFORCE = "enforce"
    TESTING = "testing"  # failures are reported, mail goes all the same
    NONE = "none"  # withdrawn: RFC 8461 section 8.3


@dataclass(frozen=True, slots=True)
class Policy:
    mode: Mode
    mx: tuple[str, ...]  # patterns, lower case; empty only in mode none
    max_age: int  # seconds from the fetch

    def allows(self, host: str) -> bool:
        """Whether `host` may take the domain's mail.  RFC 8461 section 4.1."""
        return any(covers(pattern, host) for pattern in self.mx)


def record_id(records: Iterable[dns.rdata.Rdata]) -> str | None:
    """The id in the TXT records at `_mta-sts`; None unless just one is MTA-STS's.  Section 3.1."""
    texts = [
        b"".join(record.strings).decode("ascii", "replace")
        for record in records
        if isinstance(record, TXTBase)
    ]
    ours = [match for text in texts if (match := _RECORD.fullmatch(text))]
    if len(ours) != 1:
        return None
    for field in ours[0]["fields"].split(";"):
        key, _, value = field.strip().partition("=")
        if key.strip() == "id":
            return value.strip() if _ID.fullmatch(value.strip()) else None
    return None


def read_policy(content: bytes) -> Policy:
    """Read a policy file (section 3.2), or raise ValueError that says what is wrong with it."""
    try:
        lines = content.decode("utf-8").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError:
        raise ValueError("the policy is not text") from None
    fields: dict[str, str] = {}
    patterns: list[str] = []
    for line in lines:
        key, colon, value = line.partition(":")
        key, value = key.strip(), value.strip()
        if not colon:
            if line.strip():
                raise ValueError(f"a line of the policy is no field: {clean(line, 60)!r}")
        elif key == "mx":
            patterns.append(_pattern(value))
        else:
            fields.setdefault(key, value)  # the first one counts
    return _policy(fields, patterns)


def _policy(fields: dict[str, str], patterns: Sequence[str]) -> Policy:
    if fields.get("version") != "STSv1":
        raise ValueError("the policy's version is not STSv1")
    try:
        mode = Mode(fields.get("mode", ""))
    except ValueError:
        raise ValueError("the policy's mode is none of enforce, testing and none") from None
    age = fields.get("max_age", "")
    if not (age.isascii() and age.isdigit() and len(age) <= 10):
        raise ValueError("the policy's max_age is no number of seconds")
    if mode is not Mode.NONE and not patterns:
        raise ValueError("the policy names no mx")
    if len(patterns) > MAX_PATTERNS:
        raise ValueError(f"the policy has more than {MAX_PATTERNS} mx")
    return Policy(mode, tuple(patterns), min(max(int(age), MIN_AGE), MAX_AGE))


def _pattern(value: str) -> str:
    wild, host = ("*.", value[2:]) if value.startswith("*.") else ("", value)
    try:
        return wild + check_name(host)
    except ValueError:
        raise ValueError(f"an mx of the policy is no host name: {clean(value, 60)!r}") from None

"""The MTA-STS policy of the bounce domain (RFC 8461): its text, its host, the id of its record.

The API serves it to whoever asks for `PATH` under the name `host` (`carom.web`), so a TLS proxy
with a certificate for that name is all that it takes.  The id follows the text: senders fetch a
changed policy when the record that `carom dns` shows is published again.
"""

from __future__ import annotations

import hashlib

from carom.settings import Settings

PATH = "/.well-known/mta-sts.txt"
MAX_AGE = {"testing": 86_400, "enforce": 604_800, "none": 86_400}
"""Seconds that senders remember it: a week, but a day while it may still change."""


def host(settings: Settings) -> str:
    return f"mta-sts.{settings.ingest.domain}"


def policy(settings: Settings) -> str:
    """The policy, RFC 8461 section 3.2."""
    mode = settings.ingest.mta_sts
    lines = ["version: STSv1", f"mode: {mode}"]
    if mode != "none":
        lines.append(f"mx: {settings.sender.hostname}")
    lines.append(f"max_age: {MAX_AGE[mode]}")
    return "".join(f"{line}\r\n" for line in lines)


def policy_id(settings: Settings) -> str:
    """The `id` of the record, section 3.1: another one for each other policy."""
    return hashlib.sha256(policy(settings).encode()).hexdigest()[:20]

"""Enhanced mail system status codes: the IANA registry, complete, and what each usually means.

RFC 3463 gives the system, RFC 5248 the registry; a row names the registration it came by.  A
status is `class.subject.detail`; the class (2 success, 4 passing, 5 lasting) is not part of a row.

The category is what a status alone is worth where no rule knows the words beside it.  Codes lie:
many systems say 5.1.1 or 5.7.1 for everything, so the confidence is low, and only the addresses
that the registry itself calls non-existent may suppress.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from analysis.verdict import Category


@dataclass(frozen=True, slots=True)
class Status:
    """One registered `subject.detail`."""

    summary: str  # the registry's own name of it
    category: Category
    reference: str
    confidence: float = 0.6
    suppress: bool = False  # whether a lasting one is reason enough to stop


SUBJECTS: Mapping[int, tuple[str, Category]] = MappingProxyType(
    {
        0: ("Other or undefined status", Category.UNKNOWN),
        1: ("Addressing status", Category.UNKNOWN),
        2: ("Mailbox status", Category.UNKNOWN),
        3: ("Mail system status", Category.SYSTEM),
        4: ("Network and routing status", Category.NETWORK),
        5: ("Mail delivery protocol status", Category.PROTOCOL),
        6: ("Message content or media status", Category.SPAM_CONTENT),
        7: ("Security or policy status", Category.POLICY),
    }
)
"""What the middle number says where the detail is not registered.  RFC 3463 section 3.1."""

_R3463, _R6710, _R7505, _R7372 = "RFC 3463", "RFC 6710", "RFC 7505", "RFC 7372"
_R4954, _R5248, _R6531, _R3886 = "RFC 4954", "RFC 5248", "RFC 6531", "RFC 3886"
_R7293, _R4468 = "RFC 7293", "RFC 4468"

REGISTRY: Mapping[str, Status] = MappingProxyType(
    {
        "0.0": Status("Other undefined status", Category.UNKNOWN, _R3463),
        "1.0": Status("Other address status", Category.UNKNOWN, _R3463),
        "1.1": Status(
            "Bad destination mailbox address", Category.BAD_MAILBOX, _R3463, 0.75, suppress=True
        ),
        "1.2": Status(
            "Bad destination system address", Category.BAD_DOMAIN, _R3463, 0.7, suppress=True
        ),
        "1.3": Status("Bad destination mailbox address syntax", Category.BAD_MAILBOX, _R3463),
        "1.4": Status("Destination mailbox address ambiguous", Category.BAD_MAILBOX, _R3463, 0.4),
        "1.5": Status("Destination address valid", Category.UNKNOWN, _R3463),
        "1.6": Status(
            "Destination mailbox has moved, no forwarding address",
            Category.BAD_MAILBOX,
            _R3463,
            0.75,
            suppress=True,
        ),
        "1.7": Status("Bad sender's mailbox address syntax", Category.SENDER_REJECTED, _R3463),
        "1.8": Status("Bad sender's system address", Category.SENDER_REJECTED, _R3463),
        "1.9": Status("Message relayed to non-compliant mailer", Category.UNKNOWN, _R3886),
        "1.10": Status("Recipient address has null MX", Category.BAD_DOMAIN, _R7505, 0.5),
        "2.0": Status("Other or undefined mailbox status", Category.UNKNOWN, _R3463),
        "2.1": Status(
            "Mailbox disabled, not accepting messages",
            Category.MAILBOX_DISABLED,
            _R3463,
            0.6,
            suppress=True,
        ),
        "2.2": Status("Mailbox full", Category.MAILBOX_FULL, _R3463, 0.75),
        "2.3": Status("Message length exceeds administrative limit", Category.TOO_BIG, _R3463),
        "2.4": Status("Mailing list expansion problem", Category.SYSTEM, _R3463),
        "3.0": Status("Other or undefined mail system status", Category.SYSTEM, _R3463, 0.5),
        "3.1": Status("Mail system full", Category.SYSTEM, _R3463),
        "3.2": Status("System not accepting network messages", Category.SYSTEM, _R3463),
        "3.3": Status("System not capable of selected features", Category.PROTOCOL, _R3463),
        "3.4": Status("Message too big for system", Category.TOO_BIG, _R3463, 0.75),
        "3.5": Status("System incorrectly configured", Category.SYSTEM, _R3463),
        "3.6": Status("Requested priority was changed", Category.UNKNOWN, _R6710),
        "4.0": Status("Other or undefined network or routing status", Category.NETWORK, _R3463),
        "4.1": Status("No answer from host", Category.NETWORK, _R3463),
        "4.2": Status("Bad connection", Category.NETWORK, _R3463),
        "4.3": Status("Directory server failure", Category.NETWORK, _R3463),
        "4.4": Status("Unable to route", Category.NETWORK, _R3463, 0.5),
        "4.5": Status("Mail system congestion", Category.SYSTEM, _R3463),
        "4.6": Status("Routing loop detected", Category.NETWORK, _R3463),
        "4.7": Status("Delivery time expired", Category.EXPIRED, _R3463, 0.75),
        "5.0": Status("Other or undefined protocol status", Category.UNKNOWN, _R3463),
        "5.1": Status("Invalid command", Category.PROTOCOL, _R3463),
        "5.2": Status("Syntax error", Category.PROTOCOL, _R3463),
        "5.3": Status("Too many recipients", Category.RATE_LIMIT, _R3463),
        "5.4": Status("Invalid command arguments", Category.PROTOCOL, _R3463),
        "5.5": Status("Wrong protocol version", Category.PROTOCOL, _R3463),
        "5.6": Status("Authentication exchange line is too long", Category.PROTOCOL, _R4954),
        "6.0": Status("Other or undefined media error", Category.SPAM_CONTENT, _R3463, 0.4),
        "6.1": Status("Media not supported", Category.SPAM_CONTENT, _R3463),
        "6.2": Status("Conversion required and prohibited", Category.PROTOCOL, _R3463),
        "6.3": Status("Conversion required but not supported", Category.PROTOCOL, _R3463),
        "6.4": Status("Conversion with loss performed", Category.PROTOCOL, _R3463),
        "6.5": Status("Conversion failed", Category.PROTOCOL, _R3463),
        "6.6": Status("Message content not available", Category.SYSTEM, _R4468),
        "6.7": Status(
            "Non-ASCII addresses not permitted for that sender/recipient", Category.PROTOCOL, _R6531
        ),
        "6.8": Status(
            "UTF-8 string reply is required, but not permitted", Category.PROTOCOL, _R6531
        ),
        "6.9": Status("UTF-8 header message cannot be transferred", Category.PROTOCOL, _R6531),
        "6.10": Status(
            "UTF-8 string reply is required, but not permitted (duplicate of 6.8, deprecated)",
            Category.PROTOCOL,
            _R6531,
        ),
        "7.0": Status("Other or undefined security status", Category.POLICY, _R3463, 0.4),
        "7.1": Status("Delivery not authorized, message refused", Category.POLICY, _R3463, 0.4),
        "7.2": Status("Mailing list expansion prohibited", Category.POLICY, _R3463),
        "7.3": Status("Security conversion required but not possible", Category.POLICY, _R3463),
        "7.4": Status("Security features not supported", Category.TLS_REQUIRED, _R3463, 0.4),
        "7.5": Status("Cryptographic failure", Category.TLS_REQUIRED, _R3463, 0.4),
        "7.6": Status("Cryptographic algorithm not supported", Category.TLS_REQUIRED, _R3463, 0.4),
        "7.7": Status("Message integrity failure", Category.POLICY, _R3463),
        "7.8": Status("Authentication credentials invalid", Category.AUTHENTICATION, _R4954),
        "7.9": Status("Authentication mechanism is too weak", Category.AUTHENTICATION, _R4954, 0.5),
        "7.10": Status("Encryption needed", Category.TLS_REQUIRED, _R5248),
        "7.11": Status(
            "Encryption required for requested authentication mechanism",
            Category.TLS_REQUIRED,
            _R4954,
        ),
        "7.12": Status("A password transition is needed", Category.AUTHENTICATION, _R4954),
        # said after AUTH, of the account that logs in: ours, and no recipient's (RFC 5248)
        "7.13": Status("User account disabled", Category.AUTHENTICATION, _R5248),
        "7.14": Status("Trust relationship required", Category.POLICY, _R5248),
        "7.15": Status("Priority level is too low", Category.RATE_LIMIT, _R6710),
        "7.16": Status("Message is too big for the specified priority", Category.TOO_BIG, _R6710),
        "7.17": Status(
            "Mailbox owner has changed", Category.BAD_MAILBOX, _R7293, 0.75, suppress=True
        ),
        "7.18": Status(
            "Domain owner has changed", Category.BAD_DOMAIN, _R7293, 0.75, suppress=True
        ),
        "7.19": Status("RRVS test cannot be completed", Category.POLICY, _R7293),
        "7.20": Status("No passing DKIM signature found", Category.AUTHENTICATION, _R7372, 0.75),
        "7.21": Status("No acceptable DKIM signature found", Category.AUTHENTICATION, _R7372, 0.75),
        "7.22": Status(
            "No valid author-matched DKIM signature found", Category.AUTHENTICATION, _R7372, 0.75
        ),
        "7.23": Status("SPF validation failed", Category.AUTHENTICATION, _R7372, 0.75),
        "7.24": Status("SPF validation error", Category.AUTHENTICATION, _R7372, 0.75),
        "7.25": Status("Reverse DNS validation failed", Category.REPUTATION, _R7372, 0.75),
        "7.26": Status(
            "Multiple authentication checks failed", Category.AUTHENTICATION, _R7372, 0.75
        ),
        "7.27": Status("Sender address has null MX", Category.SENDER_REJECTED, _R7505, 0.75),
        "7.28": Status("Mail flood detected", Category.RATE_LIMIT, "IANA registry", 0.6),
        "7.29": Status("ARC validation failure", Category.AUTHENTICATION, "RFC 8617"),
        "7.30": Status("REQUIRETLS support required", Category.TLS_REQUIRED, "RFC 8689"),
    }
)
"""`subject.detail` -> what the registry says and what it is worth."""


@functools.lru_cache(maxsize=1024)
def meaning(status: str) -> Status | None:
    """The registered row of `class.subject.detail`, or what its subject says, or None."""
    _, _, rest = status.partition(".")
    if (row := REGISTRY.get(rest)) is not None:
        return row
    subject = rest.partition(".")[0]
    if not (subject.isascii() and subject.isdigit()) or int(subject) not in SUBJECTS:
        return None
    summary, category = SUBJECTS[int(subject)]
    return Status(summary, category, _R3463, 0.3)

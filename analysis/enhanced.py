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

from analysis.verdict import Category as C


@dataclass(frozen=True, slots=True)
class Status:
    """One registered `subject.detail`."""

    summary: str  # the registry's own name of it
    category: C
    reference: str
    confidence: float = 0.6
    suppress: bool = False  # whether a lasting one is reason enough to stop


SUBJECTS: Mapping[int, tuple[str, C]] = MappingProxyType(
    {
        0: ("Other or undefined status", C.UNKNOWN),
        1: ("Addressing status", C.UNKNOWN),
        2: ("Mailbox status", C.UNKNOWN),
        3: ("Mail system status", C.SYSTEM),
        4: ("Network and routing status", C.NETWORK),
        5: ("Mail delivery protocol status", C.PROTOCOL),
        6: ("Message content or media status", C.POLICY),
        7: ("Security or policy status", C.POLICY),
    }
)
"""What the middle number says where the detail is not registered.  RFC 3463 section 3.1."""

_R3463, _R6710, _R7505, _R7372 = "RFC 3463", "RFC 6710", "RFC 7505", "RFC 7372"
_R4954, _R5248, _R6531, _R3886 = "RFC 4954", "RFC 5248", "RFC 6531", "RFC 3886"
_R7293, _R4468, _R8616, _R4865 = "RFC 7293", "RFC 4468", "RFC 8616", "RFC 4865"

REGISTRY: Mapping[str, Status] = MappingProxyType(
    {
        "0.0": Status("Other undefined status", C.UNKNOWN, _R3463),
        "1.0": Status("Other address status", C.UNKNOWN, _R3463),
        "1.1": Status("Bad destination mailbox address", C.BAD_MAILBOX, _R3463, 0.75, suppress=True),
        "1.2": Status("Bad destination system address", C.BAD_DOMAIN, _R3463, 0.7, suppress=True),
        "1.3": Status("Bad destination mailbox address syntax", C.BAD_MAILBOX, _R3463),
        "1.4": Status("Destination mailbox address ambiguous", C.BAD_MAILBOX, _R3463, 0.4),
        "1.5": Status("Destination address valid", C.UNKNOWN, _R3463),
        "1.6": Status(
            "Destination mailbox has moved, no forwarding address",
            C.BAD_MAILBOX, _R3463, 0.75, suppress=True,
        ),
        "1.7": Status("Bad sender's mailbox address syntax", C.SENDER_REJECTED, _R3463),
        "1.8": Status("Bad sender's system address", C.SENDER_REJECTED, _R3463),
        "1.9": Status("Message relayed to non-compliant mailer", C.UNKNOWN, _R3886),
        "1.10": Status("Recipient address has null MX", C.BAD_DOMAIN, _R7505, 0.5),
        "2.0": Status("Other or undefined mailbox status", C.UNKNOWN, _R3463),
        "2.1": Status(
            "Mailbox disabled, not accepting messages",
            C.MAILBOX_DISABLED, _R3463, 0.6, suppress=True,
        ),
        "2.2": Status("Mailbox full", C.MAILBOX_FULL, _R3463, 0.75),
        "2.3": Status("Message length exceeds administrative limit", C.TOO_BIG, _R3463),
        "2.4": Status("Mailing list expansion problem", C.SYSTEM, _R3463),
        "3.0": Status("Other or undefined mail system status", C.SYSTEM, _R3463, 0.5),
        "3.1": Status("Mail system full", C.SYSTEM, _R3463),
        "3.2": Status("System not accepting network messages", C.SYSTEM, _R3463),
        "3.3": Status("System not capable of selected features", C.PROTOCOL, _R3463),
        "3.4": Status("Message too big for system", C.TOO_BIG, _R3463, 0.75),
        "3.5": Status("System incorrectly configured", C.SYSTEM, _R3463),
        "3.6": Status("Requested priority was changed", C.UNKNOWN, _R6710),
        "4.0": Status("Other or undefined network or routing status", C.NETWORK, _R3463),
        "4.1": Status("No answer from host", C.NETWORK, _R3463),
        "4.2": Status("Bad connection", C.NETWORK, _R3463),
        "4.3": Status("Directory server failure", C.NETWORK, _R3463),
        "4.4": Status("Unable to route", C.NETWORK, _R3463, 0.5),
        "4.5": Status("Mail system congestion", C.SYSTEM, _R3463),
        "4.6": Status("Routing loop detected", C.SYSTEM, _R3463),
        "4.7": Status("Delivery time expired", C.EXPIRED, _R3463, 0.75),
        "5.0": Status("Other or undefined protocol status", C.UNKNOWN, _R3463),
        "5.1": Status("Invalid command", C.PROTOCOL, _R3463),
        "5.2": Status("Syntax error", C.PROTOCOL, _R3463),
        "5.3": Status("Too many recipients", C.RATE_LIMIT, _R3463),
        "5.4": Status("Invalid command arguments", C.PROTOCOL, _R3463),
        "5.5": Status("Wrong protocol version", C.PROTOCOL, _R3463),
        "5.6": Status("Authentication exchange line is too long", C.PROTOCOL, _R4954),
        "6.0": Status("Other or undefined media error", C.POLICY, _R3463, 0.4),
        "6.1": Status("Media not supported", C.POLICY, _R3463),
        "6.2": Status("Conversion required and prohibited", C.PROTOCOL, _R3463),
        "6.3": Status("Conversion required but not supported", C.PROTOCOL, _R3463),
        "6.4": Status("Conversion with loss performed", C.PROTOCOL, _R3463),
        "6.5": Status("Conversion failed", C.PROTOCOL, _R3463),
        "6.6": Status("Message content not available", C.SYSTEM, _R4468),
        "6.7": Status("Non-ASCII addresses not permitted for that sender/recipient", C.PROTOCOL, _R6531),
        "6.8": Status("UTF-8 string reply is required, but not permitted", C.PROTOCOL, _R6531),
        "6.9": Status("UTF-8 header message cannot be transferred", C.PROTOCOL, _R6531),
        "6.10": Status("UTF-8 header message cannot be transferred (duplicate of 6.9)", C.PROTOCOL, _R6531),
        "7.0": Status("Other or undefined security status", C.POLICY, _R3463, 0.4),
        "7.1": Status("Delivery not authorized, message refused", C.POLICY, _R3463, 0.4),
        "7.2": Status("Mailing list expansion prohibited", C.POLICY, _R3463),
        "7.3": Status("Security conversion required but not possible", C.POLICY, _R3463),
        "7.4": Status("Security features not supported", C.TLS_REQUIRED, _R3463, 0.4),
        "7.5": Status("Cryptographic failure", C.TLS_REQUIRED, _R3463, 0.4),
        "7.6": Status("Cryptographic algorithm not supported", C.TLS_REQUIRED, _R3463, 0.4),
        "7.7": Status("Message integrity failure", C.POLICY, _R3463),
        "7.8": Status("Authentication credentials invalid", C.AUTHENTICATION, _R4954),
        "7.9": Status("Authentication mechanism is too weak", C.AUTHENTICATION, _R4954, 0.5),
        "7.10": Status("Encryption needed", C.TLS_REQUIRED, _R5248),
        "7.11": Status("Encryption required for requested authentication mechanism", C.TLS_REQUIRED, _R4954),
        "7.12": Status("A password transition is needed", C.AUTHENTICATION, _R4954),
        "7.13": Status("User account disabled", C.MAILBOX_DISABLED, _R5248),
        "7.14": Status("Trust relationship required", C.POLICY, _R5248),
        "7.15": Status("Priority level is too low", C.RATE_LIMIT, _R6710),
        "7.16": Status("Message is too big for the specified priority", C.TOO_BIG, _R6710),
        "7.17": Status("Mailbox owner has changed", C.BAD_MAILBOX, _R7293, 0.75, suppress=True),
        "7.18": Status("Domain owner has changed", C.BAD_DOMAIN, _R7293, 0.75, suppress=True),
        "7.19": Status("RRVS test cannot be completed", C.POLICY, _R7293),
        "7.20": Status("No passing DKIM signature found", C.AUTHENTICATION, _R7372, 0.75),
        "7.21": Status("No acceptable DKIM signature found", C.AUTHENTICATION, _R7372, 0.75),
        "7.22": Status("No valid author-matched DKIM signature found", C.AUTHENTICATION, _R7372, 0.75),
        "7.23": Status("SPF validation failed", C.AUTHENTICATION, _R7372, 0.75),
        "7.24": Status("SPF validation error", C.AUTHENTICATION, _R7372, 0.75),
        "7.25": Status("Reverse DNS validation failed", C.REPUTATION, _R7372, 0.75),
        "7.26": Status("Multiple authentication checks failed", C.AUTHENTICATION, _R7372, 0.75),
        "7.27": Status("Sender address has null MX", C.SENDER_REJECTED, _R7505, 0.75),
        "7.28": Status("Mail flood detected", C.RATE_LIMIT, "draft-santos-smtpgrey", 0.6),
        "7.29": Status("ARC validation failure", C.AUTHENTICATION, "RFC 8617"),
        "7.30": Status("REQUIRETLS support required", C.TLS_REQUIRED, "RFC 8689"),
    }
)  # fmt: skip
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

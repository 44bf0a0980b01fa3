"""A `Verdict`: what a reply means, in the closed words of the contract.

`category` says what happened, `fault` whose it is, `severity` whether it lasts, `suppress` whether
one such answer alone is enough to stop writing to the address.  Only a fault of the recipient or
of its domain may ever suppress; a `Verdict` that breaks this cannot be made.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Category(StrEnum):
    BAD_MAILBOX = "bad_mailbox"
    MAILBOX_DISABLED = "mailbox_disabled"
    MAILBOX_FULL = "mailbox_full"
    BAD_DOMAIN = "bad_domain"
    NETWORK = "network"
    EXPIRED = "expired"
    TOO_BIG = "too_big"
    SPAM_CONTENT = "spam_content"
    VIRUS = "virus"
    REPUTATION = "reputation"
    RATE_LIMIT = "rate_limit"
    GREYLISTED = "greylisted"
    POLICY = "policy"
    AUTHENTICATION = "authentication"
    SENDER_REJECTED = "sender_rejected"
    RELAY_DENIED = "relay_denied"
    TLS_REQUIRED = "tls_required"
    PROTOCOL = "protocol"
    SYSTEM = "system"
    UNKNOWN = "unknown"


class Fault(StrEnum):
    RECIPIENT = "recipient"  # the mailbox
    DOMAIN = "domain"  # the recipient's domain
    SENDER = "sender"  # us: reputation, content, authentication, rate
    RECEIVER = "receiver"  # their system
    NETWORK = "network"
    MESSAGE = "message"
    UNKNOWN = "unknown"


class Severity(StrEnum):
    HARD = "hard"  # lasting
    SOFT = "soft"  # may pass
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Verdict:
    category: Category
    fault: Fault
    severity: Severity
    suppress: bool
    rule: str  # `file/name` of the rule that decided
    evidence: str  # the words it decided on
    confidence: float  # 0..1

    def __post_init__(self) -> None:
        if self.suppress and (
            self.fault not in (Fault.RECIPIENT, Fault.DOMAIN) or self.severity is not Severity.HARD
        ):
            raise ValueError(f"rule {self.rule}: only a lasting fault of the recipient suppresses")


UNKNOWN = Verdict(Category.UNKNOWN, Fault.UNKNOWN, Severity.SOFT, False, "none", "", 0.0)
"""Unknown is temporary: never bounces, never suppresses."""

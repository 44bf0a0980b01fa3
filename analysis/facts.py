"""Facts read from inbound mail: what a report says, before anybody decides what follows.

A `Reading` is the pure result of parsing one inbound message.  Addresses in it are evidence only;
the VERP token of the envelope says whose report it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from analysis.aggregate import Aggregate
from analysis.verdict import UNKNOWN, Verdict


class Kind(StrEnum):
    BOUNCE = "bounce"
    DELAYED = "delayed"
    DELIVERED = "delivered"  # a success notice: delivered, relayed or expanded
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    AUTOREPLY = "autoreply"
    CHALLENGE = "challenge"
    MDN = "mdn"
    DMARC_AGGREGATE = "dmarc-aggregate"
    TLS_RPT = "tls-rpt"
    NORMAL = "normal"


@dataclass(frozen=True, slots=True)
class ReportedRecipient:
    """One recipient of a report.  RFC 3464 section 2.3."""

    address: str  # the failing address as the report names it
    action: str = "failed"  # failed | delayed | delivered | relayed | expanded
    status: str | None = None  # RFC 3463
    reply_code: str | None = None  # SMTP code inside the diagnostic
    diagnostic: str = ""  # the remote system's words, cleaned
    remote_mta: str = ""
    original: str | None = None  # RFC 3464 section 2.3.1, where it differs: a forwarded mailbox
    verdict: Verdict = UNKNOWN


@dataclass(frozen=True, slots=True)
class Signature:
    """A DKIM signature (RFC 6376) that fits the mail; whether its domain's key made it is open."""

    domain: str  # d=, lower-case A-labels
    selector: str  # s=
    algorithm: str  # rsa-sha256 | ed25519-sha256
    strict: bool  # i= names the very domain, not one below it
    expires: float | None  # x=, Unix seconds
    digest: bytes  # SHA-256 of the signed header
    value: bytes  # b=


@dataclass(frozen=True, slots=True)
class Signing:
    """Who a report says it is from, and what may prove it."""

    reporter: str = ""  # domain of From, or the submitter of a TLS report; '' where it is not clear
    signatures: tuple[Signature, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    kind: Kind
    recipients: tuple[ReportedRecipient, ...] = ()
    feedback_type: str | None = None  # RFC 5965 section 3.1: abuse, fraud, not-spam, opt-out, ...
    token: str | None = None  # a VERP local part found in the returned mail or its headers
    message_id: str | None = None  # of the returned mail
    reporting_mta: str = ""
    error: str | None = None  # what could not be read, for people
    extra: dict[str, str] = field(default_factory=dict)  # ARF: source_ip, arrival_date, ...
    aggregate: Aggregate | None = None  # of a DMARC or TLS report, where it could be read
    signing: Signing = Signing()  # of the same
    signed_by: str = ""  # the reporter's organisational domain, where a signature of it holds


@dataclass(frozen=True, slots=True)
class Arrival:
    """A stored raw report and what was read in it."""

    raw_id: str
    received_at: float
    purpose: str
    delivery_id: str | None  # vouched for by the envelope's token, or by a token in the mail
    reading: Reading

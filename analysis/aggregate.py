"""Facts of aggregate reports: what a receiver saw of our mail in a day, as it says.

DMARC (RFC 7489 appendix C, RFC 9990) counts messages by source; TLS-RPT (RFC 8460 section 4) counts
sessions by policy.  Plain values, cut to what the tables hold; nothing in them is proven, since
anybody may send a report.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What aligned with the From domain, by the receiver: RFC 7489 section 3.1."""

    ALIGNED = "aligned"  # both
    DKIM_ONLY = "dkim_only"
    SPF_ONLY = "spf_only"
    FAILED = "failed"

    @classmethod
    def of(cls, *, dkim: bool, spf: bool) -> Outcome:
        if dkim:
            return cls.ALIGNED if spf else cls.DKIM_ONLY
        return cls.SPF_ONLY if spf else cls.FAILED


@dataclass(frozen=True, slots=True)
class Origin:
    """Who reports on which span of time.  `begin` and `end` are Unix seconds."""

    organisation: str
    contact: str
    report_id: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class AuthResult:
    """One check that the receiver made, aligned or not."""

    method: str  # dkim | spf
    domain: str
    result: str  # pass | fail | none | ...
    selector: str = ""  # of dkim; many reporters leave it out


@dataclass(frozen=True, slots=True)
class DmarcRow:
    """Messages that were alike."""

    source: str  # IP address in its shortest form
    messages: int
    disposition: str  # none | pass | quarantine | reject
    dkim: bool  # passed and aligned
    spf: bool
    header_from: str
    envelope_from: str = ""
    checks: tuple[AuthResult, ...] = ()
    reasons: tuple[str, ...] = ()  # why the policy was overridden: forwarded, mailing_list, ...

    @property
    def outcome(self) -> Outcome:
        return Outcome.of(dkim=self.dkim, spf=self.spf)


@dataclass(frozen=True, slots=True)
class DmarcAggregate:
    origin: Origin
    domain: str  # whose policy it was
    policy: str  # p=
    rows: tuple[DmarcRow, ...]


SUCCESS = "success"
OTHER = "other"
TLS_RESULTS = (
    SUCCESS,
    "starttls-not-supported",
    "certificate-host-mismatch",
    "certificate-expired",
    "certificate-not-trusted",
    "validation-failure",
    "tlsa-invalid",
    "dnssec-invalid",
    "dane-required",
    "sts-policy-fetch-error",
    "sts-policy-invalid",
    "sts-webpki-invalid",
    OTHER,
)
"""The `result-type` of RFC 8460 section 4.3, closed; and what went well."""


@dataclass(frozen=True, slots=True)
class TlsRow:
    """Sessions that were alike."""

    domain: str  # the policy's
    policy: str  # sts | tlsa | no-policy-found
    result: str  # one of TLS_RESULTS
    sessions: int
    mx: str = ""  # the receiving host, of ours
    sender: str = ""  # IP address of the sending host
    reason: str = ""  # failure-reason-code, for people


@dataclass(frozen=True, slots=True)
class TlsAggregate:
    origin: Origin
    rows: tuple[TlsRow, ...]


Aggregate = DmarcAggregate | TlsAggregate

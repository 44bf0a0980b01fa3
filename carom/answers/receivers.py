"""Answers about how mail fares: rates, incidents, reputation, reports, placement, the doctor."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from carom.answers.shapes import Cursor, Json, Ratio, Shape, Share, StateName, Texts, Time


class TimeToAccept(Shape):
    """Seconds from our promise to the next host's."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None


class Ratios(Shape):
    delivered: Share
    bounced: Share
    expired: Share
    complained: Share


class Rates(Shape):
    deliveries: int
    states: dict[StateName, int]
    ratios: Ratios
    delivered_ratio: Ratio
    bounced_ratio: Ratio
    complained_ratio: Ratio
    time_to_accept: TimeToAccept


class Cohort(Rates):
    stream: str
    provider: str


class Cause(Shape):
    stream: str
    provider: str
    category: str
    fault: str
    count: int


class Engaged(Shape):
    """Deliveries opened or clicked; the ratio is of people alone."""

    stream: str
    kind: Literal["open", "click"]
    human: int
    machine: int
    unknown: int
    ratio: Share


class Slot(Rates):
    at: Time
    time: float


class Stats(Shape):
    since: Time
    until: Time
    totals: Rates
    cohorts: list[Cohort]
    causes: list[Cause]
    engagement: list[Engaged]
    series: list[Slot] = Field(default_factory=list)


class Incident(Shape):
    id: str
    kind: str
    provider: str
    subject: str | None
    fault: str
    state: Literal["open", "closed"]
    opened_at: Time
    since: Time
    closed_at: Time | None
    closed_why: str | None
    reopened: int
    title: Texts
    advice: Texts
    evidence: Json
    held_suppressions: int


class Incidents(Shape):
    incidents: list[Incident]
    cursor: Cursor


class Decided(Shape):
    incident: str
    held: int
    suppressed: int


class Measured(Shape):
    provider: str
    measure: str
    numerator: int
    denominator: int
    ratio: Ratio
    warn: float
    limit: float
    state: str
    source: str
    note: str
    since: Time
    at: Time


class Listing(Shape):
    list: str
    subject: str
    kind: str
    state: str
    said: str | None
    since: Time
    checked_at: Time


class Reputation(Shape):
    ratios: list[Measured]
    blocklists: list[Listing]


class Examined(Shape):
    check: str
    state: Literal["ok", "warning", "unknown", "failure"]
    since: Time
    checked_at: Time
    findings: list[Json]


class Examination(Shape):
    checks: list[Examined]


class Alignment(Shape):
    messages: int
    aligned: int
    dkim_only: int
    spf_only: int
    failed: int
    passed: int
    passed_ratio: Ratio


class MailSource(Alignment):
    source: str
    ours: bool
    proof: str | None
    first_seen: Time
    last_seen: Time


class UnknownSender(MailSource):
    header_from: list[str]
    reported_by: list[str]
    signed_by: list[str]  # who of them signed; empty: nobody vouches for it
    dispositions: list[str]


class Spanned(Shape):
    since: Time
    until: Time
    domain: str | None
    cursor: Cursor


class Dmarc(Spanned):
    reports: int
    unsigned_reports: int  # of these
    left_out_reports: int  # beside these
    all: Alignment
    ours: Alignment
    unknown: Alignment
    unknown_senders: list[UnknownSender]
    sources: list[MailSource]


class Sessions(Shape):
    sessions: int
    successful: int
    successful_ratio: Ratio
    results: dict[str, int]


class TlsPolicy(Sessions):
    policy: str


class TlsFailure(Shape):
    domain: str
    policy: str
    result: str
    mx: str | None
    sessions: int
    last_seen: Time
    reason: str | None


class TlsReport(Shape):
    id: str
    organisation: str
    contact: str | None
    report_id: str
    domain: str
    begin: Time
    end: Time
    received: Time
    total: int
    signed_by: str | None
    counted: bool


class TlsReports(Sessions, Spanned):
    policies: list[TlsPolicy]
    failures: list[TlsFailure]
    reports: list[TlsReport]


class Tally(Shape):
    """Probes and where they were found; `low` and `high` hold the true share (95 %)."""

    samples: int
    inbox: int
    junk: int
    other: int
    missing: int
    undelivered: int
    waiting: int
    ratio: Ratio
    low: float | None
    high: float | None


class AtProvider(Tally):
    provider: str


class OfStream(AtProvider):
    stream: str


class Authentication(Shape):
    spf: str | None
    dkim: str | None
    dmarc: str | None


class PlacementProbe(Shape):
    id: str
    message_id: str | None
    seed: str
    provider: str
    stream: str
    sent_at: Time
    placement: str | None
    folder: str | None
    arrived_at: Time | None
    seconds: float | None
    settled_at: Time | None
    authentication: Authentication


class InboxEstimate(Shape):
    known: bool
    says: str
    low: float | None
    high: float | None
    samples: int
    covered: float | None
    rests_on: list[str]
    cautions: list[str]


class Placement(Shape):
    since: Time
    until: Time
    total: Tally
    providers: list[AtProvider]
    streams: list[OfStream]
    recent: list[PlacementProbe]
    estimate: InboxEstimate

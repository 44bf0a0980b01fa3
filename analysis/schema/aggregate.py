"""What receivers report of a day: DMARC by source, TLS by policy; what we reported to others."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    true,
)

from analysis.schema.columns import Json, Ulid, metadata

aggregate_reports = Table(
    "aggregate_reports",
    metadata,
    Column("id", Ulid, primary_key=True),
    Column("raw_id", Ulid, nullable=False),  # a row that retention may have taken
    Column("kind", String(16), nullable=False),  # dmarc-aggregate | tls-rpt
    Column("identity", LargeBinary(32), nullable=False),  # organisation, report id, domains
    Column("received_at", Double, nullable=False),
    Column("organisation", String(255), nullable=False),
    Column("contact", String(255), nullable=False),
    Column("report_id", String(255), nullable=False),
    Column("domain", String(255), nullable=False),  # whose policy; the first of a TLS report
    Column("policy", String(16), nullable=False),  # p= of DMARC
    Column("begin_at", Double, nullable=False),
    Column("end_at", Double, nullable=False),
    Column("total", BigInteger, nullable=False),  # messages or sessions that it tells of
    Column("reporter", String(255)),  # organisational domain of the mail's author
    Column("signed_by", String(255)),  # the same, where a signature proves it; empty: none does
    Column("counted", Boolean, nullable=False, server_default=true()),  # else it has no rows
    Index("uq_aggregate_reports_identity", "identity", unique=True),
    Index("ix_aggregate_reports_kind_end", "kind", "end_at"),
    Index("ix_aggregate_reports_received", "received_at"),
)

dmarc_rows = Table(
    "dmarc_rows",
    metadata,
    Column("report_id", Ulid, primary_key=True),
    Column("number", Integer, primary_key=True),  # in the report
    Column("day_at", Double, nullable=False),  # end of what the report covers
    Column("source", String(45), nullable=False),  # IP address
    Column("messages", BigInteger, nullable=False),
    Column("disposition", String(16), nullable=False),  # none | pass | quarantine | reject
    Column("dkim", Boolean, nullable=False),  # passed and aligned
    Column("spf", Boolean, nullable=False),
    Column("outcome", String(12), nullable=False),  # aligned | dkim_only | spf_only | failed
    Column("proof", String(8), nullable=False),  # settings | spf | dkim | before; empty: not ours
    Column("header_from", String(255), nullable=False),
    Column("envelope_from", String(255), nullable=False),
    Column("checks", Json, nullable=False),  # [[method, domain, selector, result], ...]
    Column("reasons", Json, nullable=False),
    Index("ix_dmarc_rows_day", "day_at", "source"),
)

dmarc_sources = Table(
    "dmarc_sources",
    metadata,
    Column("source", String(45), primary_key=True),  # IP address
    Column("ours", Boolean, nullable=False),  # it has sent mail under our own return path
    Column("first_at", Double, nullable=False),
    Column("last_at", Double, nullable=False),  # end of the newest report that names it
    Column("unknown_at", Double),  # end of the newest report in which it was not ours
    Column("announced_day", Integer),  # when it was last told of as unknown
    Index("ix_dmarc_sources_last", "last_at"),
    Index("ix_dmarc_sources_unknown", "unknown_at"),
)

tls_rows = Table(
    "tls_rows",
    metadata,
    Column("report_id", Ulid, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("day_at", Double, nullable=False),
    Column("domain", String(255), nullable=False),
    Column("policy", String(16), nullable=False),  # sts | tlsa | no-policy-found
    Column("result", String(32), nullable=False),  # success, or RFC 8460 section 4.3
    Column("sessions", BigInteger, nullable=False),
    Column("mx", String(255), nullable=False),
    Column("sender", String(45), nullable=False),
    Column("reason", Text, nullable=False),
    Index("ix_tls_rows_day", "day_at"),
)

tls_reports_sent = Table(
    "tls_reports_sent",
    metadata,
    Column("day", Integer, primary_key=True),  # days since 1970-01-01 UTC
    Column("domain", String(255), primary_key=True),
    Column("how", String(8), nullable=False),  # mail | https | none (nobody asks for it) | failed
    Column("at", Double, nullable=False),
    Column("message_id", Ulid),  # of the mail
    Column("detail", Text, nullable=False),
)

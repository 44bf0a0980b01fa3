"""TLS to receivers: their cached policies, and what became of it by day (RFC 8460)."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, Integer, String, Table

from analysis.schema.columns import Json, metadata

tls_policies = Table(
    "tls_policies",
    metadata,
    Column("domain", String(255), primary_key=True),
    Column("record", String(32), nullable=False),  # the id in the DNS it was fetched under
    Column("mode", String(8), nullable=False),  # enforce | testing | none
    Column("mx", Json, nullable=False),  # patterns
    Column("max_age", Integer, nullable=False),  # seconds that it binds from the fetch on
    Column("fetched_at", Double, nullable=False),
    Index("ix_tls_policies_fetched", "fetched_at"),
)

tls_results = Table(
    "tls_results",
    metadata,
    Column("day", Integer, primary_key=True),  # days since 1970-01-01 UTC
    Column("domain", String(255), primary_key=True),  # of the recipients
    Column("kind", String(16), primary_key=True),  # sts | tlsa | no-policy-found
    Column("mx", String(255), primary_key=True),  # empty: it never came to a host
    Column("result", String(32), primary_key=True),  # ok, or as in RFC 8460 section 4.3
    Column("sessions", Integer, nullable=False),
)

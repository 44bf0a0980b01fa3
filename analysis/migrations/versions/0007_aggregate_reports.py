"""Aggregate reports: DMARC by source, TLS by policy, and what we reported of TLS"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "aggregate_reports",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("raw_id", sa.String(length=26), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("identity", sa.LargeBinary(length=32), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.Column("organisation", sa.String(length=255), nullable=False),
        sa.Column("contact", sa.String(length=255), nullable=False),
        sa.Column("report_id", sa.String(length=255), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("policy", sa.String(length=16), nullable=False),
        sa.Column("begin_at", sa.Double(), nullable=False),
        sa.Column("end_at", sa.Double(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aggregate_reports")),
    )
    op.create_index("uq_aggregate_reports_identity", "aggregate_reports", ["identity"], unique=True)
    op.create_index(
        "ix_aggregate_reports_kind_end", "aggregate_reports", ["kind", "end_at"], unique=False
    )
    op.create_index(
        "ix_aggregate_reports_received", "aggregate_reports", ["received_at"], unique=False
    )
    op.create_table(
        "dmarc_rows",
        sa.Column("report_id", sa.String(length=26), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("day_at", sa.Double(), nullable=False),
        sa.Column("source", sa.String(length=45), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("disposition", sa.String(length=16), nullable=False),
        sa.Column("dkim", sa.Boolean(), nullable=False),
        sa.Column("spf", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.String(length=12), nullable=False),
        sa.Column("proof", sa.String(length=8), nullable=False),
        sa.Column("header_from", sa.String(length=255), nullable=False),
        sa.Column("envelope_from", sa.String(length=255), nullable=False),
        sa.Column("checks", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.Column("reasons", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("report_id", "number", name=op.f("pk_dmarc_rows")),
    )
    op.create_index("ix_dmarc_rows_day", "dmarc_rows", ["day_at", "source"], unique=False)
    op.create_table(
        "dmarc_sources",
        sa.Column("source", sa.String(length=45), nullable=False),
        sa.Column("ours", sa.Boolean(), nullable=False),
        sa.Column("first_at", sa.Double(), nullable=False),
        sa.Column("last_at", sa.Double(), nullable=False),
        sa.Column("unknown_at", sa.Double(), nullable=True),
        sa.Column("announced_day", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_dmarc_sources")),
    )
    op.create_index("ix_dmarc_sources_last", "dmarc_sources", ["last_at"], unique=False)
    op.create_index("ix_dmarc_sources_unknown", "dmarc_sources", ["unknown_at"], unique=False)
    op.create_table(
        "tls_rows",
        sa.Column("report_id", sa.String(length=26), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("day_at", sa.Double(), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("policy", sa.String(length=16), nullable=False),
        sa.Column("result", sa.String(length=32), nullable=False),
        sa.Column("sessions", sa.BigInteger(), nullable=False),
        sa.Column("mx", sa.String(length=255), nullable=False),
        sa.Column("sender", sa.String(length=45), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("report_id", "number", name=op.f("pk_tls_rows")),
    )
    op.create_index("ix_tls_rows_day", "tls_rows", ["day_at"], unique=False)
    op.create_table(
        "tls_reports_sent",
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("how", sa.String(length=8), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("message_id", sa.String(length=26), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("day", "domain", name=op.f("pk_tls_reports_sent")),
    )

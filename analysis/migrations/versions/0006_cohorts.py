"""Cohorts, counters over restarts; messages found by their time"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "cohorts",
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("stream", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("category", sa.String(length=32), nullable=False),
        sa.Column("fault", sa.String(length=16), nullable=False),
        sa.Column("wait", sa.SmallInteger(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "hour",
            "stream",
            "provider",
            "outcome",
            "category",
            "fault",
            "wait",
            name=op.f("pk_cohorts"),
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "cohort_changes",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("marks", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_cohort_changes")),
    )
    op.create_table(
        "counters",
        sa.Column("node", sa.String(length=64), nullable=False),
        sa.Column("sample", sa.String(length=512), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("node", "sample", name=op.f("pk_counters")),
    )
    op.create_index("ix_messages_created_at", "messages", ["created_at"], unique=False)
    op.create_index(
        "ix_messages_send_at",
        "messages",
        ["send_at"],
        unique=False,
        sqlite_where=sa.text("send_at IS NOT NULL"),
        postgresql_where=sa.text("send_at IS NOT NULL"),
    )
    cut = "floor" if op.get_bind().dialect.name == "postgresql" else ""  # SQLite's CAST cuts
    op.execute(_COUNT_WHAT_IS_THERE.replace("cut", cut))


# The times to accept of what is there are not counted: they begin with this version.
_COUNT_WHAT_IS_THERE = """
INSERT INTO cohorts (hour, stream, provider, outcome, category, fault, wait, n)
SELECT hour, stream, provider, state, category, fault, 0, count(*)
FROM (
    SELECT CAST(cut(coalesce(m.send_at, d.created_at) / 3600) AS INTEGER) AS hour,
        d.stream, d.provider, d.state,
        CASE WHEN d.state IN ('bounced', 'expired') THEN coalesce(d.category, '') ELSE '' END
            AS category,
        CASE WHEN d.state IN ('bounced', 'expired') THEN coalesce(d.fault, '') ELSE '' END
            AS fault
    FROM deliveries d JOIN messages m ON m.id = d.message_id
    WHERE d.state NOT IN ('queued', 'sending')
) AS settled
GROUP BY hour, stream, provider, state, category, fault
"""

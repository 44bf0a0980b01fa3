"""Messages that go over verified TLS only; MTA-STS policies; what came of TLS, for reports"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column(
        "messages",
        sa.Column("require_tls", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.create_table(
        "tls_policies",
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("record", sa.String(length=32), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("mx", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.Column("max_age", sa.Integer(), nullable=False),
        sa.Column("fetched_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_tls_policies")),
    )
    op.create_index("ix_tls_policies_fetched", "tls_policies", ["fetched_at"], unique=False)
    op.create_table(
        "tls_results",
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("mx", sa.String(length=255), nullable=False),
        sa.Column("result", sa.String(length=32), nullable=False),
        sa.Column("sessions", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "day", "domain", "kind", "mx", "result", name=op.f("pk_tls_results")
        ),
    )

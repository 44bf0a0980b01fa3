"""Shared pacing: what each node that sends holds of what a provider bears"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    json = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
    op.create_table(
        "pacing_nodes",
        sa.Column("node", sa.String(length=64), nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=False),
        sa.Column("everything", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("shares", json, nullable=False),
        sa.Column("heard", json, nullable=False),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_pacing_nodes")),
    )

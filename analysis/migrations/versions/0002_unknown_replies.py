"""Replies that no rule took, by fingerprint"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:

    op.create_table(
        "unknown_replies",
        sa.Column("fingerprint", sa.String(length=200), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.Double(), nullable=False),
        sa.Column("last_at", sa.Double(), nullable=False),
        sa.Column("code", sa.SmallInteger(), nullable=True),
        sa.Column("enhanced", sa.String(length=12), nullable=True),
        sa.Column("example", sa.Text(), nullable=False),
        sa.Column("delivery_id", sa.String(length=26), nullable=True),
        sa.PrimaryKeyConstraint(
            "fingerprint", "provider", "stage", name=op.f("pk_unknown_replies")
        ),
    )
    op.create_index("ix_unknown_replies_seen", "unknown_replies", ["seen", "last_at"], unique=False)

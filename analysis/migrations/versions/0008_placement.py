"""Where seed mailboxes file our mail, and whether bounces come back"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("probe", sa.String(length=16), nullable=True))
    op.create_table(
        "placements",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("message_id", sa.String(length=26), nullable=False),
        sa.Column("delivery_id", sa.String(length=26), nullable=False),
        sa.Column("seed", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("stream", sa.String(length=64), nullable=False),
        sa.Column("sent_at", sa.Double(), nullable=False),
        sa.Column("placement", sa.String(length=16), nullable=True),
        sa.Column("settled_at", sa.Double(), nullable=True),
        sa.Column("folder", sa.Text(), nullable=True),
        sa.Column("arrived_at", sa.Double(), nullable=True),
        sa.Column("spf", sa.String(length=16), nullable=True),
        sa.Column("dkim", sa.String(length=16), nullable=True),
        sa.Column("dmarc", sa.String(length=16), nullable=True),
        sa.Column("removed_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_placements")),
    )
    op.create_index("ix_placements_sent", "placements", ["sent_at"], unique=False)
    op.create_index(
        "ix_placements_open",
        "placements",
        ["seed", "sent_at"],
        unique=False,
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "canaries",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("sent_at", sa.Double(), nullable=False),
        sa.Column("delivery_id", sa.String(length=26), nullable=True),
        sa.Column("reflected_at", sa.Double(), nullable=True),
        sa.Column("returned_at", sa.Double(), nullable=True),
        sa.Column("alarmed_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_canaries")),
    )
    op.create_index("ix_canaries_sent", "canaries", ["sent_at"], unique=False)

"""Who is signed in to the console, and what it looks for"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "console_sessions",
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("key_id", sa.String(length=32), nullable=True),
        sa.Column("scopes", _JSON, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_console_sessions")),
    )
    op.create_index(op.f("ix_console_sessions_expires_at"), "console_sessions", ["expires_at"])
    op.create_table(
        "console_links",
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("scopes", _JSON, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_console_links")),
    )
    op.create_index(op.f("ix_console_links_expires_at"), "console_links", ["expires_at"])
    op.create_index(
        "ix_messages_subject", "messages", [sa.text("lower(substr(subject, 1, 60))"), "id"]
    )
    op.create_index(
        "ix_events_delivery",
        "events",
        ["delivery_id"],
        sqlite_where=sa.text("message_id IS NULL"),
        postgresql_where=sa.text("message_id IS NULL"),
    )
    op.create_index(
        "ix_raw_inbound_puzzling",
        "raw_inbound",
        ["id"],
        sqlite_where=sa.text("understood = 0"),
        postgresql_where=sa.text("understood = false"),
    )
    op.create_index("ix_suppressions_reason", "suppressions", ["reason", "since", "address_hash"])

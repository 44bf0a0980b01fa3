"""Webhooks, feedback of recipients, links that outlive their delivery"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_WAITING = sa.text("state = 'waiting'")
_ENDED = sa.text("state <> 'waiting'")


def upgrade() -> None:
    _webhooks()
    _calls()
    _recipients()


def _webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("kinds", _JSON, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("old_secret", sa.Text(), nullable=True),
        sa.Column("old_until", sa.Double(), nullable=True),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.Column("succeeded_at", sa.Double(), nullable=True),
        sa.Column("failed_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )


def _calls() -> None:
    op.create_table(
        "webhook_calls",
        sa.Column("webhook_id", sa.String(length=26), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("handed_at", sa.Double(), nullable=False),
        sa.Column("next_at", sa.Double(), nullable=False),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("tried_at", sa.Double(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("result", sa.String(length=12), nullable=True),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("webhook_id", "seq", name=op.f("pk_webhook_calls")),
    )
    op.create_index(
        "ix_webhook_calls_due",
        "webhook_calls",
        ["webhook_id", "next_at"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    op.create_index(
        "ix_webhook_calls_ended",
        "webhook_calls",
        ["tried_at"],
        sqlite_where=_ENDED,
        postgresql_where=_ENDED,
    )


def _recipients() -> None:
    op.create_table(
        "feedback",
        sa.Column("delivery_id", sa.String(length=26), nullable=False),
        sa.Column("first_at", sa.Double(), nullable=False),
        sa.Column("last_at", sa.Double(), nullable=False),
        sa.Column("times", sa.SmallInteger(), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("probe_id", sa.String(length=26), nullable=True),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_feedback")),
    )
    op.create_index("ix_feedback_last", "feedback", ["last_at"])
    op.create_table(
        "unsubscribe_links",
        sa.Column("delivery_id", sa.String(length=26), nullable=False),
        sa.Column("address_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("stream", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_unsubscribe_links")),
    )
    op.create_index(
        op.f("ix_unsubscribe_links_address_hash"), "unsubscribe_links", ["address_hash"]
    )

"""Incidents, tallies they are judged by, suppressions held back, blocklists, reputation"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    _what_is_judged()
    op.create_table(
        "incidents",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("fault", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("opened_at", sa.Double(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("looked_at", sa.Double(), nullable=False),
        sa.Column("closed_at", sa.Double(), nullable=True),
        sa.Column("closed_why", sa.Text(), nullable=True),
        sa.Column("reopened", sa.Integer(), nullable=False),
        sa.Column("muted_until", sa.Double(), nullable=True),
        sa.Column("evidence", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
    )
    op.create_index(
        "uq_incidents_open",
        "incidents",
        ["kind", "provider", "subject"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_incidents_closed", "incidents", ["closed_at"], unique=False)
    _what_is_held()
    _where_we_stand()


def _what_is_judged() -> None:
    op.create_table(
        "tallies",
        sa.Column("span", sa.Integer(), nullable=False),
        sa.Column("slot", sa.BigInteger(), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("fault", sa.String(length=16), nullable=False),
        sa.Column("category", sa.String(length=32), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "span", "slot", "provider", "outcome", "fault", "category", name=op.f("pk_tallies")
        ),
    )
    op.create_table(
        "refusals",
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("category", sa.String(length=32), nullable=False),
        sa.Column("fingerprint", sa.String(length=200), nullable=False),
        sa.Column("fault", sa.String(length=16), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.Double(), nullable=False),
        sa.Column("last_at", sa.Double(), nullable=False),
        sa.Column("first_delivery", sa.String(length=26), nullable=True),
        sa.Column("last_delivery", sa.String(length=26), nullable=True),
        sa.Column("example", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("provider", "category", "fingerprint", name=op.f("pk_refusals")),
    )
    op.create_index("ix_refusals_last", "refusals", ["last_at"], unique=False)


def _what_is_held() -> None:
    op.create_table(
        "held_suppressions",
        sa.Column("address_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("delivery_id", sa.String(length=26), nullable=False),
        sa.Column("incident_id", sa.String(length=26), nullable=False),
        sa.Column("held_at", sa.Double(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("until", sa.Double(), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("category", sa.String(length=32), nullable=True),
        sa.Column("rule", sa.String(length=128), nullable=True),
        sa.PrimaryKeyConstraint("address_hash", "delivery_id", name=op.f("pk_held_suppressions")),
    )
    op.create_index(
        "ix_held_suppressions_incident",
        "held_suppressions",
        ["incident_id", "address_hash"],
        unique=False,
    )
    op.create_index("ix_held_suppressions_held", "held_suppressions", ["held_at"], unique=False)


def _where_we_stand() -> None:
    op.create_table(
        "blocklistings",
        sa.Column("list", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("checked_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("list", "subject", name=op.f("pk_blocklistings")),
    )
    op.create_table(
        "reputation",
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("measure", sa.String(length=16), nullable=False),
        sa.Column("numerator", sa.BigInteger(), nullable=False),
        sa.Column("denominator", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("provider", "measure", name=op.f("pk_reputation")),
    )

"""Aggregate reports: who sent and who signed them, and whether they count

Rows of before, and of nodes that do not know these columns yet, are taken for unsigned ones that
count.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    for column in (
        sa.Column("reporter", sa.String(length=255), nullable=True),
        sa.Column("signed_by", sa.String(length=255), nullable=True),
        sa.Column("counted", sa.Boolean(), server_default=sa.true(), nullable=False),
    ):
        op.add_column("aggregate_reports", column)

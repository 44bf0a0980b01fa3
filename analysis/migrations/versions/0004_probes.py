"""Which delivery was let through to a suppressed address, to see whether it works again"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("suppressions", sa.Column("probed_at", sa.Double(), nullable=True))
    op.add_column("suppressions", sa.Column("probed_by", sa.String(length=26), nullable=True))

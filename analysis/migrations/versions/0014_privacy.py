"""The audit becomes a chain; what erasure leaves and has to find"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    for column in (
        sa.Column("salt", sa.LargeBinary(length=16), nullable=True),
        sa.Column("seal", sa.LargeBinary(length=32), nullable=True),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=True),
    ):
        op.add_column("audit", column)
    op.create_table(
        "audit_anchor",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("taken", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_anchor")),
    )
    op.add_column("suppressions", sa.Column("erased_by", sa.String(length=16), nullable=True))
    _index("ix_suppressions_erased", "suppressions", "address_hash", "erased_by IS NOT NULL")
    _index("ix_raw_inbound_subject", "raw_inbound", "subject_id", "subject_id IS NOT NULL")
    _index("ix_raw_inbound_mail_from", "raw_inbound", "lower(mail_from)", "mail_from <> ''")
    _index("ix_reports_address", "reports", "lower(address)", "address IS NOT NULL")


def _index(name: str, table: str, of: str, where: str) -> None:
    op.create_index(
        name,
        table,
        [sa.text(of) if "(" in of else of],
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )

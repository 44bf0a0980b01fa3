"""Where the audit's chain begins, once retention has taken its first rows."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, LargeBinary, SmallInteger, Table

from analysis.schema.columns import metadata

audit_anchor = Table(
    "audit_anchor",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),  # 1: the only row
    Column("seq", BigInteger, nullable=False),  # of the newest row that was taken
    Column("hash", LargeBinary(32), nullable=False),  # of that row: what the oldest one follows
    Column("taken", BigInteger, nullable=False),  # rows in all
    Column("at", Double, nullable=False),
)

"""What the doctor found last, check by check."""

from __future__ import annotations

from sqlalchemy import Column, Double, String, Table

from analysis.schema.columns import Json, metadata

doctor_checks = Table(
    "doctor_checks",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("state", String(16), nullable=False),  # ok | warning | unknown | failure
    Column("since", Double, nullable=False),  # when it came into this state
    Column("checked_at", Double, nullable=False),
    Column("findings", Json, nullable=False),
)

"""Ways out: how much of a warm-up ladder's step is spoken for."""

from __future__ import annotations

from sqlalchemy import Column, Integer, String, Table

from analysis.schema.columns import metadata

warmup_counts = Table(
    "warmup_counts",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),  # UTC, since 1970-01-01
    Column("source", String(64), primary_key=True),  # an address of ours, or `route NAME`
    Column("provider", String(32), primary_key=True),
    Column("count", Integer, nullable=False),  # messages that nodes have taken for themselves
)

"""Engagement: that a delivery was opened or clicked, by whom as a class, and nothing else."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, String, Table

from analysis.schema.columns import Ulid, metadata

engagements = Table(
    "engagements",
    metadata,
    Column("delivery_id", Ulid, primary_key=True),
    Column("kind", String(8), primary_key=True),  # open | click
    Column("class", String(8), primary_key=True),  # human | machine | unknown
    Column("stream", String(64), nullable=False),
    Column("at", Double, nullable=False),  # the first time
    Index("ix_engagements_at", "at"),
)

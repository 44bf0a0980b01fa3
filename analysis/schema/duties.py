"""Whose turn it is: regular work that one node of many does at a time."""

from __future__ import annotations

from sqlalchemy import Column, Double, String, Table

from analysis.schema.columns import metadata

duties = Table(
    "duties",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("next_at", Double, nullable=False),
    Column("node", String(64)),  # who did it last
)

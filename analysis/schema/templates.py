"""Templates: every version that was ever put, so that a message can name the one it was made of."""

from __future__ import annotations

from sqlalchemy import Column, Double, Integer, String, Table, Text

from analysis.schema.columns import metadata

templates = Table(
    "templates",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),  # counted over languages
    Column("lang", String(35), nullable=False),  # RFC 5646, lower case; empty: for everybody
    Column("subject", Text, nullable=False),
    Column("html", Text),
    Column("text", Text),  # null: made of the HTML
    Column("note", Text, nullable=False),  # what was changed, in its author's words
    Column("created_at", Double, nullable=False),
    Column("created_by", Text, nullable=False),  # a key's name, as in the audit
    Column("archived_at", Double),
)

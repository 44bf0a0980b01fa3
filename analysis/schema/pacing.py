"""How the nodes that send share what a provider bears: a row for each node."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Double, String, Table, false

from analysis.schema.columns import Json, metadata

pacing_nodes = Table(
    "pacing_nodes",
    metadata,
    Column("node", String(64), primary_key=True),  # "": nobody's, locked by whoever shares
    Column("lease_until", Double, nullable=False),  # afterwards its shares are free
    Column("everything", Boolean, nullable=False, server_default=false()),  # it was alone
    Column("shares", Json, nullable=False),  # site: [rate wanted, held, connections wanted, held]
    Column("heard", Json, nullable=False),  # site: [when it asked for less, limit, until, why, by]
)

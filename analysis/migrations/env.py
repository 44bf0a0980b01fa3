"""Alembic's entry: migrate over the connection that `analysis.migrate` hands in."""

from __future__ import annotations

from alembic import context

from analysis.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    transactional_ddl=True,
)
context.run_migrations()

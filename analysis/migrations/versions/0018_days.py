"""Bodies and raw reports are cut by day on PostgreSQL

The table as it was becomes the first part of the new one, up to the end of today; nothing is
copied.  PostgreSQL looks through it once, to see that it holds nothing younger.
"""

from __future__ import annotations

import time

from alembic import op
from sqlalchemy import Connection, text

from analysis.days import DAY
from analysis.ids import first_id

revision = "0018"
down_revision = "0017"

KEYS = {"bodies": "message_id", "raw_inbound": "id"}


def upgrade() -> None:
    tx = op.get_bind()
    if tx.dialect.name == "postgresql":
        for table, key in KEYS.items():
            _cut(tx, table, key)


def _cut(tx: Connection, table: str, key: str) -> None:
    indexes = _definitions(
        tx,
        "indexname, indexdef FROM pg_indexes"
        " WHERE schemaname = current_schema() AND tablename = :table",
        table,
    )
    constraints = _definitions(
        tx,
        "conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = CAST(:table AS regclass) AND contype IN ('p', 'f')",
        table,
    )
    op.execute(f"ALTER TABLE {table} RENAME TO {table}_old")
    for name in indexes:
        op.execute(f"ALTER INDEX {name} RENAME TO {name}_old")
    op.execute(
        f"CREATE TABLE {table} (LIKE {table}_old INCLUDING DEFAULTS) PARTITION BY RANGE ({key})"
    )
    for name, definition in constraints.items():
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    for name, definition in indexes.items():
        if name not in constraints:
            op.execute(definition)
    tomorrow = first_id((time.time() // DAY + 1) * DAY)
    op.execute(
        f"ALTER TABLE {table} ATTACH PARTITION {table}_old"
        f" FOR VALUES FROM (MINVALUE) TO ('{tomorrow}')"
    )
    op.execute(f"CREATE TABLE {table}_rest PARTITION OF {table} DEFAULT")


def _definitions(tx: Connection, query: str, table: str) -> dict[str, str]:
    rows = tx.execute(text(f"SELECT {query}"), {"table": table})
    return {row[0]: row[1] for row in rows}

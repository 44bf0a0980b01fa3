"""Migrations: bring a database to the newest schema, once, whoever comes first.

`upgrade` runs at start and by `carom db upgrade`.  It is one transaction on both databases, and
starters wait for one another: SQLite by BEGIN IMMEDIATE, PostgreSQL by an advisory lock.  A new
database takes the same road as an old one; a test holds that the end equals `schema.metadata`.

A database that newer code has migrated is left as it is: migrations only add, so that nodes of two
releases run side by side while one is being rolled out (docs/operations.md).
"""

from __future__ import annotations

from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

log = structlog.get_logger()

LOCK = 0x6361726F  # "caro": the advisory lock of this schema


def configuration(tx: Connection | None = None) -> Config:
    """Alembic's configuration for our scripts, without a file of its own."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = tx
    return config


def upgrade(tx: Connection) -> str:
    """Run what has not been run yet; returns the revision that the database is at."""
    if tx.dialect.name == "postgresql":
        tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    found = revision(tx)
    if found is not None and found > newest():
        log.warning("the database is newer than this program", revision=found, known=newest())
        return found
    if found != newest():
        command.upgrade(configuration(tx), "head")
    return newest()


def revision(tx: Connection) -> str | None:
    """The revision that the database is at; None for an empty one."""
    return MigrationContext.configure(tx).get_current_revision()


def newest() -> str:
    head = ScriptDirectory.from_config(configuration()).get_current_head()
    assert head is not None, "the package holds no migration"
    return head

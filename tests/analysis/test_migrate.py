"""Migrations end where the schema says, whoever runs them and however often."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from analysis import migrate
from analysis.schema import metadata
from analysis.store import Store, open_store
from tests.storing import delivered, state_of

pytestmark = pytest.mark.anyio

VERSIONS = Path(migrate.__file__).with_name("migrations") / "versions"


def _differences(tx: Connection) -> list[object]:
    parts = {row.part for row in _parts(tx)}

    def compared(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or name not in parts

    context = MigrationContext.configure(tx, opts={"compare_type": True, "include_name": compared})
    return list(compare_metadata(context, metadata))


def _parts(tx: Connection) -> list[Any]:
    """Partitions with the table that each belongs to; the database itself gives them its columns,
    keys and indexes."""
    if tx.dialect.name != "postgresql":
        return []
    return list(
        tx.execute(
            text(
                "SELECT inhrelid::regclass::text AS part, inhparent::regclass::text AS whole"
                " FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE relkind = 'r'"
            )
        )
    )


def _cuts(tx: Connection) -> dict[str, str]:
    """What each partitioned table is cut by."""
    rows = tx.execute(
        text(
            "SELECT partrelid::regclass::text, pg_get_partkeydef(partrelid)"
            " FROM pg_partitioned_table"
        )
    )
    return {row[0]: row[1] for row in rows}


async def test_a_migrated_database_equals_a_fresh_one(empty_url: str) -> None:
    store = open_store(empty_url)
    await store.write(migrate.upgrade)
    assert await store.read(_differences) == []
    await store.close()


@pytest.mark.postgres
async def test_what_the_schema_cuts_is_cut_and_nothing_else(postgres_url: str) -> None:
    store = open_store(postgres_url)
    await store.write(migrate.upgrade)
    wanted = {
        table.name: cut
        for table in metadata.sorted_tables
        if (cut := table.dialect_options["postgresql"]["partition_by"])
    }
    assert await store.read(_cuts) == wanted
    assert wanted == {"bodies": "RANGE (message_id)", "raw_inbound": "RANGE (id)"}
    assert {(row.whole, row.part) for row in await store.read(_parts)} == {
        (table, f"{table}_{part}") for table in wanted for part in ("old", "rest")
    }
    await store.close()


@pytest.mark.postgres
async def test_a_filled_database_is_cut_without_copying_a_row(postgres_url: str) -> None:
    """What was there is one part of the new table, in its old file and under its old indexes."""
    store = open_store(postgres_url)
    await store.write(lambda tx: command.upgrade(migrate.configuration(tx), "0017"))
    old = "01j00000000000000000000000"
    await store.write(lambda tx: _fill(tx, old))
    before = await store.read(_files)
    await store.write(migrate.upgrade)
    assert {
        name.removesuffix("_old"): file for name, file in (await store.read(_files)).items()
    } == before
    for table in ("bodies", "raw_inbound"):
        kept = text(f"SELECT content, tableoid::regclass::text FROM {table}")
        assert [
            tuple(row) for row in await store.read(lambda tx, kept=kept: tx.execute(kept).all())
        ] == [(b"x", f"{table}_old")]
    await store.close()


def _fill(tx: Connection, row: str) -> None:
    tx.execute(
        text(
            "INSERT INTO messages (id, created_at, stream, class, from_address, subject,"
            " header_message_id, deadline, size, metadata)"
            " VALUES (:id, 0, 's', 'otp', 'f', 's', '<m>', 0, 1, '{}')"
        ),
        {"id": row},
    )
    tx.execute(text("INSERT INTO bodies VALUES (:id, 'x')"), {"id": row})
    tx.execute(
        text(
            "INSERT INTO raw_inbound (id, received_at, peer, helo, mail_from, recipient, purpose,"
            " content, state, tries, lease_until)"
            " VALUES (:id, 0, '', '', '', '', 'bounce', 'x', 'new', 0, 0)"
        ),
        {"id": row},
    )


def _files(tx: Connection) -> dict[str, int]:
    """The file of each table and index that holds old rows."""
    rows = tx.execute(
        text(
            "SELECT relname, relfilenode FROM pg_class WHERE relkind IN ('r', 'i') AND"
            " relname ~ '(bodies|raw_inbound)' AND relname !~ '_rest' AND relname !~ '^pg_toast'"
        )
    )
    return {row[0]: row[1] for row in rows}


async def test_five_starters_at_once_migrate_once(empty_url: str) -> None:
    stores = [open_store(empty_url) for _ in range(5)]
    found = await asyncio.gather(*(store.write(migrate.upgrade) for store in stores))
    assert set(found) == {migrate.newest()}
    for store in stores:
        await store.close()


CONTRACTS: frozenset[str] = frozenset()
"""Revisions that take something away which code of the release before still used: released alone,
when every node runs code that does without (docs/operations.md)."""
SAME_NAMES = frozenset({"0018"})
"""Revisions that rename tables to be parts of new ones of the same name and columns."""
_TAKES_AWAY = re.compile(r"\bop\.(drop_|rename_|alter_column)|DROP |RENAME ", re.IGNORECASE)


@pytest.mark.parametrize("file", sorted(VERSIONS.glob("0*.py")), ids=lambda file: file.stem)
def test_a_migration_only_adds_so_that_old_code_runs_beside_new(file: Path) -> None:
    _, _, upgrade = file.read_text().partition("def upgrade()")
    upgrade, _, _ = upgrade.partition("def downgrade()")
    revision = file.stem[:4]
    assert revision in CONTRACTS | SAME_NAMES or not _TAKES_AWAY.search(upgrade)


async def test_code_that_is_one_release_behind_works_on_a_newer_schema(store: Store) -> None:
    def newer(tx: Connection) -> None:
        tx.execute(text("ALTER TABLE deliveries ADD COLUMN of_the_next_release VARCHAR(10)"))
        tx.execute(text("ALTER TABLE attempts ADD COLUMN of_the_next_release INTEGER DEFAULT 1"))
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    await store.write(newer)
    assert await store.write(migrate.upgrade) == "9999", "it starts, and changes nothing"
    of_message = await delivered(store, "ann@example.net", "bob@example.net")
    assert [await state_of(store, one) for one in of_message] == ["delivered"] * 2

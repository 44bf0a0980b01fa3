"""Migrations end where the schema says, whoever runs them and however often."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
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
    context = MigrationContext.configure(tx, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


async def test_a_migrated_database_equals_a_fresh_one(empty_url: str) -> None:
    store = open_store(empty_url)
    await store.write(migrate.upgrade)
    assert await store.read(_differences) == []
    await store.close()


async def test_five_starters_at_once_migrate_once(empty_url: str) -> None:
    stores = [open_store(empty_url) for _ in range(5)]
    found = await asyncio.gather(*(store.write(migrate.upgrade) for store in stores))
    assert set(found) == {migrate.newest()}
    for store in stores:
        await store.close()


CONTRACTS: frozenset[str] = frozenset()
"""Revisions that take something away which code of the release before still used: released alone,
when every node runs code that does without (docs/operations.md)."""
_TAKES_AWAY = re.compile(r"\bop\.(drop_|rename_|alter_column)|DROP |RENAME ", re.IGNORECASE)


@pytest.mark.parametrize("file", sorted(VERSIONS.glob("0*.py")), ids=lambda file: file.stem)
def test_a_migration_only_adds_so_that_old_code_runs_beside_new(file: Path) -> None:
    _, _, upgrade = file.read_text().partition("def upgrade()")
    upgrade, _, _ = upgrade.partition("def downgrade()")
    revision = file.stem[:4]
    assert revision in CONTRACTS or not _TAKES_AWAY.search(upgrade)


async def test_code_that_is_one_release_behind_works_on_a_newer_schema(store: Store) -> None:
    def newer(tx: Connection) -> None:
        tx.execute(text("ALTER TABLE deliveries ADD COLUMN of_the_next_release VARCHAR(10)"))
        tx.execute(text("ALTER TABLE attempts ADD COLUMN of_the_next_release INTEGER DEFAULT 1"))
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    await store.write(newer)
    assert await store.write(migrate.upgrade) == "9999", "it starts, and changes nothing"
    of_message = await delivered(store, "ann@example.net", "bob@example.net")
    assert [await state_of(store, one) for one in of_message] == ["delivered"] * 2

"""Migrations end where the schema says, whoever runs them and however often."""

from __future__ import annotations

import asyncio

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from analysis import migrate
from analysis.schema import metadata
from analysis.store import open_store

pytestmark = pytest.mark.anyio


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

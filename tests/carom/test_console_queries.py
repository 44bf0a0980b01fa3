"""No page of the console scans a table that grows: every question goes by an index."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from analysis.sqlite_store import SqliteStore
from tests.carom import console_cast as cast
from tests.carom.console_peer import Console, console

pytestmark = pytest.mark.anyio

GROWING = (
    "messages", "deliveries", "attempts", "events", "reports", "raw_inbound", "suppressions",
    "audit", "soft_bounces", "console_sessions",
)  # fmt: skip
IN_ORDER = "LIMIT"
"""A walk along an index that ends by itself after a page."""

ASKS = (
    "",
    "/queue",
    "/suppressions",
    "/suppressions?reason=manual",
    "/suppressions?reason=manual&cursor=WzE4MDAwMDAwMDAuMCwiMDAiXQ",
    "/incidents",
    "/not-understood",
    "/inbound",
    "/inbound?before=7",
    "/audit",
    "/audit?subject=00",
    "/keys",
    "/search?q=receipt",
    "/search?q=.example",
    "/search?q=%3Cx%40example.com%3E",
    f"/address?address={cast.FULL}",
    f"/address?address={cast.BACK}",
    "/messages/{first}",
)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Console]:
    async with console(tmp_path / "mail") as made:
        found = await cast.put_on(made.engine.store)
        made.first = found[cast.FULL]
        await made.sign_in()
        yield made


async def test_no_question_scans_a_table_that_grows(desk: Console) -> None:
    store = desk.engine.store
    assert isinstance(store, SqliteStore)
    asked: dict[str, Any] = {}

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "WITH")):
            asked[statement] = parameters

    event.listen(store._engine, "before_cursor_execute", note)
    for path in ASKS:
        answer = await desk.get(path.format(first=desk.first))
        assert answer.status_code in (200, 303), path
    event.remove(store._engine, "before_cursor_execute", note)
    assert len(asked) > 25
    for statement, parameters in asked.items():
        plan = await store.read(
            lambda tx, s=statement, p=parameters: [  # type: ignore[misc]
                str(row[3]) for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {s}", p)
            ]
        )
        assert not _scans(plan, statement), (statement, plan)


def _scans(plan: list[str], statement: str) -> list[str]:
    """Steps that read a growing table from end to end."""
    bounded = any(step.startswith("CO-ROUTINE") for step in plan)  # what is sorted is a page
    sorts = not bounded and any("TEMP B-TREE FOR ORDER BY" in step for step in plan)
    return [
        step
        for step in plan
        if (found := re.match(r"SCAN (\w+)(.*)", step))
        and found[1] in GROWING
        and not (IN_ORDER in statement and not sorts)  # ends after a page
        and "ix_deliveries_due" not in found[2]  # holds only what waits
    ]

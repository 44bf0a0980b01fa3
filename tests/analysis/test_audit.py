"""The audit is a chain: whoever touches a row is found out, erasure and retention are not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select, text, update

from analysis import audit as chain
from analysis.schema import audit
from analysis.store import Store

pytestmark = pytest.mark.anyio

NOW = 1_790_000_000.0


def row(number: int, subject: str = "it", **more: Any) -> dict[str, Any]:
    return {
        "at": NOW + number,
        "actor": "ann",
        "action": "test.do",
        "subject": subject,
        "reason": f"because {number}",
        "data": {"number": number, "until": 3.0, "deep": {"a": [1, 2.5, None, "é"]}},
        **more,
    }


async def written(store: Store, count: int = 5) -> None:
    for number in range(count):
        await store.write(lambda tx, n=number: chain.note(tx, [row(n)]))  # type: ignore[misc]


async def verified(store: Store, head: bytes | None = None) -> chain.Verifier:
    def read(tx: Connection) -> chain.Verifier:
        check = chain.Verifier(chain.anchor(tx), looked_for=head)
        after = 0
        while rows := chain.rows_after(tx, after, 2):
            check.read(rows)
            after = rows[-1].seq
        check.end()
        return check

    return await store.read(read)


async def faults(store: Store) -> list[int]:
    return [fault.seq for fault in (await verified(store)).faults]


async def seqs(store: Store) -> list[int]:
    return await store.read(
        lambda tx: list(tx.execute(select(audit.c.seq).order_by(audit.c.seq)).scalars())
    )


async def test_an_untouched_chain_holds(store: Store) -> None:
    await written(store)
    check = await verified(store)
    assert (check.rows, check.faults, check.found) == (5, [], True)


@pytest.mark.parametrize("column", ["actor", "action", "subject", "reason"])
async def test_an_altered_word_is_found(store: Store, column: str) -> None:
    await written(store)
    third = (await seqs(store))[2]
    change = update(audit).where(audit.c.seq == third).values({column: "nobody"})
    await store.write(lambda tx: tx.execute(change) and None)
    assert await faults(store) == [third]


async def test_altered_data_and_times_are_found(store: Store) -> None:
    await written(store)
    numbers = await seqs(store)
    for seq, values in ((numbers[1], {"data": {}}), (numbers[3], {"at": 1.0})):
        change = update(audit).where(audit.c.seq == seq).values(values)
        await store.write(lambda tx, change=change: tx.execute(change) and None)  # type: ignore[misc]
    assert await faults(store) == [numbers[1], numbers[3]]


async def test_a_row_that_was_taken_out_is_missed(store: Store) -> None:
    await written(store)
    numbers = await seqs(store)
    await store.write(
        lambda tx: tx.execute(delete(audit).where(audit.c.seq == numbers[2])) and None
    )
    assert await faults(store) == [numbers[3]]


async def test_a_row_that_was_slipped_in_is_found(store: Store) -> None:
    await written(store)
    await store.write(lambda tx: tx.execute(insert(audit).values(row(9))) and None)
    await written(store, 1)
    assert await faults(store) == [(await seqs(store))[5]]


async def test_rows_off_the_end_are_missed_by_who_noted_the_head(store: Store) -> None:
    await written(store)
    head = await store.read(chain.head)
    assert (await verified(store, head)).found
    last = (await seqs(store))[-1]
    await store.write(lambda tx: tx.execute(delete(audit).where(audit.c.seq == last)) and None)
    check = await verified(store, head)
    assert (check.faults, check.found) == ([], False)


async def test_erasure_keeps_the_chain_and_hides_nothing_else(store: Store) -> None:
    await written(store, 2)
    await store.write(lambda tx: chain.note(tx, [row(2, "bob"), row(3)]))
    third = (await seqs(store))[2]
    emptied = await store.write(lambda tx: chain.erase_subject(tx, "bob", now_called="x"))
    assert emptied == [third]
    assert await faults(store) == [third]  # nobody has said so yet
    told = row(4, "x", action=chain.ERASURE, data={"audit_rows": emptied})
    await store.write(lambda tx: chain.note(tx, [told]))
    check = await verified(store)
    assert (check.faults, check.erased) == ([], 1)


async def test_retention_leaves_an_anchor(store: Store) -> None:
    await written(store, 6)
    for _ in range(2):
        assert await store.write(lambda tx: chain.forget(tx, NOW + 4, 2)) == 2
    assert await store.write(lambda tx: chain.forget(tx, NOW + 4, 2)) == 0
    check = await verified(store)
    assert (check.rows, check.faults) == (2, [])
    first = (await seqs(store))[0]
    await store.write(lambda tx: tx.execute(delete(audit).where(audit.c.seq == first)) and None)
    assert await faults(store) == [first + 1]


async def test_the_chain_goes_on_after_everything_was_forgotten(store: Store) -> None:
    await written(store, 2)
    await store.write(lambda tx: chain.forget(tx, NOW + 9, 10))
    await written(store, 2)
    assert await faults(store) == []


async def test_rows_older_than_the_chain_are_let_be(store: Store) -> None:
    await store.write(lambda tx: tx.execute(insert(audit).values(row(0))) and None)
    await written(store, 2)
    check = await verified(store)
    assert (check.faults, check.older) == ([], 1)


async def test_writers_at_once_make_one_chain(store: Store) -> None:
    await asyncio.gather(
        *(
            store.write(lambda tx, n=n: chain.note(tx, [row(n), row(n)]))  # type: ignore[misc]
            for n in range(20)
        )
    )
    check = await verified(store)
    assert (check.rows, check.faults) == (40, [])


async def test_a_rolled_back_row_leaves_no_gap(store: Store) -> None:
    def fail(tx: Connection) -> None:
        chain.note(tx, [row(1)])
        tx.execute(text("SELECT 1")).scalar_one()
        raise ZeroDivisionError

    await written(store, 1)
    with pytest.raises(ZeroDivisionError):
        await store.write(fail)
    await written(store, 1)
    assert await faults(store) == []


def test_nobody_writes_the_audit_but_the_chain() -> None:
    root = Path(__file__).parents[2]
    for package in ("analysis", "sender", "ingest", "carom"):
        for file in (root / package).rglob("*.py"):
            assert "insert(audit)" not in file.read_text() or file.name == "audit.py", file

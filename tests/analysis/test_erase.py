"""After an erasure nothing in the whole database names the person, and they are still let be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from analysis import audit, keyed_hash
from analysis.address import address_hash, parse
from analysis.erase import erase
from analysis.schema import (
    attempts,
    events,
    held_suppressions,
    metadata,
    raw_inbound,
    refusals,
    reports,
    soft_bounces,
    unknown_replies,
)
from analysis.store import Store, open_store
from analysis.suppression import EVERY_STREAM, Lift, Reason, Suppression, lift, standing, suppress
from tests.carom.web_peer import Web, on, web

pytestmark = pytest.mark.anyio

BOB = "Bob.Erased@example.net"
HASH = address_hash(parse(BOB).key)
NOW = 1_790_000_000.0
KEY, OLD_KEY = b"n" * 32, b"o" * 32


def entry(**more: Any) -> Suppression:
    given = {
        "address_hash": HASH,
        "stream": EVERY_STREAM,
        "reason": Reason.COMPLAINT,
        "address": BOB,
        "since": NOW,
        "until": None,
        "evidence": f"{BOB} said so",
        "actor": "test",
    }
    return Suppression(**{**given, **more})


def dump(tx: Connection) -> str:
    """Every value of every table, in lower case, octets as text and in hexadecimal."""
    told = []
    for table in metadata.sorted_tables:
        for row in tx.execute(select(table)):
            for value in row:
                if isinstance(value, bytes | memoryview):
                    told.append(f"{bytes(value).hex()} {bytes(value).decode('latin-1')}")
                else:
                    told.append(json.dumps(value, default=str))
    return "\n".join(told).lower()


def strew(tx: Connection, delivery_id: str) -> None:
    """The address in every place that a bounce, a complaint or a mail of theirs leaves it."""
    said = f"550 <{BOB}>: unknown"
    raw = {
        "received_at": NOW, "peer": "192.0.2.1", "helo": "mx", "recipient": "b+x@bounces.example",
        "purpose": "bounce", "content": f"To: {BOB}\r\n".encode(), "state": "read", "tries": 1,
        "lease_until": 0.0, "mail_from": "", "subject_id": None,
    }  # fmt: skip
    tx.execute(
        insert(raw_inbound),
        [
            {**raw, "id": "a" * 26},
            {**raw, "id": "b" * 26, "subject_id": delivery_id},
            {**raw, "id": "c" * 26, "mail_from": BOB.upper(), "purpose": "unsubscribe"},
            {**raw, "id": "d" * 26},
        ],
    )
    report = {"at": NOW, "kind": "bounce", "reply": said, "address": BOB}
    tx.execute(
        insert(reports),
        [
            {**report, "id": "e" * 26, "raw_id": "a" * 26, "identity": b"1" * 32,
             "delivery_id": delivery_id, "address": None},
            {**report, "id": "f" * 26, "raw_id": "d" * 26, "identity": b"2" * 32,
             "delivery_id": None, "address": BOB.lower()},
        ],
    )  # fmt: skip
    tx.execute(
        insert(attempts).values(
            delivery_id=delivery_id, epoch=1, node="n", started_at=NOW, reply=said
        )
    )
    tx.execute(
        insert(unknown_replies).values(
            fingerprint="x", provider="other", stage="rcpt", seen=1, first_at=NOW, last_at=NOW,
            example=said, delivery_id=delivery_id,
        )
    )  # fmt: skip
    tx.execute(
        insert(refusals).values(
            provider="other", category="policy", fingerprint="x", fault="sender", seen=1,
            first_at=NOW, last_at=NOW, first_delivery=delivery_id, example=said,
        )
    )  # fmt: skip
    tx.execute(insert(soft_bounces).values(address_hash=HASH, day=1, late=False))
    tx.execute(
        insert(held_suppressions).values(
            address_hash=HASH, delivery_id=delivery_id, incident_id="i" * 26, held_at=NOW,
            address=BOB, evidence=said,
        )
    )  # fmt: skip
    tx.execute(
        insert(events).values(
            at=NOW, kind="bounced", delivery_id=delivery_id, data={"recipient": BOB, "reply": said}
        )
    )


async def test_nothing_names_an_erased_person(database_url: str, tmp_path: Path) -> None:
    async with web(tmp_path / "mail", **on(database_url)) as api:
        letter = {
            "from": "a@example.com",
            "to": BOB,
            "subject": f"For {BOB}",
            "text": f"Dear {BOB}",
        }
        sent = await api.post("/v1/messages", letter, {"Idempotency-Key": "once"})
        await api.engine.store.write(lambda tx: strew(tx, sent.json()["deliveries"][0]["id"]))
        path = f"/v1/suppressions/{BOB}"
        await api.client.put(path, json={"reason": "complaint", "note": f"{BOB} called"})
        await api.client.put(path, json={"reason": "manual", "stream": "news"})
        await api.client.delete(path, params={"reason": "manual", "why": f"{BOB} again"})
        await api.post("/v1/messages", letter)
        assert BOB.lower() in await api.read(dump)
        exported = (await api.get(f"/v1/recipients/{BOB}/export")).json()
        whole = json.dumps(exported)
        assert len(exported["messages"]) == 2
        assert {one["id"] for one in exported["inbound"]} == {c * 26 for c in "bcd"}
        assert [one["reason"] for one in exported["suppressions"]] == ["complaint"]
        assert f"Dear {BOB}" in whole

        done = await api.client.delete(f"/v1/recipients/{BOB}", params={"why": f"{BOB} asked"})
        assert done.json()["suppressions"] == 1
        left = await api.read(dump)
        assert BOB.lower() not in left
        assert "bob.erased" not in left
        assert HASH.hex() not in left
        assert HASH.decode("latin-1").lower() not in left
        await _still_let_be(api, letter)


async def _still_let_be(api: Web, letter: dict[str, str]) -> None:
    """By address, by hash, in bulk and at submission; the chain of the audit holds."""
    assert (await api.get(f"/v1/suppressions/{BOB}")).json()["reason"] == "complaint"
    for asked in ({"addresses": [BOB.lower()]}, {"hashes": [HASH.hex()]}):
        found = (await api.post("/v1/suppressions/lookup", asked)).json()["results"]
        assert [one["suppressed"] for one in found] == [True]
    again = (await api.post("/v1/messages", letter)).json()
    assert again["deliveries"][0]["state"] == "suppressed"
    told = (await api.get("/v1/audit")).json()["audit"]
    assert [one["action"] for one in told][-1] == "recipient.erase"
    theirs = (await api.get("/v1/audit", {"address": BOB})).json()["audit"]
    assert {one["subject"] for one in theirs} == {told[-1]["subject"]}
    check = await api.read(_verified)
    assert (check.faults, check.erased) == ([], 3)


def _verified(tx: Connection) -> audit.Verifier:
    check = audit.Verifier(audit.anchor(tx))
    check.read(audit.rows_after(tx, 0, 1_000))
    check.end()
    return check


async def test_erasing_twice_is_no_error_and_an_erased_one_can_be_lifted(store: Store) -> None:
    await store.write(lambda tx: suppress(tx, [entry()]))
    for listed in (1, 0):
        done = await store.write(lambda tx: erase(tx, HASH, now=NOW, actor="a", why="b"))
        assert done.suppressions == listed
    await store.write(lambda tx: suppress(tx, [entry()]))
    again = await store.write(lambda tx: erase(tx, HASH, now=NOW, actor="a", why="b"))
    assert again.suppressions == 1
    found = await store.read(lambda tx: standing(tx, [HASH], NOW))
    assert [(one.address, one.evidence) for one in found[HASH]] == [(None, "erased")]
    lifted = await store.write(lambda tx: lift(tx, Lift(HASH, "a", "came back", NOW)))
    assert [one.reason for one in lifted] == [Reason.COMPLAINT]
    assert await store.read(lambda tx: standing(tx, [HASH], NOW)) == {}


async def test_an_old_key_still_finds_what_was_erased_under_it(migrated_url: str) -> None:
    for keys, act in (((OLD_KEY,), True), ((KEY, OLD_KEY), False)):
        store = open_store(migrated_url, keys=keys)
        if act:
            await store.write(lambda tx: suppress(tx, [entry()]))
            await store.write(lambda tx: erase(tx, HASH, now=NOW, actor="a", why="b") and None)
        assert await store.read(keyed_hash.orphans) == 0
        assert HASH in await store.read(lambda tx: standing(tx, [HASH], NOW))
        await store.close()
    lost = open_store(migrated_url, keys=(KEY,))
    assert await lost.read(keyed_hash.orphans) == 1
    await lost.close()


async def test_without_a_key_nothing_is_erased(migrated_url: str) -> None:
    store = open_store(migrated_url)
    with pytest.raises(keyed_hash.NoKey):
        await store.write(lambda tx: erase(tx, HASH, now=NOW, actor="a", why="b"))
    await store.close()

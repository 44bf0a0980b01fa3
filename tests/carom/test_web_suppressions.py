"""`/v1/suppressions` and what else tells of the record, over both databases where it matters."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from analysis.address import address_hash
from analysis.schema import audit, deliveries, events, messages, suppressions
from tests.carom.web_peer import Web, on, web

pytestmark = pytest.mark.anyio

BOB = "/v1/suppressions/bob@example.net"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Web]:
    async with web(tmp_path / "mail") as made:
        yield made


def audited(tx: Connection) -> list[tuple[str, str, str]]:
    rows = tx.execute(select(audit.c.action, audit.c.actor, audit.c.reason).order_by(audit.c.seq))
    return [(row.action, row.actor.partition(" ")[0], row.reason) for row in rows]


async def test_the_story_of_an_entry(database_url: str, tmp_path: Path) -> None:
    """Put, asked about, lifted; every change is in the audit with who and why."""
    async with web(tmp_path / "mail", **on(database_url)) as api:
        nothing = (await api.get(BOB)).json()
        assert nothing == {
            "suppressed": False,
            "reason": None,
            "since": None,
            "until": None,
            "evidence": None,
            "advice": None,
        }
        put = await api.client.put(BOB, json={"stream": "news", "note": "asked by phone"})
        assert put.status_code == 200
        there = (await api.get(BOB)).json()
        assert (there["suppressed"], there["reason"]) == (True, "manual")
        assert there["evidence"] == "asked by phone"
        assert set(there["advice"]) == {"user", "support", "developer"}
        assert (await api.get(BOB, {"stream": "news"})).json()["suppressed"]
        assert not (await api.get(BOB, {"stream": "receipts"})).json()["suppressed"]
        chinese = (await api.get(BOB, {"lang": "zh"})).json()["advice"]
        assert chinese["user"] != there["advice"]["user"]
        off = await api.client.delete(BOB, params={"why": "a mistake"})
        assert [one["reason"] for one in off.json()["lifted"]] == ["manual"]
        assert not (await api.get(BOB)).json()["suppressed"]
        assert await api.read(audited) == [
            ("suppression.suppress", "init", "asked by phone"),
            ("suppression.lift", "init", "a mistake"),
        ]


async def test_only_the_reason_that_is_named_is_lifted(api: Web) -> None:
    await api.client.put(BOB, json={"reason": "complaint"})
    await api.client.put(BOB, json={"reason": "hard_bounce"})
    await api.client.delete(BOB, params={"reason": "hard_bounce"})
    assert (await api.get(BOB)).json()["reason"] == "complaint"


async def test_an_entry_lasts_as_long_as_its_reason_says(api: Web) -> None:
    lasting = (await api.client.put(BOB, json={"reason": "complaint"})).json()
    passing = (await api.client.put(BOB, json={"reason": "soft_bounce"})).json()
    given = (await api.client.put(BOB, json={"until": "2099-01-01T01:00:00+01:00"})).json()
    assert lasting["until"] is None
    assert passing["until"] is not None
    assert given["until"] == "2099-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"until": "2001-01-01T00:00:00Z"}, "until"),
        ({"until": "tomorrow"}, "until"),
        ({"until": "2099-01-01T00:00:00"}, "until"),
        ({"reason": "dislike"}, "reason"),
        ({"stream": "No Stream"}, "stream"),
        ({"streem": "news"}, "streem"),
        ({"note": 5}, "note"),
    ],
)
async def test_what_an_entry_cannot_say_is_named(api: Web, body: object, field: str) -> None:
    refused = await api.client.put(BOB, json=body)
    assert refused.status_code == 422
    assert refused.json()["field"] == field


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("address", ["nobody", "a@b@c", "%00@example.com", "a%20b@x", ""])
async def test_what_is_no_address_is_422(api: Web, method: str, address: str) -> None:
    answer = await api.client.request(method, f"/v1/suppressions/{address}")
    assert answer.status_code == 422
    assert answer.json()["field"] == "address"


async def test_an_address_may_hold_a_slash_and_a_plus(api: Web) -> None:
    await api.client.put("/v1/suppressions/a%2Fb%2Bc@example.net", json={})
    found = await api.post("/v1/suppressions/lookup", {"addresses": ["A/B+C@EXAMPLE.net"]})
    assert found.json()["results"][0]["suppressed"]


async def test_bulk_lookup_answers_in_order_and_fails_for_nobody(
    database_url: str, tmp_path: Path
) -> None:
    async with web(tmp_path / "mail", **on(database_url)) as api:
        await api.client.put(BOB, json={})
        many = [f"user{number}@example.com" for number in range(996)]
        asked = ["x", "bob@example.net", None, *many, "Bob@Example.NET"]
        found = (await api.post("/v1/suppressions/lookup", {"addresses": asked})).json()["results"]
        assert len(found) == 1000
        assert "error" in found[0]
        assert "error" in found[2]
        assert [one.get("suppressed") for one in found[3:999]] == [False] * 996
        assert found[1]["suppressed"]
        assert found[999]["suppressed"]
        assert found[1]["address"] == "bob@example.net"

        known = address_hash("bob@example.net").hex()
        hashes = {"hashes": ["0" * 64, known, "zz"]}
        by_hash = (await api.post("/v1/suppressions/lookup", hashes)).json()["results"]
        assert [one.get("suppressed") for one in by_hash] == [False, True, None]
        assert by_hash[1]["hash"] == known


@pytest.mark.parametrize(
    "body", [{}, {"addresses": [], "hashes": []}, {"addresses": ["a"] * 1001}, {"addresses": "a"}]
)
async def test_bulk_lookup_is_bounded_and_of_one_kind(api: Web, body: object) -> None:
    refused = await api.post("/v1/suppressions/lookup", body)
    assert refused.status_code == 422
    assert refused.json()["field"] == "addresses"


LIST = (
    "email,reason,stream,evidence\n"
    "bob@example.net,complaint,*,told us\n"
    "nonsense,,,\n"
    "'+eve@example.net,,news,'=1+1\n"
    "zoe@example.net,dislike,,\n"
)


async def test_a_list_is_taken_in_and_given_out(database_url: str, tmp_path: Path) -> None:
    """Bad lines are named and stop no other; what comes out can be taken in again."""
    async with web(tmp_path / "mail", **on(database_url)) as api:
        taken = await api.client.post(
            "/v1/suppressions/import", content=LIST, headers={"Content-Type": "text/csv"}
        )
        assert taken.status_code == 200
        assert taken.json()["imported"] == 2
        assert [one["line"] for one in taken.json()["errors"]] == [3, 5]
        out = (await api.get("/v1/suppressions/export")).text
        rows = list(csv.DictReader(io.StringIO(out)))
        assert {row["address"] for row in rows} == {"bob@example.net", "'+eve@example.net"}
        plain = await api.get("/v1/suppressions/export", {"format": "ndjson"})
        entries = [json.loads(line) for line in plain.text.splitlines()]
        assert {entry["evidence"] for entry in entries} == {"told us", "=1+1"}

        for content, kind in ((out, "text/csv"), (plain.text, "application/x-ndjson")):
            again = await api.client.post(
                "/v1/suppressions/import", content=content, headers={"Content-Type": kind}
            )
            assert again.json()["imported"] == 2
        assert len((await api.get("/v1/suppressions")).json()["suppressions"]) == 2


async def test_export_streams_more_than_a_page(api: Web) -> None:
    lines = "".join(f'{{"address":"u{n}@example.net"}}\n' for n in range(2500))
    await api.client.post(
        "/v1/suppressions/import",
        content=lines,
        headers={"Content-Type": "application/x-ndjson"},
    )
    out = (await api.client.get("/v1/suppressions/export")).text
    assert len(out.splitlines()) == 2501


async def test_listings_go_on_where_they_ended(api: Web) -> None:
    for number in range(5):
        await api.client.put(f"/v1/suppressions/u{number}@example.net", json={})
    await api.client.put(BOB, json={"reason": "complaint"})
    seen: list[str] = []
    query = {"limit": "2", "reason": "manual"}
    while True:
        page = (await api.get("/v1/suppressions", query)).json()
        seen += [one["address"] for one in page["suppressions"]]
        if page["cursor"] is None:
            break
        query["cursor"] = page["cursor"]
    assert sorted(seen) == [f"u{number}@example.net" for number in range(5)]


@pytest.mark.parametrize("path", ["/v1/suppressions", "/v1/events", "/v1/messages"])
@pytest.mark.parametrize("cursor", ["x", "WzFd.", "bnVsbA", "W10", "WyJcdTAwMDAiXQ", "é", "LTE"])
async def test_a_cursor_that_we_never_gave_is_422(api: Web, path: str, cursor: str) -> None:
    refused = await api.get(path, {"cursor": cursor})
    assert refused.status_code == 422
    assert refused.json()["field"] == "cursor"


async def test_events_come_once_and_in_order(api: Web) -> None:
    await api.client.put(BOB, json={})
    first = (await api.get("/v1/events")).json()
    assert [one["type"] for one in first["events"]] == ["suppressed"]
    await api.client.delete(BOB)
    second = (await api.get("/v1/events", {"cursor": first["cursor"]})).json()
    assert [one["type"] for one in second["events"]] == ["lifted"]
    third = (await api.get("/v1/events", {"cursor": second["cursor"]})).json()
    assert third == {"events": [], "cursor": second["cursor"]}


async def test_an_address_is_explained(api: Web) -> None:
    letter = {"from": "a@example.com", "to": "bob+x@example.net", "subject": "Hi", "text": ""}
    before = (await api.client.get("/v1/explain?recipient=bob+x@example.net")).json()
    assert before["verdict"] == "never_written"
    await api.post("/v1/messages", letter)
    queued = (await api.client.get("/v1/explain?recipient=bob%2Bx@example.net")).json()
    assert queued["verdict"] == "queued"
    assert queued["next_attempt"] is not None
    await api.client.put("/v1/suppressions/bob+x@example.net", json={"reason": "unsubscribe"})
    told = (await api.get("/v1/explain", {"recipient": "bob+x@example.net", "lang": "zh"})).json()
    assert (told["verdict"], told["reason"]) == ("suppressed", "unsubscribe")
    assert "退订" in told["cause"]


async def test_rates_are_of_the_messages_sent_in_the_span(api: Web) -> None:
    letter = {"from": "a@example.com", "to": "bob@example.net", "subject": "Hi", "text": ""}
    await api.post("/v1/messages", letter)
    told = (await api.get("/v1/stats")).json()
    assert told["totals"]["deliveries"] == 1
    assert told["cohorts"][0]["states"]["queued"] == 1
    earlier = {"since": "2020-01-01T00:00:00+08:00", "until": "2020-01-02T00:00:00Z"}
    assert (await api.get("/v1/stats", earlier)).json()["totals"]["deliveries"] == 0
    backwards = await api.get("/v1/stats", {"since": "2020-01-02T00:00:00Z", "until": "1577836800"})
    assert backwards.status_code == 422


async def test_a_person_is_erased_and_still_not_written_to(
    database_url: str, tmp_path: Path
) -> None:
    async with web(tmp_path / "mail", **on(database_url)) as api:
        letter = {
            "from": "a@example.com",
            "to": "bob@example.net",
            "subject": "For Bob",
            "text": "Dear Bob",
            "metadata": {"customer": "Bob"},
        }
        queued = (await api.post("/v1/messages", letter)).json()
        await api.client.put(BOB, json={"note": "Bob asked"})
        await api.post("/v1/messages", letter)
        done = await api.client.delete("/v1/recipients/bob@example.net")
        assert done.json() == {
            "deliveries": 2,
            "cancelled": 1,
            "suppressions": 1,
            "in_flight": 0,
        }
        assert "bob" not in (await api.read(everything)).lower()
        assert (await api.get(BOB)).json()["suppressed"]
        again = (await api.post("/v1/messages", letter)).json()
        assert again["deliveries"][0]["state"] == "suppressed"
        shown = (await api.get(f"/v1/messages/{queued['id']}")).json()
        assert shown["deliveries"][0]["recipient"] == "erased"
        assert (await api.client.post(f"/v1/messages/{queued['id']}/resend")).status_code == 410


def everything(tx: Connection) -> str:
    """All text of the tables that could name a person."""
    tables = (messages, deliveries, events, suppressions)
    return "\n".join(str(tuple(row)) for table in tables for row in tx.execute(select(table)))

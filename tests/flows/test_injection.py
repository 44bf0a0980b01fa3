"""What is put into one language stays text in it: headers, SQL, CSV, JSON, through every field."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import func, select

from analysis.schema import audit, deliveries, messages, suppressions
from tests.flows.house import SHOP, House, carom_house
from tests.peers.scripted_mx import ScriptedMX

pytestmark = pytest.mark.anyio

HOSTILE = (
    "x\r\nBcc: victim@evil.example",
    "x\nBcc: victim@evil.example",
    "x\rBcc: victim@evil.example",
    "x\u2028Bcc: victim@evil.example",
    "=?utf-8?q?x=0D=0ABcc:_victim@evil.example?=",
    "x\0y",
    "'; DROP TABLE suppressions; --",
    '" OR 1=1 --',
    "%' UNION SELECT secret_hash FROM api_keys --",
    '=HYPERLINK("http://evil.example","x")',
    "+1+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "-2+3",
    "<script>alert(1)</script>",
    "{{7*7}}${7*7}#{7*7}",
    "\x1b[2J\x1b]0;owned\x07",
    '{"level":"error","message":"forged"}\n{"level":"info"}',
)


def letters(text: str) -> list[dict[str, Any]]:
    """The text in each field that a client can fill."""
    plain: dict[str, Any] = {"from": SHOP, "to": ["ann@known.example"], "subject": "x", "text": "x"}
    return [
        plain | change
        for change in (
            {"subject": text},
            {"text": text},
            {"html": text},
            {"from": text},
            {"from": {"email": "shop@example.com", "name": text}},
            {"to": [text]},
            {"to": [{"email": "ann@known.example", "name": text}]},
            {"reply_to": [{"email": "shop@example.com", "name": text}]},
            {"headers": {"X-Note": text}},
            {"headers": {text: "x"}},
            {"metadata": {"note": text, text: "note"}},
            {"stream": text},
            {"class": text},
            {"send_at": text},
            {"attachments": [{"filename": text, "content": "eA==", "content_type": "text/plain"}]},
            {"attachments": [{"filename": "x", "content": "eA==", "content_type": text}]},
        )
    ]


async def test_what_is_sent_has_the_headers_that_were_asked_for(
    tmp_path: Path, database_url: str, seen: Callable[[str], None]
) -> None:
    """No text becomes a header, a recipient or a command of SMTP."""
    async with ScriptedMX() as mx, carom_house(tmp_path, database_url, mx=mx.port) as carom:
        taken = 0
        for text in HOSTILE:
            batch = {"messages": letters(text)}
            answer = await carom.client.post("/v1/messages/batch", json=batch)
            if answer.status_code == 202:
                statuses = {one["status"] for one in answer.json()["results"]}
                assert statuses <= {202, 422}, answer.text
                taken += sum(one["status"] == 202 for one in answer.json()["results"])
            else:
                assert answer.status_code in (400, 422)
        assert taken > 50
        await mx.until(lambda: len(mx.received) == taken)
        for one in mx.received:
            head = one.content.partition(b"\r\n\r\n")[0].lower()
            assert one.rcpts == ["ann@known.example"]
            assert b"\nbcc:" not in head
        assert all("evil" not in line for line in mx.commands)
    fields = len(letters(""))
    seen(f"{len(HOSTILE)} texts x {fields} fields of a message: headers, recipients, commands 0")


async def test_text_in_queries_and_lists_is_text(
    tmp_path: Path, database_url: str, seen: Callable[[str], None]
) -> None:
    """No SQL runs, no spreadsheet cell is a formula, nothing is a 500."""
    async with ScriptedMX() as mx, carom_house(tmp_path, database_url, mx=mx.port) as carom:
        for place, text in enumerate(HOSTILE):
            await _ask_with(carom, text)
            await carom.client.put(
                f"/v1/suppressions/u{place}@known.example", json={"evidence": text}
            )
            listed = {"address": f"=l{place}@known.example", "evidence": text}
            out = io.StringIO()
            table = csv.DictWriter(out, list(listed))
            table.writeheader()
            table.writerow(listed)
            await carom.client.post(
                "/v1/suppressions/import",
                content=out.getvalue(),
                headers={"Content-Type": "text/csv"},
            )
        exported = await carom.client.get("/v1/suppressions/export")
        rows = list(csv.reader(io.StringIO(exported.text)))
        assert len(rows) == 1 + await carom.books(
            lambda tx: tx.execute(select(func.count()).select_from(suppressions)).scalar_one()
        )
        assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
        assert not any(ord(char) < 32 for row in rows for cell in row for char in cell)
        for kept in (audit, messages, deliveries):
            await carom.books(lambda tx, kept=kept: tx.execute(select(kept).limit(1)).all())  # type: ignore[misc]

    seen(f"{len(HOSTILE)} texts in queries and lists: SQL run 0, formulas 0, 500 answers 0")


async def _ask_with(carom: House, text: str) -> None:
    part = quote(text, safe="")
    for method, path, query in (
        ("GET", "/v1/messages", {"recipient": text}),
        ("GET", "/v1/messages", {"state": text}),
        ("GET", "/v1/messages", {"stream": text}),
        ("GET", "/v1/messages", {"cursor": text}),
        ("GET", f"/v1/messages/{part}", {}),
        ("GET", f"/v1/messages/{part}/timeline", {}),
        ("GET", f"/v1/suppressions/{part}", {}),
        ("GET", "/v1/suppressions", {"reason": text}),
        ("GET", "/v1/suppressions/x@known.example", {"stream": text}),
        ("DELETE", "/v1/suppressions/x@known.example", {"why": text}),
        ("DELETE", "/v1/recipients/x@known.example", {"why": text}),
        ("GET", f"/v1/recipients/{part}/export", {}),
        ("GET", "/v1/audit", {"address": text}),
        ("GET", "/v1/audit", {"cursor": text}),
        ("GET", "/v1/explain", {"recipient": text}),
        ("GET", "/v1/events", {"cursor": text}),
        ("GET", "/v1/stats", {"stream": text}),
        ("GET", "/v1/stats", {"provider": text}),
    ):
        answer = await carom.client.request(method, path, params=query)
        assert answer.status_code < 500, (path, query, answer.text)
        assert "Traceback" not in answer.text

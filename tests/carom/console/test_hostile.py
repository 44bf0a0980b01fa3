"""What strangers and secrets may bring to a page: text that is nothing but text, and no secret."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert

from analysis import audit as auditing
from analysis.schema import (
    attempts,
    deliveries,
    incidents,
    messages,
    raw_inbound,
    suppressions,
    unknown_replies,
)
from tests.carom.console_peer import Console, Inspector, pages_of, words
from tests.storing import NOW, hash_of

pytestmark = pytest.mark.anyio


_BITS = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</title><svg onload=alert(1)>",
    "\" onmouseover=\"alert(1)", "' autofocus onfocus='alert(1)", "javascript:alert(1)",
    "{{ 7 * 7 }}", "{% raw %}", "{0.__class__}", "%s%n", "&lt;b&gt;", "&#x3c;script&#x3e;",
    "]]>", "<!--", "-->", "<base href=//evil.example>", "<meta http-equiv=refresh content=0>",
    "<form action=//evil.example>", "<a href='javascript:x'>", "\u202egnp.exe", "\ufeff", "\u2028",
    "<style>*{display:none}</style>", "</textarea>", "</pre>", "</blockquote></main>", "\\u003c",
    "<link rel=stylesheet href=//evil.example>", "<iframe srcdoc=x>", "<details ontoggle=x open>",
    "+ADw-script+AD4-", "<x:script xmlns:x='http://www.w3.org/1999/xhtml'>", "`${alert(1)}`",
    "=cmd|' /C calc'!A0", "𝕏" * 20, "\u0301" * 40, "a" * 300, "../../etc/passwd", "\t\t", "<",
)  # fmt: skip
HOSTILE = [f"{one} {n}" for n in range(5) for one in _BITS]


async def test_two_hundred_hostile_strings_are_nothing_but_text(desk: Console) -> None:
    assert len(HOSTILE) >= 200
    store = desk.engine.store
    await store.write(lambda tx: [_poison(tx, n, text) for n, text in enumerate(HOSTILE)])
    paths = ["/search?q=receipt", "/queue", "/suppressions", "/audit", "/inbound", "/incidents"]
    paths += [f"/address?address=v{n}%40example.net" for n in range(0, len(HOSTILE), 7)]
    paths += ["/not-understood", "/keys", *(f"/inbound/{n:026d}" for n in range(5_000, 5_040))]
    for path in paths:
        page = await desk.get(path)
        assert page.status_code == 200, path
        Inspector().feed(page.text)
    shown = words(await desk.get("/address?address=v0%40example.net"))
    assert HOSTILE[0].split()[0] in shown
    for text in HOSTILE[:40]:
        answer = await desk.client.get("/console/search", params={"q": text})
        if answer.status_code == 200:
            Inspector().feed(answer.text)


def _poison(tx: Any, n: int, text: str) -> None:
    """`text` wherever a stranger's words may come to stand."""
    message_id, delivery_id = f"{3_000 + n:026d}", f"{4_000 + n:026d}"
    tx.execute(
        insert(messages).values(
            id=message_id,
            created_at=NOW - 9,
            stream="default",
            **{"class": "bulk"},
            from_address=text,
            subject=text,
            header_message_id=f"<{n}{text}>",
            deadline=NOW + 9,
            size=1,
            metadata={text: text},
        )
    )
    said = {"reply": text, "rule": text[:100], "category": "policy", "fault": text[:16]}
    tx.execute(
        insert(deliveries).values(
            id=delivery_id,
            message_id=message_id,
            recipient=f"v{n}@example.net",
            address_hash=hash_of(f"v{n}@example.net"),
            domain=text[:200],
            stream="default",
            rank=2,
            state="queued",
            created_at=NOW - 9,
            next_at=NOW,
            deadline=NOW + 9,
            attempts=1,
            epoch=1,
            provider="other",
            return_path="x",
            code=450,
            enhanced=text[:12],
            **said,
        )
    )
    tx.execute(
        insert(attempts).values(
            delivery_id=delivery_id,
            epoch=1,
            node="n",
            started_at=NOW - 9,
            ended_at=NOW - 8,
            result="deferred",
            stage=text[:16],
            host=text,
            address=text[:60],
            tls=text[:16],
            **said,
        )
    )
    tx.execute(
        insert(suppressions).values(
            address_hash=hash_of(f"v{n}@example.net"),
            stream=text[:60],
            reason="manual",
            address=f"{text}@example.net",
            since=NOW,
            evidence=text,
            actor=text,
        )
    )
    row = {"at": NOW, "actor": text, "action": text[:48], "reason": text, "data": {}}
    auditing.note(tx, [{**row, "subject": hash_of(f"v{n}@example.net").hex()}])
    raw = {"helo": text, "mail_from": text, "recipient": text, "error": text}
    tx.execute(
        insert(raw_inbound).values(
            id=f"{5_000 + n:026d}",
            received_at=NOW,
            peer=text[:60],
            purpose="bounce",
            content=text.encode() + b"\xff\x00",
            state="read",
            tries=1,
            lease_until=0,
            kind=text[:20],
            understood=False,
            **raw,
        )
    )
    tx.execute(
        insert(unknown_replies).values(
            fingerprint=f"{n} {text}"[:200],
            provider=text[:32],
            stage="rcpt",
            seen=n,
            first_at=NOW,
            last_at=NOW,
            example=text,
        )
    )
    told = {"replies": [{"text": text, "category": text, "seen": 1, "delivery_id": None}]}
    tx.execute(
        insert(incidents).values(
            id=f"{6_000 + n:026d}",
            kind="reputation",
            provider=f"p{n}",
            subject=text,
            fault="sender",
            state="closed" if n % 2 else "open",
            opened_at=NOW,
            since=NOW,
            looked_at=NOW,
            closed_why=text,
            reopened=0,
            evidence={**told, "streams": [text]},
        )
    )


async def test_no_page_holds_a_secret(desk: Console) -> None:
    """Neither keys nor tokens, nor what is kept of them."""
    secret = await desk.key_with("read")
    link = await desk.link("read")
    token = desk.client.cookies["carom_console"]
    kept = [secret.key.secret_hash.hex(), secret.text[15:], desk.key[15:], token, link[6:]]
    for path in pages_of(desk):
        page = (await desk.get(path)).text
        assert not [one for one in kept if one in page], path

"""However a suppressed address is spelt, at whichever entrance, nothing of it reaches the wire.

A spelling is either read as the same mailbox, and withheld, or refused as no address: never sent.
Local parts with `+tag`, without their dots or in wide letters are other mailboxes, not among them.
"""

from __future__ import annotations

import base64
import json
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.flows.house import SHOP, House, carom_house
from tests.peers.scripted_mx import ScriptedMX
from tests.peers.smtp_client import dial

pytestmark = pytest.mark.anyio

PLAIN = "ann.lee@known.example"
QUOTED = '"b..c"@known.example'
ABROAD = "jörg@bücher.example"
ACUTE = "éva@known.example"


def spellings() -> Iterator[str]:
    """Of the four addresses: 125 ways in which people, programs and attackers write them."""
    yield from _cases("ann.lee", "known.example")
    for local in ('"ann.lee"', '"ANN.lee"', '"ann"."lee"', '"ann\\.lee"', '"ann".lee', 'ann."lee"'):
        yield f"{local}@known.example"
        yield f"{local}@KNOWN.example"
    for before, after in (
        ("<", ">"), ("Ann <", ">"), ('"Ann Lee" <', ">"), ('"x@y.example" <', ">"), ("<<", ">>"),
        (" ", ""), ("", " "), ("\t", ""), ("", "\r\n"), ("\u200b", ""), ("", "\u200b"),
        ("\ufeff", ""), ("\u00a0", ""), ("", "\u3000"), ("\u202e", ""), ("", "\0"), ("mailto:", ""),
        ("@a.example:", ""), ("<@a.example:", ">"), ("<@a.example,@b.example:", ">"), ("(x)", ""),
        ("", "(x)"), ("", "."), ("", ".."), ("smtp:", ""), ("x, ", ""), ("", ", x@y.example"),
        ("group:", ";"), ("=?utf-8?q?", "?="), ("", ">"), ("<", ""),
    ):  # fmt: skip
        yield f"{before}{PLAIN}{after}"
    yield from (
        "ann.lee (Ann)@known.example", "ann.lee@(x)known.example", "ann.lee@known(x).example",
        "ann . lee@known.example", "ann.lee @known.example", "ann.lee@ known.example",
        "ann.lee@known .example", "ann.lee@known.example%x.example", "ann.lee%known.example",
        "known.example!ann.lee", "ann.lee@[known.example]", "ann.lee@known。example",
        "ann.lee＠known.example", "ann.lee@ｋｎｏｗｎ.example",
        "ann.lee@kn\u00adown.example", "ann.l\u00adee@known.example", "ann.le\u0065@known.example",
        "ann.lee@known\uff0eexample", "ann.lee@KNOWN\u3002EXAMPLE",
        "ann.lee@xn--known-.example",
        "ann.lee@known.example\u2028", "ann.lee\x7f@known.example", "ann..lee@known.example",
        ".ann.lee@known.example", "ann.lee.@known.example", "ann.lee@@known.example",
        "ann.lee@.known.example", "ann.lee@known..example", "ann.lee\\@known.example",
    )  # fmt: skip
    for local in ('"b..c"', '"B..C"', '"b..C"', "b..c", '"b\\..c"', '"b."."c"'):
        yield f"{local}@known.example"
    for local in ("jörg", "JÖRG", "jo\u0308rg", "Jo\u0308RG"):
        for domain in ("bücher.example", "BÜCHER.example", "bu\u0308cher.example",
                       "xn--bcher-kva.example", "XN--BCHER-KVA.EXAMPLE"):  # fmt: skip
            yield f"{local}@{domain}"
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        yield unicodedata.normalize(form, ACUTE)
        yield unicodedata.normalize(form, ACUTE.upper())


def _cases(local: str, domain: str) -> Iterator[str]:
    for left in (
        local,
        local.upper(),
        local.title(),
        local.swapcase(),
        "aNN.LeE",
        "AnN.lEe",
        "ann.LEE",
        "ANN.lee",
    ):
        for right in (domain, domain.upper(), domain.title(), "kNOWN.eXAMPLE"):
            yield f"{left}@{right}"


SPELLINGS = tuple(dict.fromkeys(spellings()))


async def test_no_spelling_of_a_suppressed_address_gets_out(
    tmp_path: Path, database_url: str, seen: Callable[[str], None]
) -> None:
    assert len(SPELLINGS) >= 125
    async with ScriptedMX() as mx, carom_house(tmp_path, database_url, mx=mx.port) as carom:
        for address in (PLAIN, QUOTED, ABROAD, ACUTE):
            put = await carom.client.put(f"/v1/suppressions/{quote(address, safe='')}", json={})
            assert put.status_code == 200
        sent = [
            *[await _one(carom, text) for text in SPELLINGS],
            *await _batch(carom),
            *[await _raw(carom, text) for text in SPELLINGS],
        ]
        assert [one for one in sent if one not in ("refused", "suppressed")] == []
        assert sent.count("suppressed") >= 3 * 40
        assert [one for one in await _smtp(carom) if one.startswith("2")] == []
        control = await carom.submit("control@known.example")
        await carom.becomes(control, "delivered")
        named = [line for line in mx.commands if line.upper().startswith("RCPT")]
        assert [line.split(" ")[1] for line in named] == ["TO:<control@known.example>"]
    seen(f"{len(SPELLINGS)} spellings at 4 entrances, {4 * len(SPELLINGS)} tries: on the wire 0")


async def _one(carom: House, text: str) -> str:
    letter = {"from": SHOP, "to": [text], "subject": "x", "text": "x"}
    answer = await carom.client.post("/v1/messages", json=letter)
    return _outcome(text, answer.status_code, answer.json())


async def _batch(carom: House) -> list[str]:
    letters = [{"from": SHOP, "to": [t], "subject": "x", "text": "x"} for t in SPELLINGS]
    answer = await carom.client.post("/v1/messages/batch", json={"messages": letters})
    results = answer.json()["results"]
    return [
        _outcome(text, one["status"], one) for text, one in zip(SPELLINGS, results, strict=True)
    ]


async def _raw(carom: House, text: str) -> str:
    """The recipient beside a ready message, whose own To header is nobody's business."""
    content = b"From: shop@example.com\r\nTo: x@y.example\r\nSubject: x\r\n\r\nx\r\n"
    body = {"raw": base64.b64encode(content).decode(), "to": [text]}
    answer = await carom.client.post("/v1/messages/raw", json=body)
    return _outcome(text, answer.status_code, answer.json())


def _outcome(text: str, status: int, told: dict[str, Any]) -> str:
    if status in (400, 422):
        return "refused"
    states = {one["state"] for one in told.get("deliveries", ())}
    return "suppressed" if states == {"suppressed"} else f"{text!r}: {status} {json.dumps(told)}"


async def _smtp(carom: House) -> list[str]:
    """The answer to RCPT for each spelling, the octets as they are."""
    answers = []
    key = carom.client.headers["Authorization"].removeprefix("Bearer ")
    login = base64.b64encode(f"\0apikey\0{key}".encode()).decode()
    assert carom.bound.submission is not None
    for text in SPELLINGS:
        if any(char in text for char in "\r\n"):
            continue  # two commands, and no address
        async with dial(carom.bound.submission) as client:
            assert (await client.say(f"AUTH PLAIN {login}")).startswith("235")
            mail = await client.say("MAIL FROM:<shop@example.com> SMTPUTF8")
            if not mail.startswith("250"):
                await client.say("MAIL FROM:<shop@example.com>")
            answers.append(await client.say(f"RCPT TO:<{text}>"))
    return answers

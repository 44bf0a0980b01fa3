"""However a suppressed address is spelt, at whichever entrance, nothing of it reaches the wire.

A spelling is either read as the same mailbox, and withheld, or refused as no address: never sent.
Local parts with `+tag`, without their dots or in wide letters are other mailboxes, not among them.
"""

from __future__ import annotations

import base64
import json
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import idna
import pytest

from analysis.store import chunks
from tests.amounts import Amount
from tests.flows.house import SHOP, House, carom_house
from tests.peers.scripted_mx import ScriptedMX
from tests.peers.smtp_client import dial

pytestmark = pytest.mark.anyio

PLAIN = "ann.lee@known.example"
QUOTED = '"b..c"@known.example'
ABROAD = "jörg@bücher.example"
ACUTE = "éva@known.example"
ADDRESSES = (PLAIN, QUOTED, ABROAD, ACUTE)

Rule = Callable[[str], Iterator[str]]

WRAPPED = (  # what stands before and after
    ("<", ">"), ("Ann <", ">"), ('"Ann Lee" <', ">"), ('"x@y.example" <', ">"), ("<<", ">>"),
    (" ", ""), ("", " "), ("", "\r\n"), ("mailto:", ""), ("@a.example:", ""), ("<@a.example:", ">"),
    ("<@a.example,@b.example:", ">"), ("(x)", ""), ("", "(x)"), ("", "."), ("", ".."),
    ("smtp:", ""), ("x, ", ""), ("", ", x@y.example"), ("group:", ";"), ("=?utf-8?q?", "?="),
    ("", ">"), ("<", ""), ("", "%x.example"), ("", "@x.example"),
)  # fmt: skip
UNSEEN = "\u00ad\u200b\u200d\ufeff\u202e\u00a0\u3000\u2028\t\0\x7f"
DOTS = "\u3002\uff0e\uff61\u2024"
ATS = "\uff20\ufe6b"
WIDER = 0xFEE0  # from a letter of ASCII to its wide form


def by_case(address: str) -> Iterator[str]:
    local, _, domain = address.rpartition("@")
    for left in (str.lower, str.upper, str.title, str.swapcase, _alternating):
        for right in (str.lower, str.upper, str.title, _alternating):
            yield f"{left(local)}@{right(domain)}"


def by_form(address: str) -> Iterator[str]:
    """Unicode's own ways to write one letter, and the domain as DNS has it."""
    local, _, domain = address.rpartition("@")
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        for case in (str.lower, str.upper):
            written = unicodedata.normalize(form, case(local))
            yield f"{written}@{unicodedata.normalize(form, domain)}"
            yield f"{written}@{case(idna.encode(domain).decode())}"


def by_quotes(address: str) -> Iterator[str]:
    """The local part as a quoted string, each atom as one, each character behind a backslash."""
    local, _, domain = address.rpartition("@")
    plain = local.strip('"')
    yield f'"{plain}"@{domain}'
    atoms = plain.split(".")
    for place in range(len(atoms)):
        quoted = [f'"{atom}"' if n == place else atom for n, atom in enumerate(atoms)]
        yield ".".join(quoted) + f"@{domain}"
    yield ".".join(f'"{atom}"' for atom in atoms) + f"@{domain}"
    for place in range(len(plain)):
        yield f'"{plain[:place]}\\{plain[place:]}"@{domain}'


def by_wrapping(address: str) -> Iterator[str]:
    return (f"{before}{address}{after}" for before, after in WRAPPED)


def by_what_is_not_seen(address: str) -> Iterator[str]:
    """A character that no reader sees: at each end, beside the @, and amid each part."""
    at = address.rindex("@")
    for place in (0, at // 2, at, at + 1, (at + len(address)) // 2, len(address)):
        yield from (address[:place] + unseen + address[place:] for unseen in UNSEEN)


def by_what_looks_alike(address: str) -> Iterator[str]:
    """Another @; in the domain other dots and wide letters, which IDNA reads as plain ones."""
    at = address.rindex("@")
    yield from (address[:at] + other + address[at + 1 :] for other in ATS)
    for place, char in enumerate(address[at:], at):
        others = DOTS if char == "." else _wide(char)
        yield from (address[:place] + other + address[place + 1 :] for other in others)


def by_what_headers_allow(address: str) -> Iterator[str]:
    """Comments, blanks and folds, which RFC 5322 allows between the parts and SMTP does not."""
    at = address.rindex("@")
    dots = [place for place, char in enumerate(address) if char == "."]
    for place in sorted({at, at + 1, *dots, *(dot + 1 for dot in dots)}):
        yield from (address[:place] + more + address[place:] for more in (" ", "(x)", "\r\n "))


def by_damage(address: str) -> Iterator[str]:
    """A dot, an @ or a backslash too many, as a hand slips and a parser forgives."""
    at = address.rindex("@")
    for place in (0, at, at + 1, len(address)):
        yield from (address[:place] + more + address[place:] for more in (".", "..", "@", "\\"))
    local, domain = address[:at], address[at + 1 :]
    yield from (
        f"{domain}!{local}",
        f"{local}%{domain}",
        f"{local}@[{domain}]",
        f"{local}%40{domain}",
    )


RULES: tuple[Rule, ...] = (
    by_case, by_form, by_quotes, by_wrapping, by_what_is_not_seen, by_what_looks_alike,
    by_what_headers_allow, by_damage,
)  # fmt: skip


def _wide(char: str) -> str:
    return chr(ord(char) + WIDER) if char.isascii() and char.isalpha() else ""


def _alternating(text: str) -> str:
    return "".join(c.upper() if n % 2 else c.lower() for n, c in enumerate(text))


def spellings() -> list[str]:
    """Of the four addresses, every way in which people, programs and attackers write them."""
    made = (text for rule in RULES for address in ADDRESSES for text in rule(address))
    return list(dict.fromkeys(made))


SPELLINGS = spellings()


async def test_no_spelling_of_a_suppressed_address_gets_out(
    tmp_path: Path, database_url: str, amount: Amount, seen: Callable[[str], None]
) -> None:
    assert len(SPELLINGS) >= 500
    tried = SPELLINGS[:: 1 if amount.full else 5]
    async with ScriptedMX() as mx, carom_house(tmp_path, database_url, mx=mx.port) as carom:
        for address in ADDRESSES:
            put = await carom.client.put(f"/v1/suppressions/{quote(address, safe='')}", json={})
            assert put.status_code == 200
        sent = [
            *[await _one(carom, text) for text in tried],
            *[told for some in chunks(tried, 500) for told in await _batch(carom, some)],
            *[await _raw(carom, text) for text in tried],
        ]
        assert [one for one in sent if one not in ("refused", "suppressed")] == []
        assert sent.count("suppressed") >= len(tried) // 2
        assert [one for one in await _smtp(carom, tried) if one.startswith("2")] == []
        control = await carom.submit("control@known.example")
        await carom.becomes(control, "delivered")
        named = [line for line in mx.commands if line.upper().startswith("RCPT")]
        assert [line.split(" ")[1] for line in named] == ["TO:<control@known.example>"]
    seen(f"{len(tried)} spellings at 4 entrances, {4 * len(tried)} tries: on the wire 0")


async def _one(carom: House, text: str) -> str:
    letter = {"from": SHOP, "to": [text], "subject": "x", "text": "x"}
    answer = await carom.client.post("/v1/messages", json=letter)
    return _outcome(text, answer.status_code, answer.json())


async def _batch(carom: House, tried: Sequence[str]) -> list[str]:
    letters = [{"from": SHOP, "to": [t], "subject": "x", "text": "x"} for t in tried]
    answer = await carom.client.post("/v1/messages/batch", json={"messages": letters})
    results = answer.json()["results"]
    return [_outcome(text, one["status"], one) for text, one in zip(tried, results, strict=True)]


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


async def _smtp(carom: House, tried: Sequence[str]) -> list[str]:
    """The answer to RCPT for each spelling, the octets as they are."""
    answers = []
    key = carom.client.headers["Authorization"].removeprefix("Bearer ")
    login = base64.b64encode(f"\0apikey\0{key}".encode()).decode()
    assert carom.bound.submission is not None
    for text in tried:
        if any(char in text for char in "\r\n"):
            continue  # two commands, and no address
        async with dial(carom.bound.submission) as client:
            assert (await client.say(f"AUTH PLAIN {login}")).startswith("235")
            mail = await client.say("MAIL FROM:<shop@example.com> SMTPUTF8")
            if not mail.startswith("250"):
                await client.say("MAIL FROM:<shop@example.com>")
            answers.append(await client.say(f"RCPT TO:<{text}>"))
    return answers

"""Postfix on the other side: takes our mail, refuses it, writes back what it could not do."""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import subprocess
import sys
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import dkim
import pytest

from tests.flows.house import (
    BOUNCES,
    DOMAIN,
    carom_house,
    events_of,
    suppressed_addresses,
)
from tests.servers import LOOPBACK, free_port
from tests.servers.postfix import Postfix

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("error::ResourceWarning")]

StartPostfix = Callable[..., Postfix]

SECONDS = 60.0
"""In which a real DSN must have come back and have been acted on."""


async def test_a_known_user_gets_the_message_as_it_was_meant(
    start_postfix: StartPostfix, tmp_path: Path, database_url: str
) -> None:
    mx = start_postfix(users=["ann@known.example"])
    async with carom_house(tmp_path, database_url, mx=mx.port) as carom:
        order = await carom.submit("ann@known.example", subject="Your order № 7")
        delivered = await carom.becomes(order, "delivered")
        assert delivered["last_reply"]["code"] == 250

        [content] = await mx.received("ann@known.example")
        letter = email.message_from_bytes(content, policy=email.policy.default)
        return_path = await carom.return_path(order)
        assert letter["Return-Path"] == f"<{return_path}>"
        assert return_path.startswith("b+")
        assert return_path.endswith(f"@{BOUNCES}")
        assert letter["From"] == f"Shop <shop@{DOMAIN}>"
        assert letter["To"] == "ann@known.example"
        assert letter["Subject"] == "Your order № 7"
        assert letter["Auto-Submitted"] == "auto-generated"
        assert letter["Message-ID"].strip("<>").endswith(f"@{DOMAIN}")
        assert letter["Date"].datetime is not None
        assert letter["Feedback-ID"]
        assert isinstance(letter, EmailMessage)
        assert letter.get_content().strip() == "It is on its way."

        published = published_keys(carom.config)
        assert {algorithm(s) for s in letter.get_all("DKIM-Signature", [])} == {
            "rsa-sha256",
            "ed25519-sha256",
        }
        assert verified(content, published) == [True, True]
        assert verified(content.replace(b"on its way", b"cancelled!"), published) == [False, False]


async def test_an_unknown_user_is_refused_in_the_session_and_not_written_to_again(
    start_postfix: StartPostfix, tmp_path: Path, database_url: str
) -> None:
    mx = start_postfix(users=["ann@known.example"])
    async with carom_house(tmp_path, database_url, mx=mx.port) as carom:
        gone, fine = await carom.submit_each(["nobody@known.example", "ann@known.example"])
        refused = await carom.becomes(gone, "bounced")
        assert refused["last_reply"]["code"] == 550
        assert refused["last_reply"]["category"] == "bad_mailbox"
        assert refused["attempts"] == 1
        await carom.becomes(fine, "delivered")

        on_list = await carom.suppression("nobody@known.example")
        assert on_list["suppressed"] is True
        assert on_list["reason"] == "hard_bounce"
        assert "5.1.1" in on_list["evidence"]
        assert (await carom.suppression("ann@known.example"))["suppressed"] is False

        again = await carom.submit("Nobody@KNOWN.example")
        assert again.answer["state"] == "suppressed"
        assert again.answer["suppression"]["reason"] == "hard_bounce"
        assert mx.log().count("User unknown") == 1


async def test_a_real_dsn_comes_back_and_the_right_address_is_suppressed_within_seconds(
    start_postfix: StartPostfix, tmp_path: Path, database_url: str
) -> None:
    listener = free_port()
    mx = start_postfix(
        users=["ann@known.example"],
        accept_then_bounce={"full@late.example": (552, "5.2.2", "Mailbox full")},
        routes={BOUNCES: (LOOPBACK, listener)},
    )
    async with carom_house(tmp_path, database_url, mx=mx.port, ingest=listener) as carom:
        gone, full, fine = await carom.submit_each(
            ["gone@late.example", "full@late.example", "ann@known.example"]
        )
        bounced = await carom.becomes(gone, "bounced", within=SECONDS)
        assert bounced["accepted_at"] is not None, "it had been accepted first"
        assert bounced["last_reply"]["category"] == "bad_mailbox"
        on_list = await carom.suppression("gone@late.example")
        assert on_list["suppressed"] is True
        assert on_list["reason"] == "hard_bounce"
        assert "550 5.1.1" in on_list["evidence"]
        assert on_list["until"] is not None, "a mailbox may be given to somebody else"

        put_back = await carom.becomes(full, "bounced", within=SECONDS)
        assert put_back["last_reply"]["category"] == "mailbox_full"
        assert (await carom.suppression("full@late.example"))["suppressed"] is False

        await carom.becomes(fine, "delivered")
        reports = await carom.reported(2)
        assert {(r["delivery_id"], r["kind"], r["severity"]) for r in reports} == {
            (gone.delivery_id, "bounce", "hard"),
            (full.delivery_id, "bounce", "soft"),
        }
        assert await carom.books(suppressed_addresses) == ["gone@late.example"]
        for one in (gone, full):
            told = await carom.books(lambda tx, one=one: events_of(tx, one.delivery_id))
            assert told.count("delivered") == 1
            assert told.count("bounced") == 1
        again = await carom.submit("gone@late.example")
        assert again.answer["state"] == "suppressed"
        assert mx.queue() == []


async def test_a_warning_of_delay_changes_nothing_and_the_failure_after_it_does(
    start_postfix: StartPostfix, tmp_path: Path, database_url: str
) -> None:
    listener = free_port()
    mx = start_postfix(
        accept_then_bounce={"slow@late.example": (452, "4.2.2", "Mailbox full")},
        routes={BOUNCES: (LOOPBACK, listener)},
        settings={"delay_warning_time": "1s", "maximal_queue_lifetime": "4s"},
    )
    async with carom_house(tmp_path, database_url, mx=mx.port, ingest=listener) as carom:
        slow = await carom.submit("slow@late.example")
        [warning] = await carom.reported(1)
        assert warning["kind"] == "delayed"
        assert warning["delivery_id"] == slow.delivery_id
        assert await carom.state(slow) == "delivered"
        assert (await carom.suppression("slow@late.example"))["suppressed"] is False

        await asyncio.to_thread(mx.flush)
        failed = await carom.becomes(slow, "bounced")
        assert failed["last_reply"]["category"] == "mailbox_full"
        _, failure = await carom.reported(2)
        assert (failure["kind"], failure["severity"]) == ("bounce", "soft")
        assert (await carom.suppression("slow@late.example"))["suppressed"] is False


def published_keys(config: Path) -> dict[str, str]:
    """The DKIM records that `carom dns` tells to publish, by name."""
    command = [sys.executable, "-m", "carom", "dns", "--config", str(config), "--json"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    records = [json.loads(line) for line in said.splitlines()]
    return {r["name"]: r["value"] for r in records if "._domainkey." in r["name"]}


def verified(content: bytes, published: dict[str, str]) -> list[bool]:
    """What dkimpy says of each signature, with only those records in its DNS."""

    def look_up(name: bytes, timeout: int = 5) -> bytes:
        return published[name.decode().rstrip(".")].encode()

    def holds(index: int) -> bool:
        try:
            return bool(dkim.DKIM(content).verify(idx=index, dnsfunc=look_up))
        except dkim.ValidationError:
            return False

    return [holds(index) for index in range(content.lower().count(b"\ndkim-signature:"))]


def algorithm(signature: str) -> str:
    tags = dict(tag.strip().split("=", 1) for tag in str(signature).split(";") if "=" in tag)
    return tags["a"].strip()

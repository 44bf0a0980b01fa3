"""Exim on the other side: its DSNs say Status 5.0.0 whatever it was, so the words must tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from analysis.schema import raw_inbound
from tests.flows.house import BOUNCES, carom_house, events_of, suppressed_addresses
from tests.servers import LOOPBACK, free_port
from tests.servers.exim import Exim

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("error::ResourceWarning")]

SECONDS = 60.0

REFUSALS = {
    "full@late.example": (552, "5.0.0", "The mailbox of this user is over quota"),
    "left@late.example": (550, "5.0.0", "This account has been disabled"),
    "strict@late.example": (550, "5.0.0", "Your host is on our blocklist, mail refused"),
}


async def test_the_words_of_exims_dsns_decide_who_is_suppressed(
    start_exim: Callable[..., Exim], tmp_path: Path, database_url: str
) -> None:
    listener = free_port()
    mx = start_exim(accept_then_bounce=REFUSALS, routes={BOUNCES: (LOOPBACK, listener)})
    async with carom_house(tmp_path, database_url, mx=mx.port, ingest=listener) as carom:
        gone, *others = await carom.submit_each(["gone@late.example", *REFUSALS])
        full, left, strict = others
        for one, category, fault in [
            (gone, "bad_mailbox", "recipient"),
            (full, "mailbox_full", "recipient"),
            (left, "mailbox_disabled", "recipient"),
            (strict, "reputation", "sender"),
        ]:
            answer = (await carom.becomes(one, "bounced", within=SECONDS))["last_reply"]
            assert (answer["category"], answer["fault"]) == (category, fault), answer

        reports = await carom.reported(4)
        mail = await carom.books(
            lambda tx: list(tx.execute(select(raw_inbound.c.content)).scalars())
        )
        assert all(b"\r\nStatus: 5.0.0\r\n" in content for content in mail)
        assert {r["delivery_id"] for r in reports} == {one.delivery_id for one in (gone, *others)}
        # A full mailbox may be emptied, and a block is about us: neither says anything lasting.
        assert await carom.books(suppressed_addresses) == ["gone@late.example", "left@late.example"]
        for one in (gone, *others):
            told = await carom.books(lambda tx, one=one: events_of(tx, one.delivery_id))
            assert (told.count("delivered"), told.count("bounced")) == (1, 1)

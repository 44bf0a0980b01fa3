"""A stranger at the bounce listener: no relay, no forged report, no flood of octets gets in."""

from __future__ import annotations

import asyncio
import re
import smtplib
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from sender.tokens import ALPHABET
from tests.flows.house import (
    BOUNCES,
    SHOP,
    House,
    Sent,
    carom_house,
    events_of,
    stored,
    suppressed_addresses,
)
from tests.ingest.letters import feedback, group, report
from tests.peers.counting_sink import Copy, CountingSink
from tests.servers import LOOPBACK

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("error::ResourceWarning")]

ABUSE = "Feedback-Type: abuse\nUser-Agent: x/1\nVersion: 1"
NOTHING = "From: x@stranger.example\r\nSubject: hello\r\n\r\nhello\r\n"


@asynccontextmanager
async def correspondence(
    folder: Path, database_url: str, *recipients: str, **settings: str
) -> AsyncIterator[tuple[House, dict[str, tuple[Sent, Copy]]]]:
    """A Carom that has delivered to these recipients, and what each of them got."""
    async with (
        CountingSink() as sink,
        carom_house(folder, database_url, mx=sink.port, **settings) as carom,
    ):
        sent = await carom.submit_each(recipients)
        for one in sent:
            await carom.becomes(one, "delivered")
        copies = {copy.recipient: copy for copy in sink.copies}
        yield carom, {one.recipient: (one, copies[one.recipient]) for one in sent}


async def at_the_door(carom: House, work: Callable[[smtplib.SMTP], object]) -> None:
    """One session of the stranger with the listener."""

    def session() -> None:
        assert carom.bound.ingest is not None
        with smtplib.SMTP(LOOPBACK, carom.bound.ingest, "stranger.example", timeout=60) as door:
            door.ehlo()
            work(door)

    await asyncio.to_thread(session)


async def hand_in(carom: House, to: str, letter: bytes) -> None:
    await at_the_door(carom, lambda door: door.sendmail("", [to], letter))


def refused(door: smtplib.SMTP, to: str, sender: str = "") -> tuple[int, str]:
    """What RCPT is answered, in a transaction of its own."""
    assert door.mail(sender)[0] == 250
    code, words = door.rcpt(to)
    door.rset()
    return code, words.decode()


def dsn(named: str, status: str = "5.1.1", words: str = "550 5.1.1 User unknown") -> bytes:
    """A well-formed report that names whom it likes."""
    about = group(
        final_recipient=f"rfc822; {named}",
        original_recipient=f"rfc822; {named}",
        action="failed",
        status=status,
        diagnostic_code=f"smtp; {words}",
    )
    return report(about, text=f"<{named}>: {words}", returned=f"To: {named}\n\nHello.")


async def test_nothing_is_relayed(tmp_path: Path, database_url: str) -> None:
    async with correspondence(tmp_path, database_url) as (carom, _):

        def tries(door: smtplib.SMTP) -> None:
            for to in (
                "victim@elsewhere.example",
                f"victim%elsewhere.example@{BOUNCES}",
                f"@{BOUNCES}:victim@elsewhere.example",
                f'"victim@elsewhere.example"@{BOUNCES}',
                f"elsewhere.example!victim@{BOUNCES}",
                "victim@example.com",
                f"victim@sub.{BOUNCES}",
                "victim",
            ):
                code, words = refused(door, to, sender="x@stranger.example")
                assert code in (501, 550, 553, 554), (to, code, words)

        await at_the_door(carom, tries)
        assert await carom.books(stored) == []


async def test_swaks_finds_no_open_relay(swaks: str, tmp_path: Path, database_url: str) -> None:
    async with correspondence(tmp_path, database_url) as (carom, _):
        server = f"{LOOPBACK}:{carom.bound.ingest}"
        arguments = ["--from", "x@stranger.example", "--to", "victim@elsewhere.example"]
        done = await asyncio.to_thread(
            subprocess.run,
            [swaks, "--server", server, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 24, "swaks: no recipient was taken"
        assert re.search(r"^<\*\* +550 5\.7\.1 ", done.stdout, re.MULTILINE), done.stdout
        assert await carom.books(stored) == []


async def test_a_forged_or_expired_token_is_refused_at_rcpt_like_any_unknown_name(
    tmp_path: Path, database_url: str
) -> None:
    async with correspondence(tmp_path, database_url, "ann@known.example") as (carom, got):
        sent, copy = got["ann@known.example"]
        genuine = copy.return_path
        local = genuine.partition("@")[0]
        other = ALPHABET[(ALPHABET.index(local[-1]) + 1) % len(ALPHABET)]
        old = carom.engine.tokens.return_path(sent.delivery_id, BOUNCES, expires=1_600_000_000)

        def tries(door: smtplib.SMTP) -> None:
            unknown = refused(door, f"nobody@{BOUNCES}")
            assert unknown[0] == 550
            assert unknown[1].startswith("5.1.1 ")
            for forged in (
                f"{local[:-1]}{other}@{BOUNCES}",  # one character of the MAC
                f"{local[:20]}{other}{local[21:]}@{BOUNCES}",  # another delivery's id
                f"{local.replace('b+', 'unsubscribe+')}@{BOUNCES}",  # another purpose
                f"{local}0@{BOUNCES}",
                old,
            ):
                assert refused(door, forged) == unknown, forged
            assert door.mail("")[0] == 250
            assert door.rcpt(genuine.upper())[0] == 250, "remote systems change the case"

        await at_the_door(carom, tries)
        assert await carom.books(stored) == []
        assert await carom.state(sent) == "delivered"


async def test_oversize_mail_is_refused_whether_or_not_it_says_its_size(
    tmp_path: Path, database_url: str
) -> None:
    limit = {"CAROM_INGEST__LIMITS__MESSAGE_SIZE": "100000"}
    async with correspondence(tmp_path, database_url, "ann@known.example", **limit) as (carom, got):
        _, copy = got["ann@known.example"]

        def declared(door: smtplib.SMTP) -> None:
            assert door.esmtp_features["size"] == "100000"
            assert door.mail("", ["SIZE=100001"])[0] == 552

        def many_lines(door: smtplib.SMTP) -> None:
            door.mail("")
            door.rcpt(copy.return_path)
            code, words = door.data(NOTHING + "hello again\r\n" * 10_000)
            assert (code, words[:5]) == (552, b"5.3.4")

        def one_endless_line(door: smtplib.SMTP) -> None:
            door.mail("")
            door.rcpt(copy.return_path)
            door.putcmd("DATA")
            assert door.getreply()[0] == 354
            try:
                for _ in range(1_000):
                    door.send(b"x" * 100_000)
                code, _words = door.getreply()
            except (ConnectionError, smtplib.SMTPServerDisconnected):
                return  # it need not be listened to until it ends
            assert code in (421, 500, 552)

        for session in (declared, many_lines, one_endless_line):
            await at_the_door(carom, session)
        assert await carom.books(stored) == []


async def test_a_genuine_token_speaks_for_its_own_delivery_and_no_other(
    tmp_path: Path, database_url: str
) -> None:
    to = ("ann@known.example", "eve@known.example")
    async with correspondence(tmp_path, database_url, *to) as (carom, got):
        anns, _ = got["ann@known.example"]
        eves, copy = got["eve@known.example"]
        await hand_in(carom, copy.return_path, dsn("ann@known.example"))
        [written] = await carom.reported(1)
        assert written["delivery_id"] == eves.delivery_id
        assert written["address"] == "ann@known.example", "kept as evidence"

        assert await carom.state(anns) == "delivered"
        assert (await carom.suppression("ann@known.example"))["suppressed"] is False
        assert await carom.books(lambda tx: events_of(tx, anns.delivery_id)) == ["delivered"]
        assert await carom.state(eves) == "bounced"


async def test_a_replayed_dsn_changes_nothing_the_second_time(
    tmp_path: Path, database_url: str
) -> None:
    async with correspondence(tmp_path, database_url, "ann@known.example") as (carom, got):
        sent, copy = got["ann@known.example"]
        letter = dsn("ann@known.example")
        await hand_in(carom, copy.return_path, letter)
        first = await carom.becomes_suppressed("ann@known.example")
        told = await carom.books(lambda tx: events_of(tx, sent.delivery_id))
        assert sorted(told) == ["bounced", "delivered", "suppressed"]

        for _ in range(3):
            await hand_in(carom, copy.return_path, letter)
        await carom.all_read()
        assert len(await carom.books(stored)) == 4, "each was taken, as promised by its 250"
        assert len(await carom.reported(1)) == 1
        assert await carom.books(lambda tx: events_of(tx, sent.delivery_id)) == told
        assert await carom.suppression("ann@known.example") == first


async def test_five_hundred_invented_tokens_suppress_and_store_nothing(
    tmp_path: Path, database_url: str
) -> None:
    to = [f"user{number}@known.example" for number in range(10)]
    async with correspondence(tmp_path, database_url, *to) as (carom, got):
        chance = Random(5)

        def invented(number: int) -> str:
            """The id of a real delivery, as in a Message-ID that leaked, and a guessed MAC."""
            local = got[to[number % 10]][1].return_path.partition("@")[0]
            return f"{local[:-16]}{''.join(chance.choices(ALPHABET, k=16))}@{BOUNCES}"

        def flood(door: smtplib.SMTP) -> None:
            for number in range(20):
                assert refused(door, invented(number))[0] == 550

        for _ in range(25):
            await at_the_door(carom, flood)
        assert await carom.books(stored) == []
        assert await carom.books(suppressed_addresses) == []
        for one, _ in got.values():
            assert await carom.state(one) == "delivered"
        assert 'carom_inbound_refused_total{reason="forged_token"} 500.0' in await carom.metrics()


async def test_who_got_one_message_cannot_complain_for_who_got_the_next(
    tmp_path: Path, database_url: str
) -> None:
    """Messages of one moment have ids that tell nothing of each other, and a client's own id, such
    as one that counts up, proves nothing."""
    to = [f"user{number}@known.example" for number in range(20)]
    async with correspondence(tmp_path, database_url) as (carom, _):
        letters_to = [{"from": SHOP, "to": [one], "subject": "x", "text": "x"} for one in to]
        batch = await carom.client.post("/v1/messages/batch", json={"messages": letters_to})
        ids = [one["id"] for one in batch.json()["results"]]
        eves = ids[7]
        counted = "<order-17@example.com>"
        raw = f"From: {SHOP}\r\nTo: ann@known.example\r\nMessage-ID: {counted}\r\n\r\nx\r\n"
        kind = {"Content-Type": "message/rfc822"}
        taken = await carom.client.post("/v1/messages/raw", content=raw, headers=kind)
        assert taken.status_code == 202
        near = [f"<{ulid(number(eves) + step)}@example.com>" for step in range(-50, 51) if step]

        def complain(door: smtplib.SMTP) -> None:
            for named in (counted, *near):
                about = f"From: {SHOP}\nMessage-ID: {named}\n\nx\n"
                door.sendmail(
                    "x@stranger.example", [f"fbl@{BOUNCES}"], feedback(ABUSE, returned=about)
                )
                door.rset()

        await at_the_door(carom, complain)
        await carom.all_read()
        assert await carom.books(suppressed_addresses) == []
        own = f"From: {SHOP}\nMessage-ID: <{eves}@example.com>\n\nx\n"
        await hand_in(carom, f"fbl@{BOUNCES}", feedback(ABUSE, returned=own))
        await carom.all_read()
        assert await carom.books(suppressed_addresses) == [to[7]], "her own she may"


def number(ulid_: str) -> int:
    value = 0
    for digit in ulid_:
        value = value * 32 + ALPHABET.index(digit)
    return value


def ulid(value: int) -> str:
    return "".join(ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))

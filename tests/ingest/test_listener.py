"""The bounce listener as strangers meet it, over real sockets, with real tokens."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import smtplib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.message import EmailMessage

import pytest

from analysis.smtpd import Limits, Reason
from ingest.allowance import Allowance, Bounds
from ingest.listener import Inbound, Listener
from ingest.recipients import Recipients
from sender.tokens import Key, Tokens
from tests.peers.certificates import certificate_for
from tests.peers.smtp_client import Wire, dial

pytestmark = pytest.mark.anyio

DOMAIN = "bounces.example.com"
DELIVERY = "01jd000000000000000000000a"
NOW = 1_700_000_000.0
TOKENS = Tokens([Key("1", b"k" * 32)])
RETURN_PATH = TOKENS.return_path(DELIVERY, DOMAIN, expires=NOW + 86_400)
EXPIRED = TOKENS.return_path(DELIVERY, DOMAIN, expires=NOW - 5 * 86_400)
FORGED = Tokens([Key("1", b"x" * 32)]).return_path(DELIVERY, DOMAIN, expires=NOW + 86_400)


@dataclass
class Shelf:
    """A store that keeps in memory, and waits or fails where it is told to."""

    kept: list[Inbound] = field(default_factory=list)
    fault: Exception | None = None
    gate: asyncio.Event | None = None
    entered: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep(self, inbound: Inbound) -> None:
        self.entered.set()
        if self.gate:
            await self.gate.wait()
        if self.fault:
            raise self.fault
        self.kept.append(inbound)


@dataclass
class Running:
    port: int
    shelf: Shelf
    listener: Listener
    refused: Counter[str]


@contextlib.asynccontextmanager
async def listening(
    limits: Limits | None = None, *, tls: bool = False, allowance: Allowance | None = None
) -> AsyncIterator[Running]:
    shelf, refused = Shelf(), Counter[str]()

    def observe(reason: Reason) -> None:
        refused[reason] += 1

    listener = Listener(
        ["127.0.0.1:0"],
        hostname="mx.bounces.example.com",
        recipients=Recipients(
            DOMAIN,
            read_return_path=TOKENS.read_return_path,
            read_unsubscribe_address=TOKENS.read_unsubscribe_address,
        ),
        store=shelf.keep,
        clock=lambda: NOW,
        observe=observe,
        limits=limits,
        tls=certificate_for("127.0.0.1").server if tls else None,
        allowance=allowance,
    )
    [(_, port)] = await listener.start()
    try:
        yield Running(port, shelf, listener, refused)
    finally:
        await listener.close(0)


async def offer(wire: Wire, sender: str, *recipients: str) -> list[str]:
    """Give the envelope; return what was said to each recipient."""
    assert (await wire.say(f"MAIL FROM:<{sender}>")).startswith("250 ")
    return [await wire.say(f"RCPT TO:<{recipient}>") for recipient in recipients]


async def test_a_bounce_arrives_with_all_that_is_known_of_it() -> None:
    async with listening() as at, dial(at.port) as wire:
        assert await offer(wire, "", RETURN_PATH) == ["250 2.1.5 OK"]
        assert (await wire.say("DATA")).startswith("354 ")
        assert await wire.say("Subject: failed\r\n\r\nNo such user.\r\n.") == "250 2.0.0 Stored"
        [inbound] = at.shelf.kept
        [accepted] = inbound.recipients
        assert accepted.address == RETURN_PATH
        assert accepted.purpose == "bounce"
        assert accepted.token is not None
        assert accepted.token.subject_id == DELIVERY
        assert inbound == Inbound(
            peer="127.0.0.1",
            helo="client.example.net",
            mail_from="",
            recipients=(accepted,),
            content=b"Subject: failed\r\n\r\nNo such user.\r\n",
            received_at=NOW,
            tls=False,
        )


async def test_strangers_are_refused_and_told_nothing() -> None:
    """Forged, expired and unknown are one answer; other domains are not relayed to."""
    async with listening() as at, dial(at.port) as wire:
        replies = await offer(
            wire,
            "a@example.net",
            *(FORGED, EXPIRED, f"info@{DOMAIN}", "victim@example.org"),
        )
        assert set(replies[:3]) == {"550 5.1.1 No such address here"}
        assert replies[3].startswith("550 5.7.1 ")
        assert (await wire.say("DATA")).startswith("503 ")
        assert at.shelf.kept == []
        assert at.refused == {
            "forged_token": 1,
            "expired_token": 1,
            "unknown_recipient": 1,
            "relay_denied": 1,
            "syntax": 1,
        }


async def test_a_mailbox_that_is_named_many_times_gets_one_copy() -> None:
    names = ("postmaster", f"Postmaster@{DOMAIN}", f"postmaster@{DOMAIN.upper()}") * 10
    async with listening() as at, dial(at.port) as wire:
        said = await offer(wire, "a@example.net", *names, RETURN_PATH, RETURN_PATH.upper())
        assert set(said) == {"250 2.1.5 OK"}
        await wire.say("DATA")
        assert await wire.say("Subject: x\r\n\r\nx\r\n.") == "250 2.0.0 Stored"
        [inbound] = at.shelf.kept
        assert [one.purpose for one in inbound.recipients] == ["postmaster", "bounce"]


async def test_who_has_left_a_day_s_octets_is_put_off_and_not_listened_to() -> None:
    """At the dot where it shows only there, and from then on at RCPT; a bounce still comes in."""
    small = Allowance(Bounds(anybody=2_000, client=2_000, token=2_000), exempt=lambda _: False)
    async with listening(allowance=small) as at, dial(at.port) as wire, dial(at.port) as other:
        for door in (wire, other):
            assert await offer(door, "a@example.net", "postmaster") == ["250 2.1.5 OK"]
            await door.say("DATA")
        letter = "Subject: x\r\n\r\n" + "x" * 3_000 + "\r\n."
        assert (await wire.say(letter)) == "250 2.0.0 Stored"
        assert (await other.say(letter)).startswith("452 4.3.1 ")
        assert (await offer(wire, "a@example.net", f"abuse@{DOMAIN}"))[0].startswith("452 4.3.1 ")
        assert await offer(other, "", RETURN_PATH) == ["250 2.1.5 OK"]
        assert len(at.shelf.kept) == 1
        assert at.refused == {"rate": 2}


@pytest.mark.parametrize("name", ["fbl@" + DOMAIN, "abuse@" + DOMAIN, "postmaster"])
async def test_people_and_feedback_loops_are_heard(name: str) -> None:
    async with listening() as at:
        letter = EmailMessage()
        letter["Subject"] = "Complaint"
        letter.set_content("Please stop.")

        def send() -> None:
            with smtplib.SMTP("127.0.0.1", at.port, timeout=60) as client:
                client.sendmail("staff@example.net", [name], letter.as_bytes())

        await asyncio.to_thread(send)
        [inbound] = at.shelf.kept
        assert inbound.recipients[0].purpose == name.partition("@")[0]
        assert inbound.mail_from == "staff@example.net"


async def test_only_the_recipients_of_this_message_come_with_it() -> None:
    """What an abandoned transaction accepted is forgotten."""
    async with listening() as at, dial(at.port) as wire:
        await offer(wire, "a@example.net", f"abuse@{DOMAIN}")
        await wire.say("RSET")
        await offer(wire, "a@example.net", f"fbl@{DOMAIN}", f"info@{DOMAIN}")
        await wire.say("DATA")
        await wire.say("x\r\n.")
        assert [rcpt.purpose for rcpt in at.shelf.kept[0].recipients] == ["fbl"]


async def test_the_promise_is_given_only_after_the_store_returned() -> None:
    async with listening() as at, dial(at.port) as wire:
        at.shelf.gate = asyncio.Event()
        await offer(wire, "", RETURN_PATH)
        await wire.say("DATA")
        answer = asyncio.create_task(wire.say("x\r\n."))
        await at.shelf.entered.wait()
        done, _ = await asyncio.wait([answer], timeout=0.05)
        assert not done
        at.shelf.gate.set()
        assert await answer == "250 2.0.0 Stored"


async def test_a_store_that_fails_leaves_the_mail_with_its_sender() -> None:
    async with listening() as at, dial(at.port) as wire:
        at.shelf.fault = RuntimeError("db is down: postgres://user:hunter2@db")
        for _ in range(2):
            await offer(wire, "", RETURN_PATH)
            await wire.say("DATA")
            assert await wire.say("x\r\n.") == "451 4.3.0 Temporary trouble here, try later"
        at.shelf.fault = None
        await offer(wire, "", RETURN_PATH)
        await wire.say("DATA")
        assert (await wire.say("x\r\n.")).startswith("250 ")
        assert at.refused == {"trouble": 2}


async def test_closing_waits_for_a_commit_in_progress() -> None:
    async with listening() as at, dial(at.port) as wire:
        at.shelf.gate = asyncio.Event()
        await offer(wire, "", RETURN_PATH)
        await wire.say("DATA")
        answer = asyncio.create_task(wire.say("x\r\n."))
        await at.shelf.entered.wait()
        closing = asyncio.create_task(at.listener.close(10))
        at.shelf.gate.set()
        assert await answer == "250 2.0.0 Stored"
        await closing
        assert at.listener.open == 0
        assert len(at.shelf.kept) == 1


async def test_a_thousand_recipients_are_not_listened_to() -> None:
    async with listening() as at, dial(at.port) as wire:
        wire.write(b"MAIL FROM:<a@example.net>\r\n")
        wire.write(f"RCPT TO:<abuse@{DOMAIN}>\r\n".encode() * 5_000)
        said = b""
        with contextlib.suppress(ConnectionError):
            while part := await wire.reader.read(65_536):
                said += part
        assert said.count(b"250 2.1.5") <= 50


@pytest.mark.skipif(shutil.which("swaks") is None, reason="swaks is not installed")
@pytest.mark.parametrize(
    ("to", "code"), [(RETURN_PATH, 0), (FORGED, 24), ("victim@example.org", 24)]
)
async def test_swaks_as_a_stranger(to: str, code: int) -> None:
    """swaks ends with 24 where no recipient was accepted."""
    async with listening(tls=True) as at:
        swaks = await asyncio.create_subprocess_exec(
            *("swaks", "--server", f"127.0.0.1:{at.port}", "--tls", "--to", to, "--from", "<>"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await swaks.communicate()
        assert swaks.returncode == code, said.decode()
        assert [inbound.tls for inbound in at.shelf.kept] == [True] * (code == 0)

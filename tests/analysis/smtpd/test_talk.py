"""The SMTP server among friendly clients: what is said, in which order, and what is not."""

from __future__ import annotations

import asyncio
import shutil
import smtplib
import socket
import struct
from collections import Counter

import pytest
import uvloop

from tests.analysis.smtpd.running import HOST, data, envelope, serving, until, with_the_handler
from tests.peers.certificates import Certificate
from tests.peers.smtp_client import dial

pytestmark = pytest.mark.anyio


async def test_smtplib_delivers_over_starttls(certificate: Certificate) -> None:
    async with serving(tls=certificate.server) as at:

        def deliver() -> dict[str, tuple[int, bytes]]:
            with smtplib.SMTP(HOST, at.port, timeout=60) as client:
                client.starttls(context=certificate.client)
                return client.sendmail("a@example.net", ["b@example.org"], "Subject: x\n\n.dot\n")

        assert await asyncio.to_thread(deliver) == {}
        assert at.box.mails == [("a@example.net", ["b@example.org"], b"Subject: x\r\n\r\n.dot\r\n")]
        assert at.box.encrypted == [True]


@pytest.mark.skipif(shutil.which("swaks") is None, reason="swaks is not installed")
async def test_swaks_delivers_over_starttls(certificate: Certificate) -> None:
    async with serving(tls=certificate.server) as at:
        swaks = await asyncio.create_subprocess_exec(
            *("swaks", "--server", f"127.0.0.1:{at.port}", "--tls", "--to", "b@example.org"),
            *("--from", "<>", "--helo", "client.example.net"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await swaks.communicate()
        assert swaks.returncode == 0, said.decode()
        assert [sender for sender, _, _ in at.box.mails] == [""]
        assert at.box.encrypted == [True]


def test_starttls_works_on_uvloop_too(certificate: Certificate) -> None:
    async def story() -> list[bool]:
        async with serving(tls=certificate.server) as at, dial(at.port) as wire:
            assert (await wire.say("STARTTLS")).startswith("220 ")
            await wire.start_tls(certificate.client)
            await wire.say("EHLO again.example.net")
            assert (await data(wire, b"x\r\n.\r\n")).startswith("250 ")
            assert (await wire.say("QUIT")).startswith("221 ")
            return at.box.encrypted

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(story()) == [True]


def test_a_client_that_goes_before_its_answer_is_no_trouble_of_ours_on_uvloop_either() -> None:
    async def story() -> Counter[str]:
        async with serving() as at:
            at.box.gate = asyncio.Event()
            async with dial(at.port) as wire:
                await with_the_handler(at, wire)
                [talk] = at.server._house.open
                sock = wire.writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await talk.gone  # by a reset: a client that only has said all still gets its answer
            at.box.gate.set()
            await talk._handler_coroutine
            assert at.box.contents == [b"x\r\n"]
            return at.refused

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert not runner.run(story())


async def test_tls_from_the_first_octet_and_auth_only_inside_it(certificate: Certificate) -> None:
    async with serving(tls=certificate.server, tls_at_once=True, auth=("PLAIN",)) as at:

        def ask() -> bytes:
            context = certificate.client
            with smtplib.SMTP_SSL(HOST, at.port, timeout=60, context=context) as client:
                return client.ehlo()[1]

        offers = (await asyncio.to_thread(ask)).split(b"\n")
        assert b"AUTH PLAIN" in offers
        assert b"STARTTLS" not in offers


async def test_a_whole_conversation_in_one_packet_is_answered_in_order() -> None:
    """PIPELINING, RFC 2920; also a second message right behind the first one's dot."""
    one = b"MAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"
    async with serving() as at, dial(at.port) as wire:
        wire.write(one + b"first\r\n.\r\n" + one + b".\r\n" + b"NOOP\r\nQUIT\r\n")
        codes = [(await wire.reply())[:3] for _ in range(10)]
        assert codes == ["250", "250", "354", "250", "250", "250", "354", "250", "250", "221"]
        assert at.box.contents == [b"first\r\n", b""]
        assert await wire.at_eof()


async def test_replies_to_a_group_of_commands_leave_together() -> None:
    """RFC 2920 section 3.2: stored for MAIL, RCPT and RSET, sent with the reply to DATA."""
    async with serving() as at, dial(at.port) as wire:
        wire.write(b"RSET\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")
        packet = await wire.reader.read(65_536)
        assert [line[:3] for line in packet.splitlines()] == [b"250", b"250", b"250", b"354"]


@pytest.mark.parametrize("rest", [b"", b"RCPT TO:<b@exam"])
async def test_a_reply_waits_for_no_command_that_is_not_there_yet(rest: bytes) -> None:
    async with serving() as at, dial(at.port) as wire:
        wire.write(b"RSET\r\nMAIL FROM:<>\r\n" + rest)
        assert (await wire.reply(), await wire.reply()) == ("250 2.0.0 OK", "250 2.1.0 OK")


async def test_a_client_that_half_closes_after_the_dot_gets_its_answer() -> None:
    """Weakness 11: aiosmtpd cancels the handler at EOF."""
    async with serving() as at, dial(at.port) as wire:
        at.box.gate = asyncio.Event()
        await envelope(wire)
        await wire.say("DATA")
        wire.write(b"x\r\n.\r\n")
        wire.writer.write_eof()
        await at.box.entered.wait()
        at.box.gate.set()
        assert await wire.reply() == "250 2.0.0 Stored"
        assert at.box.contents == [b"x\r\n"]


async def test_a_message_is_stored_though_the_client_is_gone_before_the_answer() -> None:
    async with serving() as at:
        at.box.gate = asyncio.Event()
        async with dial(at.port) as wire:
            await with_the_handler(at, wire)
            sock = wire.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await until(lambda: at.server.open == 0)
        at.box.gate.set()
        await until(lambda: at.box.contents == [b"x\r\n"])


async def test_banner_and_ehlo_tell_what_is_offered_and_not_what_runs() -> None:
    """Weaknesses 10 and 13."""
    async with serving() as at, dial(at.port, greet=False) as wire:
        assert await wire.reply() == "220 mx.example.org ESMTP"
        offers = (await wire.say("EHLO client.example.net")).split("\n")
        assert [offer[4:] for offer in offers] == [
            "mx.example.org",
            "PIPELINING",
            "SIZE 10000000",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
        ]
        assert await wire.say("HELP MAIL") == "214 2.0.0 See RFC 5321"
        assert (await wire.say("VRFY b@example.org")).startswith("252 2.1.5 ")
        assert (await wire.say("EXPN staff")).startswith("502 5.5.1 ")
        assert (await wire.say("AUTH PLAIN AGEAYg==")).startswith("502 5.5.1 ")
        assert (await wire.say("STARTTLS")).startswith("503 5.5.1 ")
        assert (await wire.say("WIZ")) == "500 5.5.1 Unknown command"


async def test_auth_is_refused_without_tls_and_not_offered(certificate: Certificate) -> None:
    async with serving(tls=certificate.server, auth=("PLAIN",)) as at, dial(at.port) as wire:
        assert "AUTH" not in await wire.say("EHLO client.example.net")
        assert (await wire.say("AUTH PLAIN AGEAYg==")).startswith("538 5.7.11 ")


async def test_each_command_needs_the_one_before() -> None:
    async with serving() as at, dial(at.port, greet=False) as wire:
        await wire.reply()
        assert (await wire.say("MAIL FROM:<>")).startswith("503 5.5.1 ")
        assert (await wire.say("HELO client.example.net")) == "250 mx.example.org"
        assert (await wire.say("RCPT TO:<b@example.org>")).startswith("503 5.5.1 ")
        assert (await wire.say("MAIL FROM:<>")).startswith("250 ")
        assert (await wire.say("MAIL FROM:<>")).startswith("503 5.5.1 ")
        assert (await wire.say("DATA")).startswith("503 5.5.1 ")
        assert (await wire.say("RSET")).startswith("250 ")
        assert (await wire.say("RCPT TO:<b@example.org>")).startswith("503 5.5.1 ")

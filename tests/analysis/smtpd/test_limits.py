"""Limits on clients, commands and time."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from analysis.smtpd import Door, Limits, Reason
from analysis.smtpd.door import client_address
from tests.analysis.smtpd.running import data, envelope, nobody, serving, until
from tests.peers.certificates import Certificate
from tests.peers.smtp_client import dial

pytestmark = pytest.mark.anyio


async def test_who_only_begins_a_handshake_takes_a_place(certificate: Certificate) -> None:
    limits = Limits(client_connections=2, command_seconds=60.0)
    async with serving(limits, tls=certificate.server, tls_at_once=True, exempt=nobody) as at:
        async with dial(at.port, greet=False), dial(at.port, greet=False) as second:
            await until(lambda: at.door.inside == 2)
            async with dial(at.port, greet=False) as third:
                assert await third.at_eof()
            assert at.refused == {"too_many_connections": 1}
            second.write(b"no handshake at all\r\n")
            assert await second.at_eof()
            await until(lambda: at.door.inside == 1)
            secured = await asyncio.open_connection("127.0.0.1", at.port, ssl=certificate.client)
            assert (await secured[0].readline()).startswith(b"220 ")
            assert at.door.inside == 2
            secured[1].transport.abort()
        await until(lambda: at.door.inside == 0)


async def test_a_handshake_that_drags_on_loses_its_place(certificate: Certificate) -> None:
    limits = Limits(command_seconds=0.1)
    async with (
        serving(limits, tls=certificate.server, tls_at_once=True) as at,
        dial(at.port, greet=False) as wire,
    ):
        await until(lambda: at.door.inside == 1)
        assert await wire.at_eof()
        await until(lambda: at.door.inside == 0)


async def test_a_handshake_in_work_is_broken_off_at_the_end(certificate: Certificate) -> None:
    async with (
        serving(tls=certificate.server, tls_at_once=True) as at,
        dial(at.port, greet=False) as wire,
    ):
        await until(lambda: at.door.inside == 1)
        await at.server.close(0)
        assert at.door.inside == 0
        assert await wire.at_eof()


async def test_connections_are_limited_by_client_and_in_all() -> None:
    """Weakness 3."""
    limits = Limits(client_connections=2)
    async with (
        serving(limits, exempt=nobody) as at,
        dial(at.port),
        dial(at.port) as second,
        dial(at.port, greet=False) as third,
    ):
        assert await third.reply() == "421 4.7.0 Too many connections, try later"
        assert await third.at_eof()
        assert (await second.say("QUIT")).startswith("221 ")
        await until(lambda: at.server.open == 1)
        async with dial(at.port):
            pass
        assert at.refused == {"too_many_connections": 1}
    async with serving(Limits(connections=1)) as at, dial(at.port), dial(at.port, greet=False) as x:
        assert (await x.reply()).startswith("421 4.7.0 ")


async def test_arrivals_are_limited_by_the_minute() -> None:
    async with serving(Limits(client_arrivals=3), exempt=nobody) as at:
        answers = []
        for _ in range(5):
            async with dial(at.port, greet=False) as wire:
                answers.append((await wire.reply())[:3])
    assert answers == ["220", "220", "220", "421", "421"]
    assert at.refused == {"rate": 2}


def test_the_door_forgets_a_minute_and_counts_ipv6_by_64() -> None:
    door = Door(Limits(client_arrivals=1, client_connections=99))
    assert door.enter("2001:db8::1", 0.0) is None
    assert door.enter("2001:db8::2", 59.0) is Reason.RATE
    assert door.enter("2001:db8:0:1::1", 59.0) is None
    assert door.enter("2001:db8::2", 61.0) is None


def test_patience_shrinks_when_there_is_little_room() -> None:
    door = Door(Limits(connections=10, command_seconds=60, crowded_seconds=10))
    for _ in range(8):
        door.enter("127.0.0.1", 0.0)
    assert door.patience == 60
    door.enter("127.0.0.1", 0.0)
    assert door.patience == 10
    door.leave("127.0.0.1")
    assert door.patience == 60


@pytest.mark.parametrize(
    ("peername", "address"),
    [
        (("192.0.2.1", 5), "192.0.2.1"),
        (("::ffff:192.0.2.1", 5, 0, 0), "192.0.2.1"),
        (("fe80::1%eth0", 5, 0, 2), "fe80::1"),
        (None, ""),
        ("/run/socket", ""),
    ],
)
def test_a_client_has_one_address(peername: object, address: str) -> None:
    assert client_address(peername) == address


async def test_recipients_of_a_message_are_limited_and_a_notice_has_one() -> None:
    async with serving(Limits(recipients=3)) as at, dial(at.port) as wire:
        for sender, expected in (("a@example.net", 3), ("", 1)):
            await wire.say(f"MAIL FROM:<{sender}>")
            taken = 0
            while (reply := await wire.say("RCPT TO:<b@example.org>")).startswith("250"):
                taken += 1
            assert reply.startswith("452 4.5.3 ")
            assert taken == expected
            await wire.say("RSET")


@pytest.mark.parametrize(
    ("flood", "limits", "code"),
    [
        (b"NOOP\r\n", Limits(commands=10), b"250"),
        (b"RSET\r\n", Limits(commands=10), b"250"),
        (b"EHLO x\r\n", Limits(commands=10), b"250"),
        (b"HELP\r\n", Limits(commands=10), b"214"),
        (b"XYZZY\r\n", Limits(errors=10), b"500"),
        (b"AUTH PLAIN AGEAYg==\r\n", Limits(errors=10), b"502"),
        (b"MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\n", Limits(errors=5), b"250"),
    ],
)
async def test_a_flood_of_commands_is_ended(flood: bytes, limits: Limits, code: bytes) -> None:
    """Weakness 3: 5,000 recipients, NOOPs without end."""
    async with serving(limits) as at, dial(at.port) as wire:
        wire.write(flood * 5_000)
        said = b""
        with contextlib.suppress(ConnectionError):
            while part := await wire.reader.read(65_536):
                said += part
        assert said.count(code) <= 120
        await until(lambda: at.server.open == 0)
        assert at.refused["errors"] == 1


async def test_a_good_message_forgives_the_commands_before_it() -> None:
    async with serving(Limits(commands=12)) as at, dial(at.port) as wire:
        for _ in range(5):
            assert (await wire.say("NOOP")).startswith("250 ")
            assert (await data(wire, b"x\r\n.\r\n")).startswith("250 ")
        assert len(at.box.mails) == 5


@pytest.mark.parametrize("trickle", [b"", b"N"])
async def test_a_slow_command_is_ended(trickle: bytes) -> None:
    """Weakness 5: the time is for a whole command, however it trickles in."""
    async with serving(Limits(command_seconds=0.2)) as at, dial(at.port) as wire:
        wire.write(trickle)
        assert (await wire.reply()) == "421 4.4.2 Too slow, good bye"
        assert await wire.at_eof()
        assert at.refused == {"timeout": 1}


async def test_the_time_of_a_command_begins_with_the_answer_to_the_last_one() -> None:
    async with serving(Limits(command_seconds=1.0)) as at, dial(at.port) as wire:
        loop = asyncio.get_running_loop()
        enough = loop.time() + 1.5
        while loop.time() < enough:
            assert (await wire.say("NOOP")).startswith("250 ")
            await asyncio.sleep(0.02)  # a client's pace
        assert (await wire.reply()) == "421 4.4.2 Too slow, good bye"


async def test_a_crowd_shortens_the_time_of_those_who_came_before_it() -> None:
    limits = Limits(connections=5, command_seconds=600, crowded_seconds=0.2)
    async with serving(limits) as at, dial(at.port) as first, contextlib.AsyncExitStack() as crowd:
        for _ in range(4):
            await crowd.enter_async_context(dial(at.port, greet=False))
        assert (await first.say("NOOP")).startswith("250 ")
        assert (await first.reply()) == "421 4.4.2 Too slow, good bye"


async def test_slow_content_is_ended_and_steady_content_is_not() -> None:
    """Weakness 5: what counts in DATA is the rate, not the time in all."""
    limits = Limits(command_seconds=1.0, data_rate=1_000)
    async with serving(limits) as at, dial(at.port) as steady, dial(at.port) as slow:
        for wire in (steady, slow):
            await envelope(wire)
            await wire.say("DATA")
        slow.write(b"x" * 100)
        ended = asyncio.create_task(slow.reply())
        steady.write(b"\r\n")  # what follows is no header, of which there may be little
        while not ended.done():
            steady.write((b"x" * 98 + b"\r\n") * 50)
            await asyncio.sleep(0.02)  # a steady sender is one that takes time
        steady.write(b"\r\n.\r\n")
        assert (await steady.reply()).startswith("250 ")
        assert (await ended).startswith("421 4.4.2 ")
        assert at.refused == {"timeout": 1}


async def test_a_session_ends_however_busy_it_is() -> None:
    """Weakness 5: NOOP every so often holds no slot for ever."""
    async with serving(Limits(session_seconds=0.3, commands=10**9)) as at, dial(at.port) as wire:
        while (reply := await wire.say("NOOP")).startswith("250 "):  # noqa: ASYNC110 a client's pace
            await asyncio.sleep(0.01)
        assert reply[:3] in ("421", "")
        await until(lambda: at.server.open == 0)


async def test_a_client_that_never_reads_gives_its_slot_back() -> None:
    """Weakness 4: transport.close() waits for such a client without end."""
    limits = Limits(command_seconds=0.2, linger_seconds=0.2, commands=10**9, errors=10**9)
    async with serving(limits) as at:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(deaf, ("127.0.0.1", at.port))
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(60):
                await loop.sock_sendall(deaf, b"EHLO x\r\n" * 500_000)
        await until(lambda: at.server.open == 0)
        deaf.close()

"""How the server is bound and how it ends."""

from __future__ import annotations

import asyncio
import inspect

import pytest
from aiosmtpd.smtp import SMTP

from analysis.smtpd import Conversation, Limits, Server
from analysis.smtpd.server import read_listen
from tests.analysis.smtpd.running import envelope, serving
from tests.peers.smtp_client import dial

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("text", "read"),
    [("127.0.0.1:2525", ("127.0.0.1", 2525)), ("[::1]:25", ("::1", 25)), ("0.0.0.0:0", None)],
)
def test_listen_addresses_are_read(text: str, read: tuple[str, int] | None) -> None:
    assert read_listen(text) == (read or ("0.0.0.0", 0))


@pytest.mark.parametrize("text", ["", "2525", "host", "host:", "host:x", "host:70000", "host:-1"])
def test_a_bad_listen_address_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="listen address"):
        read_listen(text)


async def test_all_addresses_are_bound_or_none() -> None:
    async with serving() as at:
        other = Server(
            ["127.0.0.1:0", f"127.0.0.1:{at.port}"],
            lambda: at.box,
            hostname="mx.example.org",
            limits=Limits(),
            door=at.door,
            observe=lambda _: None,
        )
        with pytest.raises(OSError, match="in use"):
            await other.start()
        assert await other.close(0) is None


async def test_closing_lets_a_message_under_way_finish_and_sends_the_idle_away() -> None:
    """Weakness 13: aiosmtpd's controller cancels what is under way."""
    async with serving() as at, dial(at.port) as idle, dial(at.port) as busy:
        await envelope(busy)
        await busy.say("DATA")
        closing = asyncio.create_task(at.server.close(10))
        assert (await idle.reply()).startswith("421 4.3.2 ")
        assert await idle.at_eof()
        busy.write(b"x\r\n.\r\n")
        assert (await busy.reply()) == "250 2.0.0 Stored"
        assert (await busy.reply()).startswith("421 4.3.2 ")
        await closing
        assert at.box.contents == [b"x\r\n"]
        with pytest.raises(ConnectionRefusedError):
            async with dial(at.port):
                pass


async def test_closing_ends_what_takes_longer_than_the_grace() -> None:
    async with serving() as at, dial(at.port) as reading, dial(at.port) as storing:
        at.box.gate = asyncio.Event()
        for wire in (reading, storing):
            await envelope(wire)
            await wire.say("DATA")
        storing.write(b"x\r\n.\r\n")
        await at.box.entered.wait()
        await asyncio.wait_for(at.server.close(0.05), 60)
        assert (await reading.reply()).startswith("421 ")
        assert not (await storing.reply()).startswith("2")
        assert at.server.open == 0
        assert at.box.contents == []


def test_every_command_of_aiosmtpd_is_obeyed_by_our_own_code() -> None:
    """A new aiosmtpd must not bring a command that nobody looked at."""
    ours = {name for name, _ in inspect.getmembers(Conversation) if name.startswith("smtp_")}
    assert {name for name in ours if getattr(Conversation, name) is getattr(SMTP, name, None)} == (
        set()
    )

"""The engine: every part made once, and together they close the loop."""

from __future__ import annotations

from pathlib import Path

import aiosmtplib
import pytest

from analysis.lookup import accounts
from analysis.store import StoreUnavailable
from carom.assembly import build
from carom.demo.letters import bounce
from carom.listening import listener
from carom.opening import ready_store, with_store
from carom.settings import load
from tests.flows.house import carom_house, environment, set_up
from tests.peers.scripted_mx import Say, ScriptedMX

pytestmark = pytest.mark.anyio


async def test_the_loop_closes(tmp_path: Path, database_url: str) -> None:
    """Sent, accepted, bounced by a report, suppressed, and the next message withheld."""
    ann = "ann@example.net"
    script = {"rcpt": [Say("451 4.7.1 greylisted, try again in a moment")]}
    async with ScriptedMX(script) as mx, carom_house(tmp_path, database_url, mx=mx.port) as carom:
        sent = await carom.submit(ann)
        await carom.becomes(sent, "delivered")
        [message] = mx.received
        assert message.content.count(b"DKIM-Signature:") == 2
        assert message.mail_from == await carom.return_path(sent)

        words = "550 5.1.1 No such user here"
        report = bounce(message.mail_from, ann, message.content, "5.1.1", words)
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=carom.bound.ingest) as peer:
            await peer.sendmail("", [message.mail_from], report)
        told = await carom.becomes_suppressed(ann)
        assert (told["reason"], await carom.state(sent)) == ("hard_bounce", "bounced")

        again = await carom.submit(ann)
        assert again.answer["state"] == "suppressed"
        gauges = await carom.engine.gauges()
        assert gauges.suppressions["hard_bounce"] == 1
        assert (gauges.unread, gauges.queue["transactional"][0]) == (0, 0)
        counted = carom.engine.metrics.exposition().decode()
        for line in (
            'carom_messages_submitted_total{stream="default"} 2.0',
            'carom_attempts_total{provider="other",result="deferred"} 1.0',
            'carom_deliveries_total{outcome="delivered",provider="other",stream="default"} 1.0',
            'carom_inbound_messages_total{kind="bounce"} 1.0',
            'carom_suppressed_sends_total{reason="hard_bounce",stream="default"} 1.0',
        ):
            assert line in counted
        assert 'source="dsn",stream="default"} 1.0' in counted
        assert "@" not in counted


async def test_an_engine_that_is_built_and_closed_leaves_nothing_running(
    tmp_path: Path, database_url: str
) -> None:
    config, _ = set_up(tmp_path)
    settings = load(config, environ=environment(database_url, mx=9))
    for _ in range(2):  # the second finds a database that is up to date
        async with await build(settings) as engine:
            found = await engine.store.read(accounts)
            assert sum(found.values()) == 0


async def test_a_mail_to_two_of_our_addresses_is_two_raw_rows(tmp_path: Path) -> None:
    config, _ = set_up(tmp_path)
    url = f"sqlite:///{tmp_path / 'carom.db'}"
    settings = load(config, environ=environment(url, mx=9))
    async with await build(settings) as engine:
        door = listener(engine)
        [(_, port)] = await door.start()
        try:
            to = ["abuse@bounces.example.com", "postmaster@bounces.example.com"]
            async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port) as peer:
                await peer.sendmail("x@example.org", to, b"Subject: hello\r\n\r\nHello.\r\n")
        finally:
            await door.close(5)
        assert (await engine.gauges()).unread == 2


def test_one_command_opens_and_closes_the_database(tmp_path: Path) -> None:
    config, _ = set_up(tmp_path)
    url = f"sqlite:///{tmp_path / 'carom.db'}"
    settings = load(config, environ=environment(url, mx=9))
    assert sum(with_store(settings, lambda store: store.read(accounts)).values()) == 0


async def test_a_database_that_cannot_be_opened_is_said_so(tmp_path: Path, free_port: int) -> None:
    config, _ = set_up(tmp_path)
    url = f"postgresql://nobody@127.0.0.1:{free_port}/nothing"
    with pytest.raises(StoreUnavailable):
        await ready_store(load(config, environ=environment(url, mx=9)))

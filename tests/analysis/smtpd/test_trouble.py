"""Trouble of ours is temporary, and says nothing."""

from __future__ import annotations

import asyncio
import logging

import pytest
import structlog

from analysis.smtpd import Limits
from tests.analysis.smtpd.running import SECRET, data, serving, until
from tests.peers.smtp_client import dial

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "fault", [RuntimeError(SECRET), ConnectionRefusedError(SECRET), TimeoutError(SECRET)]
)
async def test_a_failed_store_is_temporary_and_says_nothing(fault: Exception) -> None:
    """Weakness 2: aiosmtpd answers 500 with the text, and forgets to reset the envelope."""
    with structlog.testing.capture_logs() as logged:
        async with serving() as at, dial(at.port) as wire:
            at.box.fault = fault
            reply = await data(wire, b"x\r\n.\r\n")
            assert reply == "451 4.3.0 Temporary trouble here, try later"
            at.box.fault = None
            assert (await data(wire, b"y\r\n.\r\n")).startswith("250 ")
            assert at.refused == {"trouble": 1}
    spoken = [entry for entry in logged if entry["log_level"] != "debug"]
    assert [entry["error"] for entry in spoken if entry["event"] == "smtpd.trouble"] == [
        type(fault).__name__
    ]
    assert "hunter2" not in str(spoken)


async def test_a_fault_at_rcpt_is_temporary_and_leaves_the_other_recipients() -> None:
    async with serving() as at, dial(at.port) as wire:
        at.box.fault_at_rcpt = ConnectionResetError(SECRET)
        await wire.say("MAIL FROM:<a@example.net>")
        assert (await wire.say("RCPT TO:<b@example.org>")).startswith("451 4.3.0 ")
        at.box.fault_at_rcpt = None
        assert (await wire.say("RCPT TO:<c@example.org>")).startswith("250 ")


async def test_a_store_that_takes_too_long_is_answered_and_let_to_its_end() -> None:
    async with serving(Limits(store_seconds=0.05)) as at, dial(at.port) as wire:
        at.box.gate = asyncio.Event()
        assert (await data(wire, b"x\r\n.\r\n")).startswith("451 4.3.0 ")
        at.box.gate.set()
        await until(lambda: at.box.contents == [b"x\r\n"])
        assert (await wire.say("NOOP")).startswith("250 ")


async def test_nothing_a_client_says_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), structlog.testing.capture_logs() as logged:
        async with serving() as at, dial(at.port) as wire:
            await data(wire, b"x\r\n.\r\n")
            await wire.say("BOGUS b@example.org")
    said = caplog.text + str([entry for entry in logged if entry["log_level"] != "debug"])
    assert "example.org" not in said
    assert "example.net" not in said

"""STARTTLS: nothing from before it is obeyed or remembered after it."""

from __future__ import annotations

import pytest

from analysis.smtpd import Limits
from tests.analysis.smtpd.running import data, serving, until
from tests.peers.certificates import Certificate
from tests.peers.smtp_client import dial

pytestmark = pytest.mark.anyio


async def test_plain_text_behind_starttls_is_never_obeyed(certificate: Certificate) -> None:
    """CVE-2024-34083: a command that an attacker put in front of the handshake."""
    async with serving(tls=certificate.server) as at, dial(at.port) as wire:
        wire.write(b"STARTTLS\r\nMAIL FROM:<evil@example.net>\r\n")
        assert (await wire.reply()).startswith("554 5.5.1 ")
        assert await wire.at_eof()


async def test_plain_text_after_the_go_ahead_ends_the_connection(certificate: Certificate) -> None:
    async with serving(tls=certificate.server) as at, dial(at.port) as wire:
        assert (await wire.say("STARTTLS")).startswith("220 ")
        wire.write(b"MAIL FROM:<evil@example.net>\r\nRCPT TO:<b@example.org>\r\n")
        assert b"250" not in await wire.reader.read()
        await until(lambda: at.server.open == 0)


async def test_tls_forgets_what_was_said_before_and_is_not_offered_twice(
    certificate: Certificate,
) -> None:
    """Weakness 10; RFC 3207 section 4.2."""
    async with serving(tls=certificate.server) as at, dial(at.port) as wire:
        assert "STARTTLS" in await wire.say("EHLO client.example.net")
        await wire.say("MAIL FROM:<a@example.net>")
        await wire.say("STARTTLS")
        await wire.start_tls(certificate.client)
        assert (await wire.say("RCPT TO:<b@example.org>")).startswith("503 ")
        assert (await wire.say("MAIL FROM:<>")).startswith("503 ")
        offers = await wire.say("EHLO client.example.net")
        assert "STARTTLS" not in offers
        assert "AUTH" not in offers
        assert (await wire.say("STARTTLS")).startswith("503 ")
        assert (await data(wire, b"x\r\n.\r\n")).startswith("250 ")


async def test_a_handshake_that_never_comes_gives_its_slot_back(certificate: Certificate) -> None:
    limits = Limits(command_seconds=0.1, linger_seconds=0.1)
    async with serving(limits, tls=certificate.server) as at, dial(at.port) as wire:
        await wire.say("STARTTLS")
        await until(lambda: at.server.open == 0)

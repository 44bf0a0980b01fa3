"""Submission made from the settings: what it needs, and what it refuses to start with."""

from __future__ import annotations

import json
import smtplib
from asyncio import to_thread
from pathlib import Path

import pytest

from analysis import keys
from carom import assembly
from carom.errors import SettingsError
from carom.settings import Settings
from carom.submitting import submission
from tests.carom.web_peer import made
from tests.storing import entry, suppressed

pytestmark = pytest.mark.anyio

HOST = "127.0.0.1"


def settings_of(folder: Path, **more: str) -> Settings:
    url = f"sqlite:///{folder / 'carom.db'}"
    place = {"CAROM_DATABASE__URL": url, "CAROM_SUBMISSION__LISTEN": f"{HOST}:0"}
    return made(folder / "set-up", **place, **more)[0]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"TLS_LISTEN": f"{HOST}:0"}, "tls_listen: give the certificate"),
        ({"TLS": json.dumps({"cert": "none.pem", "key": "none.pem"})}, "none.pem: No such file"),
    ],
)
async def test_a_certificate_that_is_missing_is_named(
    tmp_path: Path, more: dict[str, str], words: str
) -> None:
    settings = settings_of(tmp_path, **{f"CAROM_SUBMISSION__{k}": v for k, v in more.items()})
    async with await assembly.build(settings) as parts:
        with pytest.raises(SettingsError, match=words):
            submission(parts)


async def test_loopback_needs_tls_too_where_the_setting_says_so(tmp_path: Path) -> None:
    no = {"CAROM_SUBMISSION__ALLOW_PLAINTEXT_AUTH_ON_LOOPBACK": "false"}
    async with await assembly.build(settings_of(tmp_path, **no)) as parts:
        desk = submission(parts)
        port, tls_port = await desk.start()

        def offers() -> bool:
            with smtplib.SMTP(HOST, port, timeout=60) as client:
                client.ehlo()
                return client.has_extn("auth")

        assert await to_thread(offers) is False
        assert tls_port is None
        await desk.close(0)


async def test_keys_of_the_database_come_in_and_withheld_sends_are_counted(tmp_path: Path) -> None:
    async with await assembly.build(settings_of(tmp_path)) as parts:
        new = keys.make("app", ["send"], lambda n: b"\7" * n)
        await parts.store.write(lambda tx: keys.add(tx, new.key, now=0.0))
        await suppressed(parts.store, entry("gone@example.net"))
        desk = submission(parts)
        port, _ = await desk.start()

        def talk() -> tuple[int, bytes]:
            with smtplib.SMTP(HOST, port, timeout=60) as client:
                client.login("apikey", new.text)
                client.mail("a@example.com")
                return client.rcpt("gone@example.net")

        code, words = await to_thread(talk)
        assert (code, words[:31]) == (550, b"5.7.1 suppressed: manual since ")
        exposed = parts.metrics.exposition().decode()
        assert 'carom_suppressed_sends_total{reason="manual",stream="default"} 1.0' in exposed
        await desk.close(0)

"""A delivery, a refusal, a suppression, an erasure: at info no log names anybody."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest

from carom import logs
from tests.flows.house import carom_house
from tests.peers.scripted_mx import Say, ScriptedMX

pytestmark = pytest.mark.anyio


async def test_no_log_at_info_names_a_recipient(tmp_path: Path, database_url: str) -> None:
    script = {"rcpt": Say("550 5.1.1 <gone.person@known.example>: user unknown")}
    async with ScriptedMX(script) as mx, carom_house(tmp_path, database_url, mx=mx.port) as carom:
        heard = io.StringIO()
        root = logging.getLogger()
        before, level = root.handlers[:], root.level
        logs.configure("info", "json", heard)
        try:
            sent = await carom.submit("gone.person@known.example")
            await carom.becomes(sent, "bounced")
            await carom.becomes_suppressed("gone.person@known.example")
            await carom.submit("gone.person@known.example")
            logging.getLogger("carom.test").warning("lost <gone.person@known.example>")
            await carom.client.delete("/v1/recipients/gone.person@known.example")
        finally:
            root.handlers[:] = before
            root.setLevel(level)
        said = heard.getvalue()
        assert "g***@known.example" in said  # it was logged, and covered
        assert "gone.person" not in said

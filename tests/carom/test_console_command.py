"""`carom console link`: a link for one person, from the command line to a session."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from carom import assembly
from carom.web import create_app
from tests.carom.web_peer import URL, made

pytestmark = pytest.mark.anyio


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "carom", "console", "link"]
    return subprocess.run(
        [*command, "--config", str(folder / "carom.toml"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_a_printed_link_lets_in_once_with_its_scopes(tmp_path: Path) -> None:
    settings, _ = made(tmp_path / "mail")
    printed = run(tmp_path / "mail", "--scopes", "read, suppress")
    assert printed.returncode == 0, printed.stderr
    link = printed.stdout.strip()
    assert link.startswith("http://127.0.0.1:8025/console/link/")
    path = link.removeprefix("http://127.0.0.1:8025")
    async with await assembly.build(settings) as parts:
        transport = httpx2.ASGITransport(create_app(parts))
        async with httpx2.AsyncClient(transport=transport, base_url=URL) as browser:
            assert (await browser.get(path)).headers["location"] == "/console"
            page = (await browser.get("/console/address?address=a%40example.com")).text
            assert "/console/suppress" in page
            assert (await browser.get("/console/keys")).status_code == 403
            assert (await browser.get(path)).status_code == 410


def test_a_scope_that_does_not_exist_is_one_line_on_stderr(tmp_path: Path) -> None:
    made(tmp_path / "mail")
    printed = run(tmp_path / "mail", "--scope", "rule")
    assert printed.returncode == 2
    assert printed.stdout == ""
    [line] = printed.stderr.splitlines()
    assert "no scope rule" in line

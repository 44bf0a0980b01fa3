"""A first day with Carom from the shell: init, serve, send, and the questions that follow."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.flows.house import BOUNCES, DOMAIN, environment, until
from tests.flows.mortal import Fate, mortal
from tests.peers.counting_sink import CountingSink
from tests.servers import LOOPBACK, free_port

pytestmark = pytest.mark.anyio

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Shell:
    """`carom` as a user runs it; `config` is added to every command but `init`."""

    config: Path
    environment: Mapping[str, str]

    async def run(self, *arguments: str) -> tuple[int, str]:
        """The exit status and everything that was shown."""
        place = () if arguments[0] == "init" else ("--config", str(self.config))
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "carom", *arguments, *place],
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    async def send(self, to: str) -> tuple[int, str]:
        return await self.run(
            "send", "--from", f"shop@{DOMAIN}", "--to", to, "--subject", "Your order", "--wait"
        )


async def test_what_the_shell_says_from_init_to_a_lifted_suppression(
    tmp_path: Path, database_url: str
) -> None:
    folder = tmp_path / "mail"
    async with CountingSink() as sink:
        ports = environment(database_url, mx=sink.port, ingest=free_port(), api=free_port())
        carom = Shell(folder / "carom.toml", ports)
        made = await carom.run("init", str(folder), "--domain", DOMAIN, "--bounce-domain", BOUNCES)
        assert made[0] == 0, made
        assert "._domainkey." in made[1], "it tells what to publish"

        nobody = await carom.send("ann@known.example")
        assert nobody[0] != 0
        assert "carom serve" in nobody[1], "no service yet: the mend is named"
        assert "Traceback" not in nobody[1]

        async with mortal(tmp_path, carom.config, ports, Fate([])) as service:
            await until(lambda: asyncio.to_thread(answers, ports["CAROM_API__LISTEN"]))
            code, said = await carom.send("ann@known.example")
            assert (code, "ann@known.example: delivered" in said) == (0, True), said

            code, said = await carom.send("gone@known.example")
            assert code == 1
            assert "gone@known.example: bounced (550 5.1.1 " in said
            code, said = await carom.run("suppression", "check", "gone@known.example")
            assert (code, "hard_bounce" in said) == (1, True), said

            code, said = await carom.send("gone@known.example")
            assert code == 1
            assert "suppressed" in said
            assert [copy.recipient for copy in sink.copies] == ["ann@known.example"]
            code, said = await carom.run("trace", "gone@known.example")
            assert (code, "5.1.1" in said) == (0, True), said

            lift = ("suppression", "remove", "gone@known.example", "--why", "a new colleague")
            code, said = await carom.run(*lift)
            assert code == 0, said
            assert (await carom.run("suppression", "check", "gone@known.example"))[0] == 0
            assert "not on the list" in (await carom.run(*lift))[1]

            assert service.fate.process is not None
            assert resident(service.fate.process.pid) < 400 * MEGABYTE  # it is 145, and no leak
        key = (folder / "api.key").read_text().strip()
        assert key not in service.said()
        assert '"level":"error"' not in service.said()


def answers(endpoint: str) -> bool:
    """Whether somebody listens there."""
    host, _, port = endpoint.rpartition(":")
    assert host == LOOPBACK
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def resident(pid: int) -> int:
    """Octets of memory that the process holds, where the system tells; else 0."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024

"""The stage of a benchmark: a real engine on a throw-away database, and a sink to send to."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from analysis import keys
from carom import setup
from carom.assembly import build
from carom.engine import Engine
from carom.processes import keep
from carom.role import Role
from carom.roles import running
from carom.settings import Settings, load

LOOPBACK = "127.0.0.1"


def set_up(folder: Path) -> Path:
    """A settings file as `carom init` writes it."""
    return setup.write(folder, setup.plan("bench.example"), secrets.token_bytes)


def settings_of(file: Path, **environ: str) -> Settings:
    """A set-up on free ports, with these variables over it."""
    free = {
        f"CAROM_{name}": f"{LOOPBACK}:0"
        for name in ("API__LISTEN", "API__METRICS_LISTEN", "INGEST__LISTEN", "SUBMISSION__LISTEN")
    }
    return load(file, environ={**free, "CAROM_LOG__LEVEL": "error", **environ})


@asynccontextmanager
async def engine(**environ: str) -> AsyncIterator[Engine]:
    """An engine of its own; the database is that of CAROM_DATABASE__URL, else a SQLite file."""
    with tempfile.TemporaryDirectory(prefix="carom-bench-") as folder:
        async with await build(settings_of(set_up(Path(folder)), **environ)) as made:
            yield made


@asynccontextmanager
async def sending(engine: Engine) -> AsyncIterator[None]:
    """The sender of an engine at work, in as many processes as its settings say, all begun."""
    stop = asyncio.Event()
    others = asyncio.create_task(keep(engine, stop))
    try:
        await until(lambda: _all_begun(engine))
        worker = asyncio.create_task(engine.worker.serve(stop))
        yield
    finally:
        stop.set()
        await asyncio.gather(worker, others)


async def _all_begun(engine: Engine) -> bool:
    others = range(1, engine.settings.sender.sharers)
    return all(engine.metrics.added.knows(number) for number in others)


def delivered(engine: Engine) -> int:
    """Deliveries that were counted, by whichever process; costs the database nothing."""
    return sum(
        int(sample.value)
        for family in engine.metrics.added.collect()
        for sample in family.samples
        if sample.name == "carom_deliveries_total" and sample.labels["outcome"] == "delivered"
    )


async def until(happened: Callable[[], Awaitable[bool]], *, within: float = 120.0) -> None:
    """Wait for something that only asking can tell, or raise RuntimeError."""
    give_up = time.monotonic() + within
    while not await happened():
        if time.monotonic() > give_up:
            raise RuntimeError(f"did not happen within {within:g} s")
        await asyncio.sleep(0.02)


@asynccontextmanager
async def service(engine: Engine) -> AsyncIterator[Ask]:
    """The HTTP API of an engine, and a way to ask it from another process."""
    key = keys.make("bench", ["read", "send"], secrets.token_bytes)
    await engine.store.write(lambda tx: keys.add(tx, key.key, now=time.time()))
    async with running(engine, {Role.API}) as state:
        assert state.bound.api is not None
        yield Ask(state.bound.api, key.text)


@dataclass(frozen=True, slots=True)
class Ask:
    port: int
    key: str

    async def __call__(
        self, method: str, path: str, body: str = "", *, rate: int, count: int
    ) -> list[float]:
        """Seconds that each answer took; see `carom.bench.asker`."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "carom.bench.asker", str(self.port), str(rate), str(count)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        question = {"key": self.key, "method": method, "path": path, "body": body}
        out, _ = await process.communicate(json.dumps(question).encode())
        found: list[float] = json.loads(out)
        return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def smtp_sink() -> str | None:
    """Postfix's smtp-sink, the quickest SMTP server there is to send to; None where it is not."""
    return shutil.which("smtp-sink", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")


@contextmanager
def sink() -> Iterator[int | None]:
    """A running smtp-sink; its port, or None where there is none."""
    program = smtp_sink()
    if program is None:
        yield None
        return
    port = free_port()
    as_somebody = ["-u", "nobody"] if os.geteuid() == 0 else []  # it refuses to run as root
    process = subprocess.Popen(  # noqa: S603
        [program, *as_somebody, "-h", "sink.example", f"{LOOPBACK}:{port}", "1024"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await_port(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def await_port(port: int) -> None:
    """Until a server of ours listens."""
    for _ in range(100):
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"nothing listens on port {port}")

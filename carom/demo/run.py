"""One run of the demo: set up, submit, watch, draw up the books.

Everything is real: settings written by `carom init`, a SQLite file that waits for the disk, DKIM
signatures, SMTP over loopback in both directions.  Only the waits are shorter than in life.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import aiosmtplib
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from analysis import sessions
from analysis.address import parse, parse_mailbox
from analysis.keys import SCOPES
from analysis.lifecycle import PENDING, State
from analysis.lookup import accounts
from analysis.sessions import Guest
from carom import setup
from carom.assembly import build
from carom.demo import show
from carom.demo.cast import addresses
from carom.demo.sink import Sink, WriteBack
from carom.demo.verdicts import draw_up
from carom.engine import Engine
from carom.role import ALL
from carom.roles import Bound, Running, running
from carom.settings import Settings, load
from ingest import inbox
from sender.compose import Draft
from sender.intake import Order

PATIENCE = 50.0
"""Seconds after which the demo gives up waiting and says so, and one more for each hundred."""
_ENDS = (signal.SIGTERM, signal.SIGHUP)
AT_ONCE = 200
"""Submissions under way together."""

_LIVELY = {
    # seconds where life has minutes
    "CAROM_SENDER__SCHEDULE__TRANSACTIONAL": "1s, 2s, 3s, 4s",
    "CAROM_SENDER__TIMEOUTS__DOT": "3s",
    "CAROM_SENDER__CONCURRENCY": "100",
    "CAROM_SENDER__SITE_CONNECTIONS": "60",
    "CAROM_INGEST__LISTEN": "127.0.0.1:0",
    "CAROM_API__LISTEN": "127.0.0.1:0",
    "CAROM_API__METRICS_LISTEN": "127.0.0.1:0",
    "CAROM_SUBMISSION__LISTEN": "127.0.0.1:0",
}


async def demo(messages: int, serve: bool, console: Console) -> bool:
    """Run the demo; whether every message is accounted for and ended as it should."""
    with _cancelled_by_signals(), tempfile.TemporaryDirectory(prefix="carom-demo-") as folder:
        sink = Sink(_undeliverable)
        port = await sink.start()
        settings = _settings(Path(folder), port, serve)
        key = (Path(folder) / setup.API_KEY).read_text().strip()
        async with await build(settings, read_apart=False) as engine, running(engine, ALL) as state:
            sink.write_back = _postman(state.bound)
            try:
                started = time.monotonic()
                accepted = await _play(engine, sink, messages, console)
                books = await engine.store.read(lambda tx: draw_up(tx, accepted))
                show.report(
                    console,
                    books,
                    seconds=time.monotonic() - started,
                    copies=sink.taken.total(),
                    places=await _places(engine, state.bound, key) if serve else {},
                )
                if serve:  # the providers stay up too, for messages of your own
                    console.print("\nStays up until Ctrl-C.")
                    await _until_told(state)
            finally:
                await sink.close()
        return books.fine


@contextmanager
def _cancelled_by_signals() -> Iterator[None]:
    """End as Ctrl-C ends it: hung up politely, the folder taken away."""
    loop, this = asyncio.get_running_loop(), asyncio.current_task()
    assert this is not None
    for name in _ENDS:
        loop.add_signal_handler(name, this.cancel)
    try:
        yield
    finally:
        for name in _ENDS:
            loop.remove_signal_handler(name)


async def _until_told(state: Running) -> None:
    """Until Ctrl-C, the end of its terminal or service, or a failure of a role, which is raised."""
    told, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in (*_ENDS, signal.SIGINT):
        loop.add_signal_handler(name, told.set)
    waiting = [asyncio.create_task(told.wait()), asyncio.create_task(state.failed())]
    done, left = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    for task in done:
        task.result()


def _settings(folder: Path, port: int, serve: bool) -> Settings:
    file = setup.write(folder, setup.plan("demo.example"), secrets.token_bytes)
    listen = {"CAROM_API__LISTEN": _free(8025), "CAROM_API__METRICS_LISTEN": _free(9825)}
    everywhere = {"CAROM_SENDER__STATIC_MX": f'{{"*": "127.0.0.1:{port}"}}'}
    return load(file, environ={**_LIVELY, **everywhere, **(listen if serve else {})})


def _free(port: int) -> str:
    """This port of loopback, or any where another process, perhaps a second demo, has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as asyncio binds
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return "127.0.0.1:0"
    return f"127.0.0.1:{port}"


async def _undeliverable(_to: str, _letter: bytes) -> None:
    raise RuntimeError("a letter before the bounce listener was open")


def _postman(bound: Bound) -> WriteBack:
    """Writes back to Carom's bounce listener as a receiving system does: null sender, real SMTP."""
    turns = asyncio.Semaphore(20)

    async def write_back(to: str, letter: bytes) -> None:
        async with turns, aiosmtplib.SMTP(hostname="127.0.0.1", port=bound.ingest) as post:
            await post.sendmail("", [to], letter)

    return write_back


async def _play(engine: Engine, sink: Sink, messages: int, console: Console) -> int:
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=not console.is_terminal) as progress:
        submitted = progress.add_task("submitted", total=messages)
        settled = progress.add_task("settled", total=messages)
        watch = asyncio.create_task(_watch(engine, sink, messages, progress, settled))
        accepted = await _submit(engine, list(addresses(messages)), progress, submitted)
        await watch
    return accepted


async def _submit(
    engine: Engine, recipients: Sequence[str], progress: Progress, bar: TaskID
) -> int:
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(recipient: str) -> int:
        async with turns:
            receipt = await engine.intake.accept(_order(recipient))
        progress.advance(bar)
        return len(receipt.answer["deliveries"])

    return sum(await asyncio.gather(*(one(recipient) for recipient in recipients)))


def _order(recipient: str) -> Order:
    address = parse(recipient)
    draft = Draft(
        parse_mailbox("Demo Shop <receipts@demo.example>"),
        (parse_mailbox(recipient),),
        "Your receipt",
        text=f"Thank you for your order, {address.local}.\n",
        html=f"<p>Thank you for your order, <b>{address.local}</b>.</p>\n",
    )
    return Order(draft, (address,), stream="receipts")


async def _watch(
    engine: Engine, sink: Sink, messages: int, progress: Progress, bar: TaskID
) -> None:
    """Until every delivery has settled and every letter was read, or patience ends."""
    give_up = time.monotonic() + PATIENCE + messages / 100
    while time.monotonic() < give_up:
        states, unread = await engine.store.read(lambda tx: (accounts(tx), inbox.unread(tx)))
        settled = sum(n for state, n in states.items() if State(state) not in PENDING)
        progress.update(bar, completed=settled)
        if settled >= messages and not unread and not sink.writing:
            return
        await asyncio.sleep(0.2)


async def _places(engine: Engine, bound: Bound, key: str) -> dict[str, str]:
    token = sessions.new_token(secrets.token_bytes)
    guest = Guest("the demo", frozenset(SCOPES))
    now = engine.clock()
    await engine.store.write(lambda tx: sessions.make_link(tx, token, guest, now=now))
    return {
        "console": f"http://127.0.0.1:{bound.api}/console/link/{token}  (once, in 10 minutes)",
        "API": f"http://127.0.0.1:{bound.api}/docs",
        "metrics": f"http://127.0.0.1:{bound.metrics}/metrics",
        "API key": key,
    }

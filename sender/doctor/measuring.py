"""Measures the machine that this process runs on, its clock and its database."""

from __future__ import annotations

import asyncio
import resource
import shutil
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL

from analysis import migrate
from analysis.store import Store, StoreUnavailable
from sender.doctor.machine import Clock, Database

_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_ERA = 2_208_988_800  # seconds from 1900 (RFC 5905 section 6) to 1970
_QUESTION = b"\x23" + bytes(47)  # version 4, mode 3: client


def open_files() -> int:
    """The limit in force for this process: a service has its own, a shell another."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def local_ports() -> int | None:
    try:
        low, high = _PORTS.read_text().split()
    except (OSError, ValueError):
        return None
    return int(high) - int(low) + 1


def free_octets(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


async def time_server(host: str, port: int, *, clock: Callable[[], float], seconds: float) -> Clock:
    """Ask a time server by SNTP (RFC 5905 section 14): how far our clock is ahead of it."""
    against = f"{host}:{port}"
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[tuple[bytes, float]] = loop.create_future()
    try:
        async with asyncio.timeout(seconds):
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Listening(answered, clock), remote_addr=(host, port)
            )
            try:
                sent = clock()
                # our own time goes along and must come back: nobody off the path can answer
                cookie = struct.pack("!d", sent)
                transport.sendto(_QUESTION[:40] + cookie)
                answer, came = await answered
            finally:
                transport.close()
    except TimeoutError:
        return Clock(against, None, f"no answer within {seconds:g} s")
    except OSError as error:
        return Clock(against, None, error.strerror or str(error))
    if len(answer) < 48 or answer[24:32] != cookie or answer[1] == 0:
        return Clock(against, None, "the answer is none of SNTP")
    theirs = (_stamp(answer[32:40]) + _stamp(answer[40:48])) / 2
    return Clock(against, (sent + came) / 2 - theirs)


def _stamp(octets: bytes) -> float:
    whole, fraction = struct.unpack("!II", octets)
    return float(whole - _ERA + fraction / 2**32)


class _Listening(asyncio.DatagramProtocol):
    def __init__(
        self, answered: asyncio.Future[tuple[bytes, float]], clock: Callable[[], float]
    ) -> None:
        self._answered = answered
        self._clock = clock

    def datagram_received(self, data: bytes, addr: object) -> None:
        del addr
        if not self._answered.done():
            self._answered.set_result((data, self._clock()))

    def error_received(self, exc: Exception) -> None:
        if not self._answered.done():
            self._answered.set_exception(exc)


async def database(store: Store, clock: Callable[[], float]) -> tuple[Database, Clock | None]:
    """What the database is, and how far our clock is ahead of a server's."""
    kind = store.url.get_backend_name()
    if missing := _missing(store.url):
        return Database(kind, missing=missing), None
    try:
        began = clock()
        found, theirs = await store.read(_sqlite if kind == "sqlite" else _postgres)
        ended = clock()
    except StoreUnavailable as error:
        return Database(kind, trouble=str(error)), None
    if theirs is None:
        return found, None
    return found, Clock("the database", (began + ended) / 2 - theirs)


def _missing(url: URL) -> str:
    """The file of a SQLite database that nobody has made yet: asking it would make it."""
    file = url.database or ""
    return file if url.get_backend_name() == "sqlite" and not Path(file).exists() else ""


def _sqlite(tx: Connection) -> tuple[Database, float | None]:
    waits = tx.execute(text("PRAGMA synchronous")).scalar_one()
    careless = "" if waits in (2, 3) else f"synchronous = {waits}"
    version = sqlite3.sqlite_version_info
    found = Database("sqlite", version, migrate.revision(tx) or "", migrate.newest(), careless)
    return found, None


_WANTED_ON = ("fsync", "full_page_writes", "synchronous_commit")


def _postgres(tx: Connection) -> tuple[Database, float | None]:
    off = [
        f"{name} = {value}"
        for name in _WANTED_ON
        if (value := tx.execute(text(f"SHOW {name}")).scalar_one()) in ("off", "local")
    ]
    number = int(tx.execute(text("SHOW server_version_num")).scalar_one())
    version = (number // 10_000, number % 10_000)
    revision = migrate.revision(tx) or ""
    theirs = tx.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
    found = Database("postgresql", version, revision, migrate.newest(), ", ".join(off))
    return found, float(theirs)

"""Our listeners' certificates: TLS contexts that follow their files.

A certificate that was renewed is used by the next handshake, without a restart and without losing
a connection.  Files that cannot be used (half written, or the key of another certificate) leave
what is there in use, with a warning each time somebody looks.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from analysis.pause import pause
from carom.errors import SettingsError
from carom.settings.listeners import Tls

log = structlog.get_logger()

LOOK_EVERY = 60.0
"""Seconds; certificates are renewed weeks before they run out."""

_Stamp = tuple[tuple[int, int, int], ...]


@dataclass(slots=True)
class _Followed:
    files: Tls
    section: str
    current: ssl.SSLContext
    stamp: _Stamp | None  # of the files as they were loaded; none: not known

    def __call__(self, connection: ssl.SSLObject, _name: str | None, _given: object) -> None:
        """Called within each handshake, named or not: RFC 6066 section 3's hook is OpenSSL's."""
        connection.context = self.current


@dataclass(frozen=True, slots=True)
class Certificates:
    """Those of one process."""

    _followed: list[_Followed] = field(default_factory=list)

    def context(self, files: Tls | None, section: str) -> ssl.SSLContext | None:
        """The context of a listener, or None where no certificate is set.

        Raises SettingsError, naming `section` and the file, for one that cannot be used.
        """
        if files is None:
            return None
        stamp = _stamp(files)
        front = _load(files, section)
        one = _Followed(files, section, front, stamp)
        front.sni_callback = one
        self._followed.append(one)
        return front

    def renew(self) -> list[str]:
        """Load what changed; the sections that have a new certificate now."""
        return [one.section for one in self._followed if _renewed(one)]

    async def follow(self, stop: asyncio.Event) -> None:
        """Look for renewed files until `stop` is set."""
        while not stop.is_set():
            for section in await asyncio.to_thread(self.renew):
                log.info("certificate renewed", listener=section)
            await pause(stop, LOOK_EVERY)


def _renewed(one: _Followed) -> bool:
    stamp = _stamp(one.files)
    if stamp is not None and stamp == one.stamp:
        return False
    try:
        one.current = _load(one.files, one.section)
    except SettingsError as error:
        log.warning("the old certificate stays in use", listener=one.section, why=str(error))
        return False
    one.stamp = stamp
    return True


def _load(files: Tls, section: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(files.cert, files.key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"[{section}] tls: {files.cert}: {error.strerror or error}") from error
    return context


def _stamp(files: Tls) -> _Stamp | None:
    """What changes when a file is written anew or a link is set to another."""
    try:
        return tuple(_identity(file) for file in (files.cert, files.key))
    except OSError:
        return None


def _identity(file: Path) -> tuple[int, int, int]:
    found = file.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size

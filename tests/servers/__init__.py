"""Real servers that the tests start, talk to and stop: PostgreSQL, Postfix, Exim, Dovecot.

Each server has one module with one class, a `Server`.  The module's `missing()` says in one line
why it cannot run on this machine, or None.  Everything listens on 127.0.0.1 and nothing sends
beyond it.

The servers refuse to run as root, so their directories lie outside pytest's own (mode 0700) and
belong to an unprivileged account.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import select
import shutil
import signal
import socket
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from random import SystemRandom
from typing import Any, NamedTuple, Self

LOOPBACK = "127.0.0.1"

# Below the ports that systems hand out to outgoing connections (32768 on Linux, 49152 elsewhere),
# so that no client of a parallel test can sit on the port between the choice and its use.
_PORTS = range(10240, 32768)

_STOP_SECONDS = 60.0


class ServerFailedError(RuntimeError):
    """A server that is installed here did not start or stop; the text carries its log."""


class Refusal(NamedTuple):
    """What a host answers to RCPT: `Refusal(552, "5.2.2", "Mailbox full")`."""

    code: int
    status: str
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.status} {self.text}"


def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nothing listens now."""
    draw = SystemRandom()
    for _ in range(200):
        port = draw.choice(_PORTS)
        with socket.socket() as probe:
            # As servers do it: a closed connection's remains must not make the port look taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise ServerFailedError("no free port on 127.0.0.1")


class Server(ABC):
    """One server with a directory of its own: `with Postfix(...) as mx:`, or start and stop.

    `start()` returns once the server answers; `stop()` ends only what `start()` began and removes
    the directory, also after a start that failed half-way.
    """

    def __init__(self) -> None:
        self._directory: Path | None = None

    def start(self) -> None:
        """Starts it; ServerFailedError, with what it said, if it does not come up."""
        self._directory = Path(tempfile.mkdtemp(prefix=f"carom-{type(self).__name__.lower()}-"))
        self._directory.chmod(0o755)
        try:
            self._begin()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends it and removes its directory; harmless when it does not run."""
        if self._directory is None:
            return
        try:
            self._end()
        finally:
            _remove(self._directory)
            self._directory = None

    def log(self) -> str:
        """Everything the running server logged."""
        logs = (path for path in self._logs() if path.exists())
        return "".join(path.read_text(errors="replace") for path in logs)

    @property
    def home(self) -> Path:
        """The directory of the running server."""
        if self._directory is None:
            raise ServerFailedError(f"{type(self).__name__} is not started")
        return self._directory

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def _begin(self) -> None: ...

    @abstractmethod
    def _end(self) -> None: ...

    @abstractmethod
    def _logs(self) -> list[Path]: ...


def _remove(directory: Path) -> None:
    """Removes a tree in which a killed server's last child may still make a file."""
    for _ in range(5):
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return
    shutil.rmtree(directory)


def end_group(leader: int) -> None:
    """Kills what a server's main process left behind in its process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def end_master(pid_file: Path) -> None:
    """TERM, then KILL, to the process in `pid_file`; it is not our child, so no `wait` sees it."""
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    with contextlib.suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(process, signal.SIGTERM)
            select.select([process], [], [], _STOP_SECONDS)
        finally:
            os.close(process)
    end_group(pid)


def listens(port: int) -> bool:
    """Whether something on 127.0.0.1 takes connections at this port."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=_STOP_SECONDS).close()
    except ConnectionRefusedError:
        return False
    return True


def program_path() -> str:
    """PATH with the places where Debian puts servers."""
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def give(paths: Iterable[Path], account: str | None) -> None:
    """Makes `account` the owner of `paths`; None leaves them ours."""
    if account is not None:
        for path in paths:
            shutil.chown(path, account)


def become(account: str | None) -> dict[str, Any]:
    """Arguments for `subprocess` that run a program as `account`; None runs it as ourselves."""
    if account is None:
        return {}
    entry = pwd.getpwnam(account)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def addresses_by_domain(addresses: Iterable[str]) -> dict[str, list[str]]:
    """`{"example.net": ["a@example.net"]}`; ValueError for what no lookup table could hold."""
    domains: dict[str, list[str]] = {}
    for address in addresses:
        local, _, domain = address.rpartition("@")
        if not local or not domain or address.split() != [address]:
            raise ValueError(f"not an address that a test server can hold: {address!r}")
        domains.setdefault(domain.lower(), []).append(address)
    return domains

